"""Patches worked into lists, listeners, route tables and clusters.

Pure. In: messages (changed in place) and the patches that concern them. The order is Istio's: what encloses comes
before what is enclosed, list edits before merges, additions last and unpatched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from graylane.mesh.filters.merge import merge
from graylane.mesh.filters.patches import HCM, Patch
from graylane.model.meta import dig


def of(patches: Iterable[Patch], target: str) -> list[Patch]:
    return [patch for patch in patches if patch.target == target]


# -- lists ----------------------------------------------------------------------------------------------------------


def edit(items: list[Any], patch: Patch, found: Callable[[Any], bool] | None) -> None:
    """One change of an ordered list. `found` tells what the patch looks for; None when it names nothing."""
    place = next((index for index, each in enumerate(items) if found and found(each)), None)
    match patch.operation:
        case "ADD":
            items.append(patch.value)
        case "INSERT_FIRST":
            items.insert(0, patch.value)
        case "INSERT_BEFORE" if place is not None or found is None:
            items.insert(place or 0, patch.value)
        case "INSERT_AFTER" if place is not None or found is None:
            items.insert(len(items) if place is None else place + 1, patch.value)
        case "REMOVE" if place is not None:
            del items[place]
        case "REPLACE" if place is not None:
            items[place] = patch.value


def _filters(generated: Iterable[Any], patches: Sequence[Patch], named: Callable[[Patch], str]) -> list[Any]:
    """A list of named filters: edits first, each seeing what those before it did, then merges."""
    items = list(generated)
    for patch in patches:
        if patch.operation != "MERGE":
            edit(items, patch, _named(named(patch)))
    for patch in patches:
        if patch.operation == "MERGE":
            items = [_merged(each, patch) if named(patch) in ("", each.name) else each for each in items]
    return items


def _named(name: str) -> Callable[[Any], bool] | None:
    return (lambda each: bool(each.name == name)) if name else None


def _merged(target: Any, patch: Patch) -> Any:
    result = type(target)()
    result.CopyFrom(target)
    merge(result, patch.value)
    return result


def refill(field: Any, items: list[Any]) -> None:
    """Have a repeated field hold these, of which some may be its own."""
    kept = [type(each).FromString(each.SerializeToString()) for each in items]
    del field[:]
    field.extend(kept)


# -- listeners ------------------------------------------------------------------------------------------------------


def http_filters(generated: Sequence[Any], patches: Sequence[Patch]) -> list[Any]:
    """The HTTP filters of one connection manager. Those that are to be discovered get what an extension gives them."""
    items = _filters(generated, [each for each in of(patches, "HTTP_FILTER") if _in_manager(each)], _sub_filter)
    extensions = {patch.value.name: patch.value for patch in reversed(of(patches, "EXTENSION_CONFIG"))}
    return [found for each in items if (found := _configured(each, extensions)) is not None]


def _in_manager(patch: Patch) -> bool:
    return dig(patch.match, "filterChain", "filter", "name", default="") in ("", HCM)


def _sub_filter(patch: Patch) -> str:
    return str(dig(patch.match, "filterChain", "filter", "subFilter", "name", default=""))


def _configured(each: Any, extensions: dict[str, Any]) -> Any | None:
    """A filter with its configuration inside: Envoy would wait for one that never comes."""
    if not each.HasField("config_discovery"):
        return each
    given = extensions.get(each.name)
    fallback = each.config_discovery.default_config
    if given is None and not fallback.type_url:
        return None
    found = type(each)()
    found.CopyFrom(each)
    found.typed_config.CopyFrom(given.typed_config if given is not None else fallback)
    return found


def fits_chain(patch: Patch, chain: Any) -> bool:
    """Whether a filter chain is one that a patch is for."""
    asked, match = patch.match.get("filterChain") or {}, chain.filter_chain_match
    protocols = str(asked.get("applicationProtocols") or "")
    return (
        asked.get("name") in (None, "", chain.name)
        and (not asked.get("sni") or asked["sni"] in match.server_names)
        and asked.get("transportProtocol") in (None, "", match.transport_protocol or "raw_buffer")
        and all(name.strip() in match.application_protocols for name in protocols.split(",") if name.strip())
        and int(asked.get("destinationPort") or 0) in (0, match.destination_port.value)
    )


def listener(message: Any, patches: Sequence[Patch]) -> bool:
    """Everything but HTTP filters. False when nothing is left to listen with."""
    if not _stays(message, of(patches, "LISTENER")):
        return False
    given = of(patches, "LISTENER_FILTER")
    if given:
        refill(message.listener_filters, _filters(message.listener_filters, given, _listener_filter))
    chains = [chain for chain in message.filter_chains if _chain(chain, patches)]
    chains += [patch.value for patch in of(patches, "FILTER_CHAIN") if patch.adds]
    refill(message.filter_chains, chains)
    return bool(chains)


def _stays(message: Any, patches: Sequence[Patch]) -> bool:
    """Whether nothing takes it out; it is merged with in place."""
    for patch in patches:
        if patch.operation == "REMOVE":
            return False
        if patch.operation == "MERGE":
            merge(message, patch.value)
    return True


def _listener_filter(patch: Patch) -> str:
    return str(patch.match.get("listenerFilter") or "")


def _network_filter(patch: Patch) -> str:
    return str(dig(patch.match, "filterChain", "filter", "name", default=""))


def _chain(chain: Any, patches: Sequence[Patch]) -> bool:
    """Whether a chain stays; it is changed in place."""
    fitting = [patch for patch in patches if fits_chain(patch, chain)]
    if not _stays(chain, of(fitting, "FILTER_CHAIN")):
        return False
    given = of(fitting, "NETWORK_FILTER")
    if given:
        refill(chain.filters, _filters(chain.filters, given, _network_filter))
    return True


# -- routes ---------------------------------------------------------------------------------------------------------


def routes(message: Any, patches: Sequence[Patch], names: Sequence[str], port: int) -> None:
    """`names` are what Istio calls the table, then, at a gateway, its gateway and port name, which sidecars do not look
    at. `port` 0 has each host tell its own.
    """
    for patch in of(patches, "ROUTE_CONFIGURATION"):
        if patch.match.get("name") in (None, "", names[0]) and _in_table(patch, names, port, port):
            merge(message, patch.value)
    hosts = []
    for host in message.virtual_hosts:
        own = port or int(host.name.rpartition(":")[2] if host.name.rpartition(":")[2].isdigit() else 0)
        kept = _host(host, [patch for patch in patches if _in_table(patch, names, port, own)])
        hosts.extend([kept] if kept is not None else [])
    added = (each for each in of(patches, "VIRTUAL_HOST") if each.adds and _in_table(each, names, port, port))
    refill(message.virtual_hosts, [*hosts, *(patch.value for patch in added)])


def _in_table(patch: Patch, names: Sequence[str], port: int, own: int) -> bool:
    """Istio has one table for each port; where we have one for all, a host is in that of its own port."""
    name, *gateways = names
    known = {None, "", name} | ({str(own)} if not port and own else set())
    return (
        patch.match.get("name") in known
        and int(patch.match.get("portNumber") or 0) in (0, own)
        and all(_asks(patch, *each) for each in zip(("gateway", "portName"), gateways, strict=False))
    )


def _asks(patch: Patch, field: str, own: str) -> bool:
    return patch.match.get(field) in (None, "", own)


def _host(host: Any, patches: Sequence[Patch]) -> Any | None:
    """One virtual host, None when it is taken out."""
    fitting = [each for each in patches if dig(each.match, "vhost", "name", default="") in ("", host.name)]
    for patch in of(fitting, "VIRTUAL_HOST"):
        if patch.operation == "REMOVE":
            return None
        if patch.operation == "MERGE":
            merge(host, patch.value)
        elif patch.operation == "REPLACE":
            host = patch.value
    given = of(fitting, "HTTP_ROUTE")
    if given:
        tunnel = int(
            bool(host.routes) and host.routes[0].match.HasField("connect_matcher")
        )  # ours, of HTTP proxies only
        refill(host.routes, [*host.routes[:tunnel], *_routes(list(host.routes[tunnel:]), given)])
    return host


def _routes(items: list[Any], patches: Sequence[Patch]) -> list[Any]:
    for patch in patches:
        if patch.operation == "REMOVE":
            items = [each for each in items if not _is_route(patch, each)]
        elif patch.operation == "MERGE":
            items = [_merged(each, patch) if _is_route(patch, each) else each for each in items]
    for patch in patches:
        asked = bool(dig(patch.match, "vhost", "route"))
        if patch.operation in ("REMOVE", "MERGE"):
            continue
        if patch.operation == "INSERT_FIRST" and asked and not any(_is_route(patch, each) for each in items):
            continue
        edit(items, patch, _finder(patch) if asked else None)
    return items


def _finder(patch: Patch) -> Callable[[Any], bool]:
    return lambda each: _is_route(patch, each)


_ACTIONS = {"ROUTE": "route", "REDIRECT": "redirect", "DIRECT_RESPONSE": "direct_response"}


def _is_route(patch: Patch, route: Any) -> bool:
    asked = dig(patch.match, "vhost", "route", default={})
    action = _ACTIONS.get(str(asked.get("action")))
    return asked.get("name") in (None, "", route.name) and (action is None or route.HasField(action))
