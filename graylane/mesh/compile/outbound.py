"""What pods see when they call out: one route table for all pods of a namespace that no rule tells apart.

Pure. In: the `World`. Out: `Client`s, and for each the `RouteTable` of its HTTP-proxy listeners.

Istio would build one table per port and strip ports from hosts. An HTTP proxy sees all ports on one listener, so here
every domain keeps its port: `b`, `b:8000`, `b.shop.svc.cluster.local:8000`, `10.96.0.7:8000`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from graylane.mesh import hosts
from graylane.mesh.compile.directory import Client
from graylane.mesh.compile.routes import asks_for_labels, default_route, routes_of
from graylane.mesh.compile.select import ByHost
from graylane.mesh.compile.world import World
from graylane.mesh.inputs import MESH, Labels, Proxy, ProxyKind, Service, ServicePort, Source, VirtualService, selects
from graylane.mesh.match import RouteMatch
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


def clients(world: World) -> dict[str, tuple[Client, tuple[Proxy, ...]]]:
    """The kinds of clients by identity, each with its pods."""
    found: dict[str, tuple[Client, list[Proxy]]] = {}
    selectors: dict[str, list[Labels]] = {}
    for proxy in world.inputs.proxies:
        if proxy.kind is not ProxyKind.SIDECAR:
            continue
        namespace = proxy.namespace
        if namespace not in selectors:
            key = ("selectors", namespace, world.services.book, world.ordered(namespace))
            selectors[namespace] = world.memo.get(key, partial(_selectors, world, namespace))
        hit = [selector for selector in selectors[namespace] if selects(selector, proxy.labels)]
        identity = f"{namespace}/{short_hash(hit)}" if hit else namespace
        if identity not in found:
            found[identity] = (Client(identity, namespace, proxy.labels, _GATEWAYS, world.services), [])
        found[identity][1].append(proxy)
    return {identity: (client, tuple(pods)) for identity, (client, pods) in found.items()}


def _selectors(world: World, namespace: str) -> list[Labels]:
    """Everything by which rules seen from `namespace` tell its pods apart, in a stable order."""
    asked: list[Labels] = [selector for owner, selector in world.services.book.selectors if owner == namespace]
    for service in world.ordered(namespace):
        asked.extend(asks_for_labels(service))
    return sorted(({**labels} for labels in asked), key=lambda labels: sorted(labels.items()))


def table_name(client: Client) -> str:
    return f"http_proxy/{client.identity}"


def table(world: World, client: Client) -> RouteTable:
    services = world.bound(client.namespace, client.gateways)
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
