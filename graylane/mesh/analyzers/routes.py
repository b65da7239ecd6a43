"""VirtualServices: hosts that two speak for, ports that are not said, rules never used, gateways that do not fit.

Pure. In: `Inputs`. Out: findings, each with the object it is about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from graylane.chain import hosts
from graylane.chain.validation.reach import unreached
from graylane.mesh.analyzers import messages
from graylane.mesh.compile.gateways import shared_hosts
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import MESH, Block, Inputs, Service, Source, VirtualService

Found = Iterator[tuple[Source, Finding]]


def routes(inputs: Inputs) -> Found:
    yield from _same_hosts(inputs)
    services = {service.host: service for service in inputs.services}
    for each in inputs.virtual_services:
        yield from _rules(each)
        yield from _ports(inputs, each, services)
        yield from _gateway_hosts(inputs, each)
    yield from _subsets_at_gateways(inputs)


def _same_hosts(inputs: Inputs) -> Found:
    by_host: dict[str, list[VirtualService]] = defaultdict(list)
    for each in inputs.virtual_services:
        for host in dict.fromkeys(each.hosts) if MESH in each.gateways else ():
            by_host[host].append(each)
    for host, found in by_host.items():
        for each in found:
            clash = [other for other in found if other is each or _meet(each, other)]
            if len(clash) > 1:
                yield each.source, messages.same_host([str(other.source.key) for other in clash], host)


def _meet(left: VirtualService, right: VirtualService) -> bool:
    """Whether some namespace sees both."""
    spaces = {left.namespace, right.namespace, *left.export_to, *right.export_to, "anywhere else"} - {"*", ".", "~"}
    return any(left.visible_from(space) and right.visible_from(space) for space in spaces)


def _rules(service: VirtualService) -> Found:
    for found in unreached(list(service.http)):
        rule = _named(service.http[found.index], found.index)
        if found.match is None:
            yield service.source, messages.unreachable_rule(rule, found.why)
        else:
            match = service.http[found.index]["match"][found.match]
            yield service.source, messages.useless_match(rule, _named(match, found.match), found.why)


def _named(block: Block, index: int) -> str:
    return str(block.get("name") or f"#{index}")


def _destinations(service: VirtualService) -> Iterator[Block]:
    for rule in service.http:
        for entry in rule.get("route") or ():
            yield entry.get("destination") or {}


def _ports(inputs: Inputs, service: VirtualService, services: dict[str, Service]) -> Found:
    told: set[str] = set()
    for destination in _destinations(service):
        host = hosts.resolve(str(destination.get("host") or ""), service.namespace, inputs.mesh.domain)
        target = services.get(host)
        if target is not None and len(target.ports) > 1 and not destination.get("port") and host not in told:
            told.add(host)
            yield service.source, messages.port_needed(host, (port.number for port in target.ports))


def _gateway_hosts(inputs: Inputs, service: VirtualService) -> Found:
    for gateway in inputs.gateways:
        if gateway.full_name not in service.gateways:
            continue
        shown = [host for host in service.hosts if not _shown(inputs, gateway.full_name, service, host)]
        if shown:
            yield service.source, messages.not_in_gateway(shown, service.source.name, gateway.full_name)


def _shown(inputs: Inputs, gateway: str, service: VirtualService, host: str) -> bool:
    servers = (server for each in inputs.gateways if each.full_name == gateway for server in each.servers)
    return any(
        namespace in ("*", service.namespace) and hosts.matches(admitted, host)
        for server in servers
        if shared_hosts(server, service)
        for namespace, admitted in server.hosts
    )


def _subsets_at_gateways(inputs: Inputs) -> Found:
    """A gateway sends to a host without a subset, while a rule of the mesh for that host has subsets."""
    domain = inputs.mesh.domain
    in_mesh: dict[str, VirtualService] = {}
    for each in inputs.virtual_services:
        if MESH in each.gateways and any(destination.get("subset") for destination in _destinations(each)):
            in_mesh.update(dict.fromkeys(each.hosts, each))
    for each in inputs.virtual_services:
        at = [name for name in each.gateways if name != MESH]
        for destination in _destinations(each) if at else ():
            host = hosts.resolve(str(destination.get("host") or ""), each.namespace, domain)
            other = in_mesh.get(host)
            if other is not None and other is not each and not destination.get("subset"):
                yield other.source, messages.subset_not_at_gateway(str(other.source.key), at[0])
