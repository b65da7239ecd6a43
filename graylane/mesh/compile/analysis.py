"""What each configuration object refers to that does not exist, and what it asks for that we do not do.

Pure. In: the `World`. Out: findings by object state. Missing things are Istio's IST0101; the object works as far as
it can.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from graylane.chain import hosts
from graylane.chain.match import regex_fault, regexes, route_match
from graylane.mesh.compile.delegates import delegates_of
from graylane.mesh.compile.directory import Services
from graylane.mesh.compile.policy import every, hashing_fault
from graylane.mesh.compile.refusals import refusals, reservations
from graylane.mesh.compile.rules import Rule
from graylane.mesh.compile.world import World
from graylane.mesh.findings import Finding, invalid, no_workloads, not_found, unsupported
from graylane.mesh.inputs import (
    CONFIG_FIELDS,
    MESH,
    Block,
    Config,
    DestinationRule,
    Gateway,
    Proxy,
    ProxyKind,
    Service,
    ServiceEntry,
    Source,
    VirtualService,
    selects,
)
from graylane.mesh.memo import Memo, Table
from graylane.model.meta import Key, dig

Findings = Table[Source, tuple[Finding, ...]]


def analyse(world: World) -> Findings:
    """An entry for every configuration object, empty where there is nothing to say."""
    inputs = world.inputs
    configs = tuple(getattr(inputs, field) for field in CONFIG_FIELDS)
    surroundings = _surroundings(world)
    return world.stage("analysis", (configs, world.services, surroundings), partial(_analyse, surroundings))


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """What references are looked up in besides services and rules. The same object for as long as it is equal."""

    namespaces: frozenset[str]
    routers: tuple[Proxy, ...]
    gateways: frozenset[str]
    delegates: frozenset[Key]


def _surroundings(world: World) -> _Surroundings:
    inputs = world.inputs
    found = (
        *world.memo.get(("callers", inputs.proxies), partial(_callers, inputs.proxies)),
        frozenset(gateway.full_name for gateway in inputs.gateways),
        frozenset(each.source.key for each in inputs.virtual_services if not each.hosts),
    )
    return world.memo.get(("surroundings", found), lambda: _Surroundings(*found))


def _callers(proxies: tuple[Proxy, ...]) -> tuple[frozenset[str], tuple[Proxy, ...]]:
    """The namespaces there are pods in, and the routers among them."""
    routers = tuple(proxy for proxy in proxies if proxy.kind is ProxyKind.ROUTER)
    return frozenset(proxy.namespace for proxy in proxies), routers


def _analyse(around: _Surroundings, world: World) -> Findings:
    inputs, memo = world.inputs, world.memo
    found: Findings = Table()
    for field in CONFIG_FIELDS:
        configs = getattr(inputs, field)
        found.update(memo.stage(("fields", field), configs, partial(_fields_of, configs)))
    referred: _Referred = memo.renew("references", partial(_all_references, world, around))
    for service, findings in referred.each.items():
        if findings:
            found[service.source] += findings
    for gateway in inputs.gateways:
        found[gateway.source] += _workloads(gateway, around)
    return found


def _fields_of(configs: tuple[Config, ...], memo: Memo) -> Findings:
    told = memo.each("fields", configs, _fields)
    return Table(zip((each.source for each in configs), told, strict=True))


def _fields(config: Config) -> tuple[Finding, ...]:
    findings = [unsupported(path) for path in refusals(config)]
    if isinstance(config, VirtualService):
        faults = (regex_fault(pattern) for pattern in _patterns(config))
        findings += [invalid(fault) for fault in dict.fromkeys(faults) if fault]
        findings += reservations(config)
    if isinstance(config, DestinationRule):
        if not config.host:
            findings.append(invalid("spec.host is missing"))
        findings += [invalid(fault) for block in every("loadBalancer", config.spec) if (fault := hashing_fault(block))]
        findings += reservations(config)
    if isinstance(config, ServiceEntry):
        findings += map(invalid, _bad_addresses(config))
    return tuple(findings)


def _patterns(service: VirtualService) -> Iterable[str]:
    for rule in service.http:
        for match in rule.get("match") or ():
            yield from regexes(route_match(match))


def _bad_addresses(entry: ServiceEntry) -> Iterable[str]:
    if entry.spec.get("resolution") != "STATIC":
        return
    for index, endpoint in enumerate(entry.spec.get("endpoints") or ()):
        address = str(endpoint.get("address") or "")
        if not hosts.is_address(address):
            yield f"spec.endpoints[{index}].address {address!r} is no IP address, as resolution STATIC wants"


def _workloads(gateway: Gateway, around: _Surroundings) -> tuple[Finding, ...]:
    if gateway.selector is None or any(selects(gateway.selector, proxy.labels) for proxy in around.routers):
        return ()
    return (no_workloads(gateway.selector),)


@dataclass(frozen=True, slots=True, eq=False)
class _Referred:
    """What was found of each VirtualService, with these services, in these surroundings."""

    services: Services
    around: _Surroundings
    each: dict[VirtualService, tuple[Finding, ...]]


def _all_references(world: World, around: _Surroundings, last: _Referred | None) -> _Referred:
    services = world.inputs.virtual_services
    touched = world.services.since(last.services) if last is not None and last.around is around else None
    known = last.each if last is not None and touched is not None else {}
    moved = world.leading_to(touched or frozenset(), services)
    each = {
        service: known[service] if service in known and service not in moved else _references(world, around, service)
        for service in services
    }
    return _Referred(world.services, around, each)


def _references(world: World, around: _Surroundings, service: VirtualService) -> tuple[Finding, ...]:
    findings = [not_found("gateway", name) for name in service.gateways if name not in (MESH, *around.gateways)]
    if not service.hosts:
        findings += map(invalid, _delegated_twice(service))
    findings += [not_found("delegate", str(key)) for key in delegates_of(service) if key not in around.delegates]
    namespaces = sorted({service.namespace, *around.namespaces})
    for destination in _destinations(service):
        missing = _missing(world, service, destination, namespaces)
        if missing is not None and missing not in findings:
            findings.append(missing)
    return tuple(findings)


def _delegated_twice(service: VirtualService) -> Iterable[str]:
    for index, rule in enumerate(service.http):
        if rule.get("delegate"):
            yield f"spec.http[{index}].delegate: a VirtualService without hosts may not delegate again"


def _destinations(service: VirtualService) -> Iterable[Block]:
    for rule in service.http:
        for entry in (*(rule.get("route") or ()), *(rule.get("mirrors") or ())):
            yield entry.get("destination") or {}
        if rule.get("mirror"):
            yield rule["mirror"]
    for rule in (*service.tcp, *service.tls):
        for entry in rule.get("route") or ():
            yield entry.get("destination") or {}


def _missing(world: World, owner: VirtualService, destination: Block, namespaces: list[str]) -> Finding | None:
    host = hosts.resolve(str(destination.get("host") or ""), owner.namespace, world.domain)
    service = world.services.by_host.get(host)
    if service is None:
        return not_found("host", str(destination.get("host")))
    number = dig(destination, "port", "number")
    if number and service.port(number) is None:
        return not_found("host:port", f"{destination.get('host')}:{number}")
    subset = str(destination.get("subset") or "")
    if subset and not any(rule and rule.subset(subset) for rule in _rules_for(world, service, namespaces)):
        return not_found("host+subset in destinationrule", f"{destination.get('host')}+{subset}")
    return None


def _rules_for(world: World, service: Service, namespaces: list[str]) -> Iterable[Rule | None]:
    """The rules that clients of any of these namespaces follow, where labels do not matter."""
    yield world.services.default_rule(service)
    for namespace in namespaces:
        yield world.services.book.effective(service, namespace, {})
