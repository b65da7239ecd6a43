"""What pods see when they call out: one route table for all pods of a namespace that no rule tells apart.

Pure. In: the `World`. Out: `Client`s, and for each the `RouteTable` of its HTTP-proxy listeners.

Istio would build one table per port and strip ports from hosts. An HTTP proxy sees all ports on one listener, so here
every domain keeps its port: `b`, `b:8000`, `b.shop.svc.cluster.local:8000`, `10.96.0.7:8000`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial

from graylane.chain import hosts
from graylane.chain.match import RouteMatch
from graylane.mesh.compile.asked import Asked
from graylane.mesh.compile.connections import connection_targets
from graylane.mesh.compile.directory import Client, Group
from graylane.mesh.compile.renewal import Made, Place, without_duplicates
from graylane.mesh.compile.routes import asks_for_labels, default_route, routes_of
from graylane.mesh.compile.scope import EVERYTHING, Scope, sidecar_for
from graylane.mesh.compile.select import ByHost
from graylane.mesh.compile.world import World
from graylane.mesh.filters.patches import ON_ROUTES
from graylane.mesh.inputs import (
    MESH,
    Block,
    Egress,
    EnvoyFilter,
    Labels,
    Protocol,
    Proxy,
    ProxyKind,
    Service,
    ServicePort,
    VirtualService,
    selects,
)
from graylane.mesh.memo import Memo
from graylane.mesh.table import PASSTHROUGH, SELF, DirectResponse, Forward, Route, RouteTable, Target, VirtualHost
from graylane.model.hashing import short_hash

_GATEWAYS = frozenset((MESH,))
_CONNECT = Route("connect", RouteMatch(connect=True), Forward((Target(SELF),), retry=None))
BLOCK_ALL = VirtualHost(
    name="block_all",
    domains=("*",),
    routes=(
        Route("block_all", RouteMatch(connect=True), DirectResponse(502)),
        Route("block_all", RouteMatch(), DirectResponse(502)),
    ),
)
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
    proxies, sidecars = world.inputs.proxies, world.inputs.sidecars
    namespaces = world.memo.get(("namespaces", proxies), lambda: tuple(sorted({each.namespace for each in proxies})))
    selectors = tuple((namespace, _selectors(world, namespace)) for namespace in namespaces)
    # What a Sidecar lets its pods call depends on the rules it lets them see.
    rules = world.virtual_services if sidecars else ()
    key = (proxies, world.services, sidecars, rules, world.inputs.envoy_filters, selectors)
    return world.stage("groups", key, partial(_groups, dict(selectors)))


Selectors = tuple[tuple[tuple[str, str], ...], ...]


def _groups(selectors: dict[str, Selectors], world: World) -> tuple[Group, ...]:
    found: dict[str, list[Proxy]] = {}
    for proxy in world.inputs.proxies:
        if proxy.kind is ProxyKind.SIDECAR:
            hit = [each for each in selectors[proxy.namespace] if selects(dict(each), proxy.labels)]
            identity = f"{proxy.namespace}/{short_hash(hit)}" if hit else proxy.namespace
            found.setdefault(identity, []).append(proxy)
    return tuple(_group(world, identity, proxies) for identity, proxies in found.items())


def _group(world: World, identity: str, proxies: list[Proxy]) -> Group:
    first = proxies[0]
    scope = _scope(world, first)
    patches = world.patches(first, "SIDECAR_OUTBOUND")
    edits = tuple(patch for patch in patches if patch.target == "CLUSTER" and not patch.adds)
    build = partial(Client, identity, first.namespace, first.labels, _GATEWAYS, world.services, scope, edits)
    key = (identity, first.namespace, _sorted(first.labels), world.services, scope, edits)
    return Group(world.memo.get(key, build), tuple(proxies))


def _scope(world: World, proxy: Proxy) -> Scope:
    mesh = world.inputs.mesh
    found = sidecar_for(world.inputs.sidecars, proxy.namespace, proxy.labels, mesh.root_namespace)
    if found is None:
        return EVERYTHING
    scope = Scope(proxy.namespace, found)
    followed = (
        service
        for service in world.bound(proxy.namespace, _GATEWAYS)
        if any(scope.follows(service, entry.port) for entry in found.egress)
    )
    return replace(scope, destinations=frozenset(name for each in followed for name in world.destinations(each)))


def _selectors(world: World, namespace: str) -> Selectors:
    """Everything by which rules seen from `namespace` tell its pods apart, in a stable order."""
    asked = {_sorted(selector) for owner, selector in world.services.book.selectors if owner == namespace}
    written = [each.selector for each in world.inputs.sidecars if each.namespace == namespace]
    written += [each.selector for each in _editors(world, namespace)]
    asked.update(_sorted(selector) for selector in written if selector)
    asked.update(*world.memo.each(("asks", namespace), world.ordered(namespace), _asks))
    return tuple(sorted(asked))


def _editors(world: World, namespace: str) -> Iterable[EnvoyFilter]:
    """EnvoyFilters that change routes or clusters, which pods share unless told apart."""
    near = (namespace, world.inputs.mesh.root_namespace)
    for each in world.inputs.envoy_filters:
        shared = any(patch.target in (*ON_ROUTES, "CLUSTER") for patch in world.decoded(each)[0])
        if shared and each.namespace in near:
            yield each


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
    key = (client, world.services, services)
    return world.stage(("outbound", client.identity), key, partial(_table, client, services))


def _table(client: Client, services: tuple[VirtualService, ...], world: World) -> RouteTable:
    made = world.memo.renew("hosts", partial(_made, world, client, services))
    sources = client.scope.sources.union(*[host.sources for host in made.hosts])
    return RouteTable(table_name(client), ("http_proxy",), made.hosts, sources)


def _made(world: World, client: Client, services: tuple[VirtualService, ...], last: Made | None) -> Made:
    touched = _touched(world, client, last) if last is not None else None
    if last is not None and touched is not None:
        moved = world.leading_to(touched, services)
        about = last.about(services, moved)
        wild = world.memo.each("wild", services, _speaks_for_many)
        if about is not None:
            about |= touched
            met = [each for each, many in zip(services, wild, strict=True) if many or not about.isdisjoint(each.hosts)]
            renewed = last.under(services, about, partial(_host, world, client, Rules(world, client, tuple(met))))
            if renewed is not None:
                return replace(renewed, client=client, known=world.services)
    memo = last.memo if last is not None else Memo()
    own = replace(world, memo=memo)
    rules = Rules(own, client, services)
    places = (*_foreign_places(own, client, rules), *_service_places(world, client))
    found = tuple(_host(own, client, rules, place) for place in places)
    unique = tuple(without_duplicates((*found, _unknown(world, client))))
    memo.turn()
    return Made(client, world.services, services, places, found, unique, memo)


def _touched(world: World, client: Client, last: Made) -> frozenset[str] | None:
    """The hosts for which there are other rules than last time; None where all is to be made anew."""
    touched = world.services.since(last.known) if client.alike(last.client) else None
    return None if touched and client.scope.egress_proxy is not None else touched


def _speaks_for_many(service: VirtualService) -> bool:
    return any(map(hosts.is_wildcard, service.hosts))


class Rules:
    """The VirtualServices a client follows on each port; a Sidecar may let it see others on one than on another."""

    def __init__(self, world: World, client: Client, services: tuple[VirtualService, ...]) -> None:
        self._world, self._client, self._services = world, client, services
        self._by_entry: dict[Egress | None, ByHost] = {}

    def at(self, port: int) -> ByHost:
        scope = self._client.scope
        entry = scope.egress(port)
        if entry not in self._by_entry:
            seen = self._services
            if scope.sidecar is not None:
                seen = tuple(each for each in seen if scope.follows(each, port))
            self._by_entry[entry] = self._world.memo.get(("by host", seen), lambda: ByHost(seen))
        return self._by_entry[entry]


def _unknown(world: World, client: Client) -> VirtualHost:
    """What becomes of requests for hosts that nobody speaks for."""
    scope = client.scope
    refused = world.inputs.mesh.registry_only if scope.registry_only is None else scope.registry_only
    if refused:
        return BLOCK_ALL
    if scope.egress_proxy is None:
        return ALLOW_ANY
    return _to_proxy(client, scope.egress_proxy, world.domain)


def _to_proxy(client: Client, destination: Block, domain: str) -> VirtualHost:
    """A Sidecar's `egressProxy`: a service that takes whatever is not known here."""
    host = hosts.resolve(str(destination.get("host") or ""), client.namespace, domain)
    number = (destination.get("port") or {}).get("number")
    name, _ = client.cluster(host, str(destination.get("subset") or ""), number, 80)
    routes = tuple(replace(route, action=Forward((Target(name),), retry=None)) for route in ALLOW_ANY.routes)
    return replace(ALLOW_ANY, routes=routes)


def _service_places(world: World, client: Client) -> Iterable[Place]:
    for service in world.services.each:
        if client.meant(service.host) is not service:
            continue
        for port in service.ports:
            if port.protocol is not Protocol.UDP and client.scope.imports(service, port.number):
                yield Place(service.host, service, port)


def _host(world: World, client: Client, rules: Rules, place: Place) -> VirtualHost | None:
    service, port = place.service, place.port
    if service is None or port is None:
        at, number = rules.at(place.number), place.number
        named = tuple(each for each in at.named(place.host) if place.host in _foreign(world, client, each, number))
        reached = partial(_reached, world, client, named)
        make = partial(_foreign_host, world, client, place, named)
        return world.memo.glance(("foreign", place.host, number), (client, named), reached, make)
    at = rules.at(port.number)
    candidates = tuple((at.candidates if port.protocol.is_http else at.meeting)(service.host))
    needed = partial(_needed, world, client, service, candidates)
    build = partial(_service_host, world, client, service, port, candidates)
    return world.memo.glance(("vhost", service, port), (client, candidates), needed, build)


def _reached(world: World, client: Client, named: tuple[VirtualService, ...]) -> Hashable:
    return (client.identity, named, tuple(world.reached(each, client) for each in named))


def _needed(world: World, client: Client, service: Service, candidates: tuple[VirtualService, ...]) -> Hashable:
    """All that a service's virtual hosts depend on besides itself."""
    names = world.services.aliases.get(service.host, ())
    reached = tuple(world.reached(each, client) for each in candidates)
    return (client.identity, client.edits, names, client.standing(service), candidates, reached)


def _service_host(
    world: World, client: Client, service: Service, port: ServicePort, candidates: tuple[VirtualService, ...]
) -> VirtualHost:
    names = _names(world, service, client)
    for alias in world.services.aliases.get(service.host, ()):
        names += _names(world, alias, client) if alias.visible_from(client.namespace) else []
    if service.headless:
        names += [f"*.{name}" for name in names]
    domains = _with_port([*names, *service.addresses], port.number)
    asked = Asked(client, client.cluster(service.host, "", port.number, port.number)[0])
    if not port.protocol.is_http:
        return _tunnelled(world, client, service, port, domains, candidates)
    for candidate in candidates:
        routes = asked.routes(routes_of(candidate, client, port.number, world.domain))
        if routes:  # else nothing of it is meant for this client, and the next one may speak
            sources = world.sources(candidate) | service.sources
            return VirtualHost(f"{service.host}:{port.number}", domains, (_CONNECT, *routes), sources)
    default = default_route(client, service.host, port.number)
    return VirtualHost(f"{service.host}:{port.number}", domains, (_CONNECT, default), service.sources)


def _names(world: World, service: Service, client: Client) -> list[str]:
    """A ServiceEntry's host has short forms only where it is spelled like a Service's."""
    if service.entry is None:
        return hosts.service_names(service.name, service.namespace, world.domain, client.namespace)
    name, dot, rest = service.host.partition(".")
    namespace = rest.removesuffix(f".svc.{world.domain}")
    if dot and namespace != rest and "." not in namespace:
        return hosts.service_names(name, namespace, world.domain, client.namespace)
    return [service.host]


def _tunnelled(
    world: World,
    client: Client,
    service: Service,
    port: ServicePort,
    domains: tuple[str, ...],
    candidates: tuple[VirtualService, ...],
) -> VirtualHost:
    """A port that does not speak HTTP is reached through CONNECT; what comes as a request all the same is passed on."""
    sources = service.sources
    targets: tuple[Target, ...] = (Target(client.cluster(service.host, "", port.number, port.number)[0]),)
    for candidate in candidates:
        found = connection_targets(candidate, client, port, service.host, world.domain)
        if found:
            found = Asked(client, targets[0].cluster).targets(found)
            sources, targets = sources | world.sources(candidate), found
            break
    forward = Forward(targets, retry=None)
    routes = (Route("connect", RouteMatch(connect=True), forward), Route("default", RouteMatch(), forward))
    return VirtualHost(f"{service.host}:{port.number}", domains, routes, sources)


def _with_port(names: list[str], port: int) -> tuple[str, ...]:
    return tuple(spelled for name in names for spelled in ([name] if port == 80 else []) + [f"{name}:{port}"])


def _foreign_places(world: World, client: Client, rules: Rules) -> Iterable[Place]:
    """Hosts of VirtualServices that are no service there: reached on port 80, and on the ports of a service that the
    same VirtualService speaks for. Nothing listens on a port that no service has.
    """
    found: dict[tuple[str, int], None] = {}
    for port in _called(world, client):
        by_host = rules.at(port)
        for service in by_host.each if port == 80 else by_host.several:
            found.update(((host, port), None) for host in _foreign(world, client, service, port))
    return (Place(host, number=port) for host, port in found)


def _called(world: World, client: Client) -> dict[int, frozenset[str]]:
    """The ports this client can call by HTTP, and the full names of the services behind each."""
    return world.memo.get(("called", client), partial(_called_by, world, client))


def _called_by(world: World, client: Client) -> dict[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    for place in _service_places(world, client):
        if place.port is not None and place.port.protocol.is_http:
            found.setdefault(place.port.number, set()).add(place.host)
    return {port: frozenset(names) for port, names in found.items()}


def _foreign(world: World, client: Client, service: VirtualService, port: int) -> list[str]:
    """Those of its hosts that are no service on this port, where it speaks for them all the same."""
    known = _called(world, client)[port]
    met = {host: _met(host, known) for host in service.hosts}
    if any(met.values()):
        return [host for host, there in met.items() if not there]
    if port != 80:
        return []
    return [host for host in met if host != "*" and not _imported(world, client, host)]


def _imported(world: World, client: Client, host: str) -> bool:
    """Whether it is a service on another port, by whose full name Istio would have it on port 80 too."""
    service = client.meant(host)
    return service is not None and any(client.scope.imports(service, port.number) for port in service.ports)


def _met(host: str, known: frozenset[str]) -> bool:
    return any(hosts.matches(host, each) for each in known) if hosts.is_wildcard(host) else host in known


def _foreign_host(
    world: World, client: Client, place: Place, services: tuple[VirtualService, ...]
) -> VirtualHost | None:
    host, port = place.host, place.number
    for service in services:
        routes = Asked(client, PASSTHROUGH).routes(routes_of(service, client, port, world.domain))
        if routes:
            domains = _with_port([host], port)
            return VirtualHost(f"{host}:{port}", domains, (_CONNECT, *routes), world.sources(service))
    return None
