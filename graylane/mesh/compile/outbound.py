"""What pods see when they call out: one route table for all pods of a namespace that no rule tells apart.

Pure. In: the `World`. Out: `Client`s, and for each the `RouteTable` of its HTTP-proxy listeners.

Istio would build one table per port and strip ports from hosts. An HTTP proxy sees all ports on one listener, so here
every domain keeps its port: `b`, `b:8000`, `b.shop.svc.cluster.local:8000`, `10.96.0.7:8000`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from graylane.chain import hosts
from graylane.chain.match import RouteMatch
from graylane.mesh.compile.directory import Client, Group
from graylane.mesh.compile.routes import asks_for_labels, default_route, routes_of
from graylane.mesh.compile.select import ByHost
from graylane.mesh.compile.world import World
from graylane.mesh.inputs import MESH, Labels, Proxy, ProxyKind, Service, ServicePort, Source, VirtualService, selects
from graylane.mesh.table import PASSTHROUGH, SELF, Forward, Route, RouteTable, Target, VirtualHost
from graylane.model.hashing import short_hash

_GATEWAYS = frozenset((MESH,))
_CONNECT = Route("connect", RouteMatch(connect=True), Forward((Target(SELF),), retry=None))
ALLOW_ANY = VirtualHost(
    name="allow_any",
    domains=("*",),
    routes=(
        Route("connect", RouteMatch(connect=True), Forward((Target(PASSTHROUGH),), retry=None)),
        Route("allow_any", RouteMatch(), Forward((Target(PASSTHROUGH),), retry=None)),
    ),
)


def groups(world: World) -> tuple[Group, ...]:
    """The pods that call out, grouped by what tells them apart."""
    proxies = world.inputs.proxies
    namespaces = world.memo.get(("namespaces", proxies), lambda: tuple(sorted({each.namespace for each in proxies})))
    selectors = tuple((namespace, _selectors(world, namespace)) for namespace in namespaces)
    return world.memo.get(("groups", proxies, world.services, selectors), partial(_groups, world, dict(selectors)))


Selectors = tuple[tuple[tuple[str, str], ...], ...]


def _groups(world: World, selectors: dict[str, Selectors]) -> tuple[Group, ...]:
    found: dict[str, list[Proxy]] = {}
    for proxy in world.inputs.proxies:
        if proxy.kind is ProxyKind.SIDECAR:
            hit = [each for each in selectors[proxy.namespace] if selects(dict(each), proxy.labels)]
            identity = f"{proxy.namespace}/{short_hash(hit)}" if hit else proxy.namespace
            found.setdefault(identity, []).append(proxy)
    return tuple(_group(world, identity, proxies) for identity, proxies in found.items())


def _group(world: World, identity: str, proxies: list[Proxy]) -> Group:
    first = proxies[0]
    return Group(Client(identity, first.namespace, first.labels, _GATEWAYS, world.services), tuple(proxies))


def _selectors(world: World, namespace: str) -> Selectors:
    """Everything by which rules seen from `namespace` tell its pods apart, in a stable order."""
    asked = {_sorted(selector) for owner, selector in world.services.book.selectors if owner == namespace}
    for service in world.ordered(namespace):
        asked.update(world.memo.get(("asks", service), partial(_asks, service)))
    return tuple(sorted(asked))


def _asks(service: VirtualService) -> Selectors:
    return tuple(_sorted(labels) for labels in asks_for_labels(service))


def _sorted(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def table_name(client: Client) -> str:
    return f"http_proxy/{client.identity}"


def tables(world: World, sidecars: Iterable[Group]) -> Iterable[RouteTable]:
    return (table(world, group.client) for group in sidecars)


def table(world: World, client: Client) -> RouteTable:
    """Kept for as long as services, the VirtualServices it follows, and the client are the same."""
    services = world.bound(client.namespace, client.gateways)
    key = (client, world.inputs.services, services)
    return world.stage(("outbound", client.identity), key, partial(_table, client, services))


def _table(client: Client, services: tuple[VirtualService, ...], world: World) -> RouteTable:
    by_host = world.memo.get(("by host", services), lambda: ByHost(services))
    found = [*_foreign_hosts(world, client, by_host), *_service_hosts(world, client, by_host), ALLOW_ANY]
    unique = tuple(_without_duplicates(found))
    sources: frozenset[Source] = frozenset().union(*(host.sources for host in unique))
    return RouteTable(table_name(client), "http_proxy", unique, sources)


def _service_hosts(world: World, client: Client, by_host: ByHost) -> Iterable[VirtualHost]:
    for service in world.inputs.services:
        candidates = tuple(by_host.candidates(service.host))
        reached = tuple(world.reached(each, client) for each in candidates)
        key = ("vhosts", client.identity, service, client.rule(service), candidates, reached)
        yield from world.memo.get(key, partial(_ports, world, client, service, candidates))


def _ports(
    world: World, client: Client, service: Service, candidates: tuple[VirtualService, ...]
) -> tuple[VirtualHost, ...]:
    http = (port for port in service.ports if port.protocol.is_http)
    return tuple(_service_host(world, client, service, port, candidates) for port in http)


def _service_host(
    world: World, client: Client, service: Service, port: ServicePort, candidates: tuple[VirtualService, ...]
) -> VirtualHost:
    names = hosts.service_names(service.name, service.namespace, world.domain, client.namespace)
    if service.headless:
        names += [f"*.{name}" for name in names]
    domains = _with_port([*names, *service.addresses], port.number)
    for candidate in candidates:
        routes = routes_of(candidate, client, port.number, world.domain)
        if routes:  # else nothing of it is meant for this client, and the next one may speak
            return VirtualHost(f"{service.host}:{port.number}", domains, (_CONNECT, *routes), world.sources(candidate))
    default = default_route(client, service.host, port.number)
    return VirtualHost(f"{service.host}:{port.number}", domains, (_CONNECT, default))


def _with_port(names: list[str], port: int) -> tuple[str, ...]:
    return tuple(spelled for name in names for spelled in ([name] if port == 80 else []) + [f"{name}:{port}"])


def _foreign_hosts(world: World, client: Client, by_host: ByHost) -> Iterable[VirtualHost]:
    """Hosts of VirtualServices that are no service: reached on port 80 only, as in Istio."""
    for host in (*by_host.exact_hosts, *by_host.wildcard_hosts):
        if host == "*" or client.service(host) is not None:
            continue
        named = tuple(by_host.named(host))
        reached = tuple(world.reached(each, client) for each in named)
        key = ("foreign", client.identity, host, named, reached)
        found = world.memo.get(key, partial(_foreign_host, world, client, host, named))
        if found is not None:
            yield found


def _foreign_host(world: World, client: Client, host: str, services: tuple[VirtualService, ...]) -> VirtualHost | None:
    for service in services:
        routes = routes_of(service, client, 80, world.domain)
        if routes:
            return VirtualHost(f"{host}:80", _with_port([host], 80), (_CONNECT, *routes), world.sources(service))
    return None


def _without_duplicates(found: Iterable[VirtualHost]) -> Iterable[VirtualHost]:
    """Envoy refuses a whole table for one domain that occurs twice, so the first to name a domain keeps it."""
    taken: set[str] = set()
    for host in found:
        free = tuple(domain for domain in host.domains if domain not in taken)
        taken.update(free)
        if len(free) == len(host.domains):
            yield host
        elif free:
            yield replace(host, domains=free)
