"""EnvoyFilters decoded: what each patch is for, and which hold for a proxy, in what order.

Pure. In: EnvoyFilters. Out: `Patch`es, ready to be applied, and findings for those that cannot be.
Order: lower priority first, then the root namespace's, then older, then by `name.namespace`; inside one object as
listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from graylane.mesh.filters.code import watch
from graylane.mesh.filters.types import BadValue, parse
from graylane.mesh.findings import Finding, doubtful, invalid, unsupported
from graylane.mesh.inputs import Block, EnvoyFilter, Proxy, selects
from graylane.model.meta import dig

HCM = "envoy.filters.network.http_connection_manager"
ISTIO_VERSION = "1.23.2"
INBOUND, INBOUND_LISTENER, INBOUND_PORT = "SIDECAR_INBOUND", "virtualInbound", 15006
_CONTEXTS = ("ANY", INBOUND, "SIDECAR_OUTBOUND", "GATEWAY")
_INSERTS = ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST")
_OPERATIONS = ("MERGE", "ADD", "REMOVE", *_INSERTS, "REPLACE")


@dataclass(frozen=True, slots=True)
class Kind:
    """One `applyTo`: what a value is read as, the match it goes with, what can be done, whether it needs a name."""

    message: Any
    match: str
    operations: tuple[str, ...]
    named: bool = True


_WHOLE = ("MERGE", "ADD", "REMOVE", *_INSERTS)
KINDS = {
    "LISTENER": Kind(listener_pb2.Listener, "listener", _WHOLE, named=False),
    "LISTENER_FILTER": Kind(
        listener_components_pb2.ListenerFilter, "listener", ("ADD", "REMOVE", *_INSERTS, "REPLACE")
    ),
    "FILTER_CHAIN": Kind(listener_components_pb2.FilterChain, "listener", _WHOLE, named=False),
    "NETWORK_FILTER": Kind(listener_components_pb2.Filter, "listener", _OPERATIONS),
    "HTTP_FILTER": Kind(hcm_pb2.HttpFilter, "listener", _OPERATIONS),
    "ROUTE_CONFIGURATION": Kind(route_pb2.RouteConfiguration, "routeConfiguration", ("MERGE",)),
    "VIRTUAL_HOST": Kind(route_components_pb2.VirtualHost, "routeConfiguration", (*_WHOLE, "REPLACE")),
    "HTTP_ROUTE": Kind(route_components_pb2.Route, "routeConfiguration", _WHOLE, named=False),
    "CLUSTER": Kind(cluster_pb2.Cluster, "cluster", _WHOLE),
    "BOOTSTRAP": Kind(bootstrap_pb2.Bootstrap, "", ("MERGE",), named=False),
    "EXTENSION_CONFIG": Kind(extension_pb2.TypedExtensionConfig, "", ("ADD",)),
}
ON_LISTENERS = ("LISTENER", "LISTENER_FILTER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "EXTENSION_CONFIG")
ON_ROUTES = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_MUST_FIND = {  # what a removal, or a replacement, has to name
    "HTTP_FILTER": ("listener", "filterChain", "filter", "subFilter", "name"),
    "NETWORK_FILTER": ("listener", "filterChain", "filter", "name"),
    "LISTENER_FILTER": ("listener", "listenerFilter"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One patch, `index` in its owner's list. `match` is the part that goes with what it applies to, {} for none."""

    owner: EnvoyFilter
    target: str
    operation: str
    context: str
    match: Block
    value: Any
    index: int = 0

    @property
    def adds(self) -> bool:
        """Of what is not in an ordered list, inserting is adding."""
        ordered = self.target in ("LISTENER_FILTER", "NETWORK_FILTER", "HTTP_FILTER", "HTTP_ROUTE")
        return self.operation == "ADD" or (self.operation in _INSERTS and not ordered)

    def holds_in(self, context: str) -> bool:
        return self.context in ("ANY", context)

    def on_listener(self, name: str, port: int) -> bool:
        """Whether a listener is one this patch is for; what it names inside is looked for later."""
        return self.match.get("name") in (None, "", name) and int(self.match.get("portNumber") or 0) in (0, port)

    def on_cluster(self, name: str, host: str, port: int, subset: str) -> bool:
        """A name alone decides where it is given."""
        if self.match.get("name"):
            return bool(self.match["name"] == name)
        return (
            self.match.get("service") in (None, "", host)
            and self.match.get("subset") in (None, "", subset)
            and int(self.match.get("portNumber") or 0) in (0, port)
        )


def decode(owner: EnvoyFilter) -> tuple[tuple[Patch, ...], tuple[Finding, ...]]:
    patches: list[Patch] = []
    findings: list[Finding] = []
    for index, block in enumerate(owner.patches):
        path = f"spec.configPatches[{index}]"
        problem = _problem(block, path)
        if problem is not None:
            findings.append(problem)
            continue
        try:
            value, complaints = _value(block, path)
        except BadValue as error:
            findings.append(invalid(str(error)))
            continue
        findings.extend(map(doubtful, complaints))
        patch = _patch(owner, index, block, value)
        if taken := _ours(patch):
            findings.append(unsupported(f"{path}.patch.value.{taken}"))
            continue
        watch(value, owner.source, path)
        if _cuts_off(patch):
            findings.append(unsupported(f"{path}.patch.operation REMOVE on LISTENER {INBOUND_LISTENER}"))
        if _meant(block):
            patches.append(patch)
    return tuple(patches), tuple(findings)


_OURS = ("node", "admin", "dynamic_resources")
CONTROL_PLANE = "xds"


def _ours(patch: Patch) -> str:
    """The part of a bootstrap without which Envoy would not be found or not be told anything, "" for none."""
    if patch.target != "BOOTSTRAP":
        return ""
    taken = next((name for name in _OURS if patch.value.HasField(name)), "")
    if not taken and any(each.name == CONTROL_PLANE for each in patch.value.static_resources.clusters):
        return f"static_resources.clusters[{CONTROL_PLANE}]"
    return taken


def _cuts_off(patch: Patch) -> bool:
    """Whether it would take away what all requests to a pod come in by; nobody means that, and it is not done."""
    removes = patch.operation == "REMOVE" and patch.target == "LISTENER" and patch.holds_in(INBOUND)
    return removes and patch.on_listener(INBOUND_LISTENER, INBOUND_PORT)


def _problem(block: Block, path: str) -> Finding | None:
    apply_to, operation = str(block.get("applyTo")), dig(block, "patch", "operation")
    kind = KINDS.get(apply_to)
    if kind is None:
        return unsupported(f"{path}.applyTo {apply_to}")
    if operation not in _OPERATIONS:
        return invalid(f"{path}.patch.operation {operation!r} is none of {', '.join(_OPERATIONS)}")
    if operation not in kind.operations:
        return unsupported(f"{path}.patch.operation {operation} on {apply_to}")
    return _bad_match(block.get("match") or {}, apply_to, operation, kind, path)


def _bad_match(match: Block, apply_to: str, operation: str, kind: Kind, path: str) -> Finding | None:
    if match.get("context", "ANY") not in _CONTEXTS:
        return invalid(f"{path}.match.context {match['context']!r} is none of {', '.join(_CONTEXTS)}")
    for field in ("listener", "routeConfiguration", "cluster"):
        if match.get(field) and field != kind.match:
            return invalid(f"{path}.match.{field} does not go with applyTo {apply_to}")
    if dig(match, "proxy", "metadata"):
        return unsupported(f"{path}.match.proxy.metadata")
    try:
        re.compile(str(dig(match, "proxy", "proxyVersion", default="")))
    except re.error as error:
        return invalid(f"{path}.match.proxy.proxyVersion does not compile: {error}")
    if operation in ("REMOVE", "REPLACE") and apply_to in _MUST_FIND and not dig(match, *_MUST_FIND[apply_to]):
        return doubtful(f"{path}.match names no filter, so nothing is {operation.lower()}d")
    return None


def _meant(block: Block) -> bool:
    """Whether a patch is for proxies of our version."""
    return re.search(str(dig(block, "match", "proxy", "proxyVersion", default="")), ISTIO_VERSION) is not None


def _value(block: Block, path: str) -> tuple[Any, list[str]]:
    kind = KINDS[block["applyTo"]]
    message = kind.message()
    operation = dig(block, "patch", "operation")
    if operation == "REMOVE":
        return message, []
    complaints = parse(dig(block, "patch", "value", default={}), message, f"{path}.patch.value")
    if operation != "MERGE" and kind.named and not message.name:
        raise BadValue(f"{path}.patch.value.name is missing")
    return message, complaints


def _patch(owner: EnvoyFilter, index: int, block: Block, value: Any) -> Patch:
    match = block.get("match") or {}
    return Patch(
        owner=owner,
        target=str(block["applyTo"]),
        operation=str(block["patch"]["operation"]),
        context=str(match.get("context") or "ANY"),
        match=match.get(KINDS[block["applyTo"]].match) or {},
        value=value,
        index=index,
    )


def for_proxy(filters: Iterable[EnvoyFilter], proxy: Proxy, root_namespace: str) -> list[EnvoyFilter]:
    """The EnvoyFilters that select a proxy: the root namespace's and its own namespace's, in order."""
    scope = (root_namespace, proxy.namespace)
    found = (each for each in filters if each.namespace in scope and selects(each.selector, proxy.labels))
    return sorted(found, key=lambda each: _order(each, root_namespace))


def bootstraps(filters: Iterable[EnvoyFilter], root_namespace: str) -> Iterable[tuple[EnvoyFilter, tuple[Patch, ...]]]:
    """The EnvoyFilters that want something in the bootstrap, whichever proxy they select, in order."""
    for each in sorted(filters, key=lambda each: _order(each, root_namespace)):
        if any(block.get("applyTo") == "BOOTSTRAP" for block in each.patches):
            wanted = tuple(patch for patch in decode(each)[0] if patch.target == "BOOTSTRAP")
            if wanted:
                yield each, wanted


def _order(each: EnvoyFilter, root_namespace: str) -> tuple[int, bool, str, str]:
    source = each.source
    return (each.priority, each.namespace != root_namespace, each.created, f"{source.name}.{source.namespace}")
