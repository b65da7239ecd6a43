"""Who calls whom: the hops of the chain, in the order a request takes them.

Pure. In: a `View`, a namespace. Out: a tree of `Hop`. The root of each tree is a gateway host, or a Service that no
gateway and no other Service leads to. Calls between services are read from what their containers are configured with:
a host of a known Service in an environment variable's value or an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from graylane.chain.hosts import full_name, gateway_name, service_key
from graylane.chain.requests import MESH, Request
from graylane.chain.routing import Rule, destinations_of, rules_for
from graylane.chain.workloads import stable_deployments
from graylane.kit.cache import View
from graylane.model.kinds import GATEWAY, ROLLOUT, SERVICE, VIRTUAL_SERVICE
from graylane.model.meta import Key, Obj, controller_of, dig, key_of, namespace_of

_SIDECAR = "istio-proxy"
_URL = re.compile(
    r"(?:\w+://)?(?P<host>[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?)(?::(?P<port>\d{1,5}))?(?P<path>/\S*)?"
)


@dataclass(frozen=True, slots=True)
class Call:
    """How one hop is reached: the request its caller sends, without dye and without the caller's labels.

    `authority` is the host as the caller is configured to spell it, with the port; "" at a gateway.
    """

    service: Key
    request: Request
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A way in: a gateway and a host on it."""

    gateway: Key
    host: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One Service on the way, how it is reached, and what it calls in turn."""

    call: Call
    calls: tuple[Hop, ...] = ()

    def walk(self) -> Iterator[Hop]:
        yield self
        for hop in self.calls:
            yield from hop.walk()


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything that one entry leads to; `entry` is None for Services that only the mesh calls."""

    entry: Entry | None
    hops: tuple[Hop, ...]


def trees(view: View, namespace: str) -> list[Tree]:
    """One tree for each gateway host, then one for what no gateway leads to."""
    found = [Tree(entry, _hops(view, _entry_calls(view, entry))) for entry in entries(view, namespace)]
    seen = {hop.call.service for tree in found for root in tree.hops for hop in root.walk()}
    rest = [key_of(service) for service in view.list(SERVICE, namespace) if _may_be_called(view, service)]
    unreached = [key for key in rest if key not in seen]
    called = {call.service for key in unreached for call in _calls_from(view, key)}
    first = [key for key in unreached if key not in called] or unreached  # a ring has no first: show all of it
    roots = [_mesh_call(key, "/", _port_of(view, key), key.namespace) for key in first]
    return found + ([Tree(None, _hops(view, roots))] if roots else [])


def _may_be_called(view: View, service: Obj) -> bool:
    """A canary's Service that a Rollout made is for its own rules: nobody is configured to call it."""
    made = (controller_of(service) or {}).get("kind") == ROLLOUT.kind
    return not made and bool(stable_deployments(view, service))


def entries(view: View, namespace: str) -> list[Entry]:
    """Gateway and host of every VirtualService that is bound to a gateway, each once."""
    gateways = {str(key_of(item)): key_of(item) for item in view.list(GATEWAY)}
    found: dict[Entry, None] = {}
    for item in view.list(VIRTUAL_SERVICE, namespace):
        for name in dig(item, "spec", "gateways", default=[]):
            key = gateways.get(gateway_name(name, namespace_of(item)))
            for host in dig(item, "spec", "hosts", default=[]) if key else []:
                found[Entry(key, full_name(host, namespace_of(item)))] = None  # type: ignore[arg-type]
    return list(found)


def _entry_calls(view: View, entry: Entry) -> list[Call]:
    """Each Service behind a gateway host once, with a path that its rule would accept."""
    request = Request(entry.host, gateway=str(entry.gateway))
    calls: dict[Key, Call] = {}
    for rule in reversed(rules_for(view, request)):  # the last rule of a Service is its plain one
        for service, _ in destinations_of(rule):
            if service is not None and service not in calls and view.get(SERVICE, *service):
                calls[service] = Call(service, Request(entry.host, _sample_path(rule), gateway=str(entry.gateway)))
    return list(reversed(calls.values()))


def _sample_path(rule: Rule) -> str:
    """A path the rule covers, where it asks for one literally."""
    uris = [match["uri"] for match in rule.body.get("match") or [] if match.get("uri")]
    return next((str(uri[kind]) for uri in uris for kind in ("exact", "prefix") if kind in uri), "/")


def _hops(view: View, calls: list[Call], above: frozenset[Key] = frozenset()) -> tuple[Hop, ...]:
    """Depth first; a Service that is already above is not entered again."""
    return tuple(
        Hop(call, _hops(view, _calls_from(view, call.service), above | {call.service}))
        for call in calls
        if call.service not in above
    )


def _calls_from(view: View, caller: Key) -> list[Call]:
    service = view.get(SERVICE, *caller)
    if service is None:
        return []
    templates = [dig(each, "spec", "template", "spec", default={}) for each in stable_deployments(view, service)]
    calls = [call for spec in templates for call in _configured_calls(view, spec, caller.namespace)]
    return _each_once(call for call in calls if call.service != caller)


def calls_of_pod(view: View, pod: Obj) -> list[Call]:
    """What one pod is configured to call; its own Service too, where it says so."""
    return _each_once(_configured_calls(view, pod.get("spec") or {}, namespace_of(pod)))


def _each_once(calls: Iterable[Call]) -> list[Call]:
    """The first way in which each Service is called."""
    found: dict[Key, Call] = {}
    for call in calls:
        found.setdefault(call.service, call)
    return list(found.values())


def _configured_calls(view: View, spec: Obj, namespace: str) -> Iterator[Call]:
    calls = (_call_in(view, text, namespace) for text in _configured_texts(spec))
    return (call for call in calls if call is not None)


def _configured_texts(spec: Obj) -> Iterator[str]:
    for container in spec.get("containers") or []:
        if container.get("name") == _SIDECAR:
            continue  # a mesh's proxy, put into the pod: it calls its control plane, and no hop of the chain
        yield from (str(entry["value"]) for entry in container.get("env") or [] if entry.get("value"))
        yield from map(str, [*(container.get("command") or []), *(container.get("args") or [])])


def _call_in(view: View, text: str, namespace: str) -> Call | None:
    """`http://mockb:8000/x` → a call of mockb. A bare word needs a scheme or a port, so that `app=mockb` is no call."""
    value = text.rpartition("=")[2] if text.startswith("-") else text
    url = _URL.fullmatch(value.strip())
    if url is None or not ("://" in value or url["port"]):
        return None
    key = service_key(url["host"], namespace)
    if key is None or view.get(SERVICE, *key) is None:
        return None
    port = int(url["port"] or 80)
    authority = url["host"] if port == 80 else f"{url['host']}:{port}"
    return replace(_mesh_call(key, url["path"] or "/", port, namespace), authority=authority)


def _mesh_call(key: Key, path: str, port: int, namespace: str) -> Call:
    host = full_name(key.name, key.namespace)
    return Call(key, Request(host, path, port, gateway=MESH, source_namespace=namespace))


def _port_of(view: View, key: Key) -> int:
    return int(dig(view.get(SERVICE, *key), "spec", "ports", 0, "port", default=80))
