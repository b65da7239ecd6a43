"""Gateways and EnvoyFilters: ports and hosts that clash or lead nowhere, patches that cannot take effect.

Pure. In: `Inputs`. Out: findings, each with the object it is about.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.chain import hosts
from graylane.mesh.analyzers import messages
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import EnvoyFilter, Gateway, Inputs, ProxyKind, Server, Source, selects

Found = Iterator[tuple[Source, Finding]]
_RELATIVE = ("INSERT_BEFORE", "INSERT_AFTER", "REPLACE", "REMOVE", "MERGE")
_ROUTES = ("ROUTE_CONFIGURATION", "HTTP_ROUTE")


def gateways(inputs: Inputs) -> Found:
    for gateway in inputs.gateways:
        yield from _same_ports(inputs, gateway)
        yield from _unserved_ports(inputs, gateway)


def _same_ports(inputs: Inputs, gateway: Gateway) -> Found:
    """Another Gateway with the same selector that opens the same port for the same hosts."""
    for server in gateway.servers:
        others = {
            other.full_name: overlap
            for other in inputs.gateways
            if other is not gateway and other.selector == gateway.selector
            for theirs in other.servers
            if theirs.number == server.number and (overlap := _overlap(server, theirs))
        }
        if others:
            clash = sorted({host for found in others.values() for host in found})
            yield gateway.source, messages.same_port(others, gateway.selector or {}, server.number, clash)


def _overlap(left: Server, right: Server) -> list[str]:
    return [
        host
        for space, host in left.hosts
        for other_space, other in right.hosts
        if hosts.matches(host, other) and (space == other_space or "*" in (space, other_space))
    ]


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
    for each in inputs.envoy_filters:
        yield from ((each.source, finding) for finding in dict.fromkeys(_patches(each)))


def _patches(owner: EnvoyFilter) -> Iterator[Finding]:
    for patch in owner.patches:
        applies = str(patch.get("applyTo") or "")
        operation = str((patch.get("patch") or {}).get("operation") or "")
        misplaced = operation == "REPLACE" and applies not in ("HTTP_FILTER", "NETWORK_FILTER")
        if misplaced or (operation in ("ADD", "REMOVE") and applies in _ROUTES):
            yield messages.misplaced(operation)
        elif operation in _RELATIVE and not owner.spec.get("priority"):
            version = ((patch.get("match") or {}).get("proxy") or {}).get("proxyVersion")
            yield messages.relative(version=bool(version))
