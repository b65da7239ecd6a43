"""VirtualServices: hosts that two speak for, ports that are not said, rules never used, gateways that do not fit.

Pure. In: `Inputs`. Out: findings, each with the object it is about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from graylane.chain import hosts
from graylane.chain.validation.reach import unreached
from graylane.mesh.analyzers import messages
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import MESH, Block, Inputs, Service, Source, VirtualService

Found = Iterator[tuple[Source, Finding]]


def routes(inputs: Inputs) -> Found:
    yield from _same_hosts(inputs)
    listed = (service for entry in inputs.service_entries for service in entry.services)
    services = {service.host: service for service in (*listed, *inputs.services)}
    for each in inputs.virtual_services:
        yield from _rules(each)
        yield from _ports(inputs, each, services)
        yield from _called_ports(inputs, each, services)
        yield from _gateway_hosts(inputs, each)
    yield from _subsets_at_gateways(inputs)


def _same_hosts(inputs: Inputs) -> Found:
    """One host in one scope; what is for some namespaces only also clashes with what is for all and overlaps."""
    by_scope: dict[tuple[str, str], list[VirtualService]] = defaultdict(list)
    for each in inputs.virtual_services:
        for scope in _scopes(each) if MESH in each.gateways else ():
            for host in dict.fromkeys(each.hosts):
                by_scope[scope, host].append(each)
    of_all = {host: found for (scope, host), found in by_scope.items() if scope == "*"}
    told: set[Source] = set()
    for (scope, host), found in by_scope.items():
        wider = of_all.items() if scope != "*" else ()
        clash = [*found, *(each for other, there in wider if hosts.matches(host, other) for each in there)]
        for each in clash if len(clash) > 1 else ():
            if each.source not in told:
                told.add(each.source)
                yield each.source, messages.same_host(sorted(str(other.source.key) for other in clash), host)


def _scopes(service: VirtualService) -> set[str]:
    if not service.export_to or "*" in service.export_to:
        return {"*"}
    return {service.namespace if scope == "." else scope for scope in service.export_to}


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


def _called_ports(inputs: Inputs, service: VirtualService, services: dict[str, Service]) -> Found:
    """Without a port a pod's request goes to the port that it called, which the destination need not have."""
    known = (host for host in service.hosts if host in services)
    called = [(host, port.number) for host in known for port in services[host].ports if port.protocol.is_http]
    found: dict[Finding, None] = {}
    for rule in service.http if MESH in service.gateways else ():
        for destination in (entry.get("destination") or {} for entry in rule.get("route") or ()):
            name = hosts.resolve(str(destination.get("host") or ""), service.namespace, inputs.mesh.domain)
            target = services.get(name)
            for host, number in called if target is not None and not destination.get("port") else ():
                if target is not None and target.port(number) is None and _asks_for(rule, number):
                    numbers = (port.number for port in target.ports)
                    found[messages.port_not_called(host, number, name, numbers)] = None
    return ((service.source, finding) for finding in found)


def _asks_for(rule: Block, port: int) -> bool:
    """Whether any match is for pods that call this port."""
    matches = rule.get("match") or [{}]
    return any(match.get("port") in (None, 0, port) and MESH in (match.get("gateways") or [MESH]) for match in matches)


def _gateway_hosts(inputs: Inputs, service: VirtualService) -> Found:
    """None of its hosts is one of the gateway's, or there is no such gateway."""
    written = [str(host) for host in service.spec.get("hosts") or ()]
    for name in service.gateways:
        servers = [server for each in inputs.gateways if each.full_name == name for server in each.servers]
        admitted = [host for server in servers for space, host in server.hosts if space in ("*", service.namespace)]
        if name != MESH and not any(hosts.matches(one, other.lower()) for one in admitted for other in written):
            yield service.source, messages.not_in_gateway(written, str(service.source.key), name)


def _subsets_at_gateways(inputs: Inputs) -> Found:
    """A gateway sends to a host without a subset, while a rule for that host has subsets. Hosts as they are written."""
    split: dict[str, list[VirtualService]] = defaultdict(list)
    for each in inputs.virtual_services:
        own = {destination.get("host") for destination in _destinations(each) if destination.get("subset")}
        for host in own.intersection(each.spec.get("hosts") or ()):
            split[str(host)].append(each)
    for each in inputs.virtual_services:
        for destination in _destinations(each) if each.spec.get("gateways") else ():
            for other in split.get(str(destination.get("host")), ()) if not destination.get("subset") else ():
                yield each.source, messages.subset_not_at_gateway(str(other.source.key), str(each.source.key))
