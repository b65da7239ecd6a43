"""Gateways and EnvoyFilters: ports and hosts that clash or lead nowhere, patches that cannot take effect.

Pure. In: `Inputs`. Out: findings, each with the object it is about.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.mesh.analyzers import messages
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import Block, EnvoyFilter, Gateway, Inputs, ProxyKind, Server, Source, selects
from graylane.model.meta import dig

Found = Iterator[tuple[Source, Finding]]
_RELATIVE = ("INSERT_BEFORE", "INSERT_AFTER", "REPLACE", "REMOVE")
_ROUTES = ("ROUTE_CONFIGURATION", "HTTP_ROUTE")


def gateways(inputs: Inputs) -> Found:
    for gateway in inputs.gateways:
        if not gateway.translated:  # of listeners the mesh says which is not opened
            yield from _same_ports(inputs, gateway)
        yield from _unserved_ports(inputs, gateway)


def _same_ports(inputs: Inputs, gateway: Gateway) -> Found:
    """Another Gateway with the same selector that opens the same port at the same address for one of the very hosts."""
    for server, bind in _bound(gateway):
        others = [
            other.full_name
            for other in inputs.gateways
            if other is not gateway and other.selector == gateway.selector
            for theirs, their_bind in _bound(other)
            if theirs.number == server.number and bind == their_bind and set(server.hosts) & set(theirs.hosts)
        ]
        if others:
            names = [host if space == "*" else f"{space}/{host}" for space, host in server.hosts]
            told = sorted(set(others))
            yield gateway.source, messages.same_port(told, gateway.selector or {}, server.number, names)


def _bound(gateway: Gateway) -> Iterator[tuple[Server, str]]:
    written = gateway.spec.get("servers") or ()
    return ((server, str(block.get("bind") or "")) for server, block in zip(gateway.servers, written, strict=True))


def _unserved_ports(inputs: Inputs, gateway: Gateway) -> Found:
    routers = [each for each in inputs.proxies if each.kind is ProxyKind.ROUTER]
    in_front = [
        service
        for service in inputs.services
        for router in routers
        if selects(gateway.selector, router.labels)
        and service.namespace == router.namespace
        and service.selector
        and selects(service.selector, router.labels)
    ]
    for server in gateway.servers if in_front else ():
        if not any(server.number in (port.number, port.target) for service in in_front for port in service.ports):
            yield gateway.source, messages.port_not_on_service(server.number, gateway.selector or {})


def filters(inputs: Inputs) -> Found:
    """Patches that depend on others, of which it is worse where another of that name is for some proxies only."""
    versioned: set[str] = set()
    for each in sorted(inputs.envoy_filters, key=lambda each: (each.source.namespace, each.source.name)):
        yield from ((each.source, finding) for finding in dict.fromkeys(_patches(each, versioned)))


def _patches(owner: EnvoyFilter, versioned: set[str]) -> Iterator[Finding]:
    for patch in owner.patches:
        applies = str(patch.get("applyTo") or "")
        operation = str((patch.get("patch") or {}).get("operation") or "")
        name = _named(patch)
        misplaced = operation == "REPLACE" and applies not in ("HTTP_FILTER", "NETWORK_FILTER")
        if misplaced or (operation in ("ADD", "REMOVE") and applies in _ROUTES):
            yield messages.misplaced(operation)
        elif operation in _RELATIVE and not owner.spec.get("priority"):
            yield messages.relative(version=name in versioned)
        if dig(patch, "match", "proxy", "proxyVersion"):
            versioned.add(name)


def _named(patch: Block) -> str:
    """What a patch brings along, else the filter it looks for; "" for neither."""
    value = dig(patch, "patch", "value", default={})
    found = value.get("name") or (dig(patch, "match", "listener", "filterChain", "filter", "name") if value else "")
    return str(found or "")
