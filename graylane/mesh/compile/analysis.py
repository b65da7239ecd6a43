"""What each configuration object refers to that does not exist, and what it asks for that we do not do.

Pure. In: the `World`. Out: findings by object state. Missing things are Istio's IST0101; the object works as far as
it can.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from graylane.mesh import fields, hosts
from graylane.mesh.compile.delegates import delegates_of
from graylane.mesh.compile.rules import Rule
from graylane.mesh.compile.world import World
from graylane.mesh.findings import Finding, invalid, no_workloads, not_found, unknown_fields, unsupported
from graylane.mesh.inputs import (
    MESH,
    Block,
    Config,
    DestinationRule,
    Gateway,
    ProxyKind,
    Service,
    Source,
    VirtualService,
    selects,
)
from graylane.mesh.match import regex_fault, regexes, route_match
from graylane.model.meta import dig

_SHAPES = {
    "VirtualService": fields.VIRTUAL_SERVICE,
    "DestinationRule": fields.DESTINATION_RULE,
    "Gateway": fields.GATEWAY,
    "EnvoyFilter": fields.ENVOY_FILTER,
}


def analyse(world: World) -> dict[Source, tuple[Finding, ...]]:
    inputs = world.inputs
    found: dict[Source, tuple[Finding, ...]] = {}
    configs: tuple[Config, ...] = (
        *inputs.gateways,
        *inputs.virtual_services,
        *inputs.destination_rules,
        *inputs.envoy_filters,
    )
    for config in configs:
        found[config.source] = world.memo.get(("fields", config), partial(_fields, config))
    gateways = frozenset(gateway.full_name for gateway in inputs.gateways)
    for service in inputs.virtual_services:
        found[service.source] += _references(world, service, gateways)
    for gateway in inputs.gateways:
        found[gateway.source] += _workloads(world, gateway)
    return found


def _fields(config: Config) -> tuple[Finding, ...]:
    unknown = unknown_fields(config.spec, _SHAPES[config.source.kind], "spec")
    findings = [unsupported(path) for path in dict.fromkeys(unknown)]
    if isinstance(config, VirtualService):
        faults = (regex_fault(pattern) for pattern in _patterns(config))
        findings += [invalid(fault) for fault in dict.fromkeys(faults) if fault]
    if isinstance(config, DestinationRule) and not config.host:
        findings.append(invalid("spec.host is missing"))
    return tuple(findings)


def _patterns(service: VirtualService) -> Iterable[str]:
    for rule in service.http:
        for match in rule.get("match") or ():
            yield from regexes(route_match(match))


def _workloads(world: World, gateway: Gateway) -> tuple[Finding, ...]:
    routers = (proxy for proxy in world.inputs.proxies if proxy.kind is ProxyKind.ROUTER)
    if gateway.selector is None or any(selects(gateway.selector, proxy.labels) for proxy in routers):
        return ()
    return (no_workloads(gateway.selector),)


def _references(world: World, service: VirtualService, gateways: frozenset[str]) -> tuple[Finding, ...]:
    findings = [not_found("gateway", name) for name in service.gateways if name != MESH and name not in gateways]
    known = {each.source.key for each in world.inputs.virtual_services}
    findings += [not_found("delegate", str(key)) for key in delegates_of(service) if key not in known]
    for destination in _destinations(service):
        missing = _missing(world, service, destination)
        if missing is not None and missing not in findings:
            findings.append(missing)
    return tuple(findings)


def _destinations(service: VirtualService) -> Iterable[Block]:
    for rule in service.http:
        for entry in (*(rule.get("route") or ()), *(rule.get("mirrors") or ())):
            yield entry.get("destination") or {}
        if rule.get("mirror"):
            yield rule["mirror"]


def _missing(world: World, owner: VirtualService, destination: Block) -> Finding | None:
    host = hosts.resolve(str(destination.get("host") or ""), owner.namespace, world.domain)
    service = world.services.by_host.get(host)
    if service is None:
        return not_found("host", str(destination.get("host")))
    number = dig(destination, "port", "number")
    if number and service.port(number) is None:
        return not_found("host:port", f"{destination.get('host')}:{number}")
    subset = str(destination.get("subset") or "")
    if subset and not any(rule and rule.subset(subset) for rule in _rules_for(world, owner, service)):
        return not_found("host+subset in destinationrule", f"{destination.get('host')}+{subset}")
    return None


def _rules_for(world: World, owner: VirtualService, service: Service) -> Iterable[Rule | None]:
    """The rules clients of this route may follow: next to the service, next to the route, and each client's own."""
    yield world.services.default_rule(service)
    namespaces = {owner.namespace, *(proxy.namespace for proxy in world.inputs.proxies)}
    for namespace in sorted(namespaces):
        yield world.services.book.effective(service, namespace, {})
