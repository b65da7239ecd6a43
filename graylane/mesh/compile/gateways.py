"""What Gateways open: for each router pod its ports, and for each that ends in HTTP one route table.

Pure. In: the `World`. Out: `GatewayPort`s, plus findings on servers that cannot be had.

Servers of several Gateways on one port share it when all speak HTTP, or all TLS; the oldest Gateway decides.
At gateways VirtualServices of one host are merged: route after route, catch-alls last.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from ipaddress import ip_address

from graylane.chain import hosts
from graylane.mesh.compile.directory import Client, Group, Services
from graylane.mesh.compile.routes import routes_of
from graylane.mesh.compile.world import World
from graylane.mesh.findings import Finding, conflict, host_conflict
from graylane.mesh.inputs import (
    Gateway,
    Proxy,
    ProxyKind,
    Server,
    Service,
    Source,
    VirtualService,
    selects,
)
from graylane.mesh.table import Route, RouteTable, VirtualHost

_HTTP = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
_TCP = ("TCP", "MONGO", "MYSQL", "REDIS")
_TERMINATING = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


class Speech(StrEnum):
    """What is heard on a port. HTTPS and TLS end at the gateway, in requests and in bytes."""

    HTTP = "HTTP"
    TCP = "TCP"
    HTTPS = "HTTPS"
    TLS = "TLS"
    PASSTHROUGH = "PASSTHROUGH"

    @property
    def by_name(self) -> bool:
        """Whether servers share a port by the server name their clients ask for."""
        return self not in (Speech.HTTP, Speech.TCP)

    @property
    def routed(self) -> bool:
        return self in (Speech.HTTP, Speech.HTTPS)


def speech_of(server: Server) -> Speech | None:
    """None for what this mesh does not do."""
    if server.protocol in _HTTP and not server.mode:
        return Speech.HTTP
    if server.protocol in _TCP and not server.mode:
        return Speech.TCP
    if server.protocol not in ("HTTPS", "TLS"):
        return None
    if server.mode in _TERMINATING:
        return Speech.HTTPS if server.protocol == "HTTPS" else Speech.TLS
    return Speech.PASSTHROUGH if server.mode == "PASSTHROUGH" else None


_EVERYWHERE = ("", "0.0.0.0", "::")


def bound(server: Server) -> str | None:
    """The address a server asks for, "" for the pod's own; None for one that is not to be had.

    Nothing here listens where others than this machine could call, as its pods' addresses do not.
    """
    if server.bind in _EVERYWHERE:
        return ""
    return server.bind if hosts.is_address(server.bind) and ip_address(server.bind).is_loopback else None


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """One server of one Gateway as one router opens it."""

    gateway: Gateway
    server: Server


@dataclass(frozen=True, slots=True, eq=False)
class GatewayPort:
    """A port of a router: `number` on the pod's address, or on `bind`, and each of `node_ports` on its node's.

    Where servers share it by server name, each is a GatewayPort of its own.
    """

    proxy: Proxy
    number: int
    node_ports: tuple[int, ...]
    openings: tuple[Opening, ...]
    sources: frozenset[Source]
    speech: Speech = Speech.HTTP
    bind: str = ""

    @property
    def table_name(self) -> str:
        return f"{self.proxy.name}.{self.proxy.namespace}/{self.istio_name}"

    @property
    def istio_name(self) -> str:
        """What Istio calls the routes of this port."""
        end = f".{self.bind}" if self.bind else ""
        if not self.speech.by_name:
            return f"http.{self.number}{end}"
        server, gateway = self.openings[0].server, self.openings[0].gateway.source
        return f"https.{server.number}.{server.name}.{gateway.name}.{gateway.namespace}{end}"


def _server_names(server: Server, speech: Speech) -> set[str]:
    """The names that connections are told apart by: `*` beside others is all, and what passes has its rules' names."""
    hosts = {host for _, host in server.hosts}
    return set() if speech is Speech.PASSTHROUGH else {"*"} if "*" in hosts else hosts


@dataclass(slots=True)
class _Draft:
    speech: Speech
    node_ports: list[int]
    openings: list[tuple[Opening, Speech]] = field(default_factory=list)
    written: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def refusal(self, server: Server, speech: Speech) -> Finding | None:
        """Why a later server cannot be had next to those that are here."""
        if not self.openings:
            return None
        holder = str(self.openings[0][0].gateway.source.key)
        if speech is Speech.TCP or speech.by_name is not self.speech.by_name or self.speech is Speech.TCP:
            return conflict(server.number, holder)
        names = _server_names(server, speech)
        taken = [host for space, host in server.hosts if (space, host) in self.written or host in names & self.names]
        return host_conflict(server.number, taken[0], holder) if taken and speech.by_name else None

    def add(self, opening: Opening, speech: Speech) -> None:
        self.openings.append((opening, speech))
        self.written.update(opening.server.hosts)
        self.names |= _server_names(opening.server, speech)


@dataclass(frozen=True, slots=True, eq=False)
class Ports:
    """Every port of every router. `findings` tell of servers that were left out."""

    each: tuple[GatewayPort, ...]
    findings: tuple[tuple[Source, Finding], ...]


def ports(world: World) -> Ports:
    inputs = world.inputs
    key = ("gateway ports", inputs.proxies, inputs.gateways, inputs.services)
    return world.memo.get(key, partial(_ports, world))


def _ports(world: World) -> Ports:
    findings: list[tuple[Source, Finding]] = []
    routers = [proxy for proxy in world.inputs.proxies if proxy.kind is ProxyKind.ROUTER]
    found = [port for proxy in routers for port in _ports_of(world, proxy, findings)]
    return Ports(tuple(found), tuple(findings))


def groups(world: World, found: Ports) -> tuple[Group, ...]:
    """The routers as callers of services, each by itself."""
    key = ("router groups", found, world.services, world.inputs.envoy_filters)
    return world.memo.get(key, partial(_groups, world, found))


def _groups(world: World, found: Ports) -> tuple[Group, ...]:
    proxies = dict.fromkeys(port.proxy for port in found.each)
    return tuple(Group(client(world, proxy), (proxy,)) for proxy in proxies)


def gateways_of(world: World, proxy: Proxy) -> list[Gateway]:
    selected = [gateway for gateway in world.inputs.gateways if selects(gateway.selector, proxy.labels)]
    return sorted(selected, key=lambda gateway: gateway.age)


def services_of(world: World, proxy: Proxy) -> list[Service]:
    """The Services in front of a router."""
    return [
        service
        for service in world.inputs.services
        if service.namespace == proxy.namespace and service.selector and selects(service.selector, proxy.labels)
    ]


def _ports_of(world: World, proxy: Proxy, findings: list[tuple[Source, Finding]]) -> Iterable[GatewayPort]:
    in_front = services_of(world, proxy)
    drafts: dict[tuple[int, str], _Draft] = {}
    for gateway in gateways_of(world, proxy):
        for server in gateway.servers:
            speech = speech_of(server)
            bind = bound(server)
            if speech is None or bind is None:
                continue  # told among the object's refusals
            number, node_ports = _bind(server.number, in_front, proxy)
            draft = drafts.setdefault((number, bind), _Draft(speech, [] if bind else node_ports))
            refused = draft.refusal(server, speech)
            if refused is not None:
                findings.append((gateway.source, refused))
            else:
                draft.add(Opening(gateway, server), speech)
    for (number, bind), draft in sorted(drafts.items(), key=lambda each: each[0]):
        parts = [draft.openings] if draft.speech is Speech.HTTP else [[each] for each in draft.openings]
        for part in parts:
            openings = tuple(opening for opening, _ in part)
            sources = frozenset(opening.gateway.source for opening in openings)
            yield GatewayPort(proxy, number, tuple(draft.node_ports), openings, sources, part[0][1], bind)


def _bind(number: int, in_front: Sequence[Service], proxy: Proxy) -> tuple[int, list[int]]:
    """Where a server's port is really opened: on the target port of a Service that has it, else as written."""
    mapped = [port for service in in_front if (port := service.port(number)) is not None]
    if not mapped:
        return number, []
    return mapped[0].on(proxy) or mapped[0].number, [port.node_port for port in mapped if port.node_port]


def tables(world: World, found: Ports) -> Iterable[RouteTable]:
    return (table(world, port) for port in found.each if port.speech.routed)


def table(world: World, port: GatewayPort) -> RouteTable:
    """All virtual hosts of one router port; ports in the request's Host are ignored there."""
    key = (port, world.virtual_services, world.services, world.patches(port.proxy, "GATEWAY"))
    return world.stage(("gateway", port.table_name), key, partial(_table, port))


def _table(port: GatewayPort, world: World) -> RouteTable:
    drafts: dict[str, _HostDraft] = {}
    for opening in port.openings:
        caller = client(world, port.proxy, opening.gateway)
        _contribute(world, caller, opening.server, world.bound(port.proxy.namespace, caller.gateways), drafts)
        if opening.server.https_redirect:
            for namespace, host in opening.server.hosts:
                if namespace == "*":  # Istio takes `ns/host` for a name as it is, which no request has
                    drafts.setdefault(host, _HostDraft(opening.server.number)).https_only = True
    found = tuple(_host(world, name, drafts[name]) for name in sorted(drafts))
    sources = port.sources.union(*(host.sources for host in found))
    opening = port.openings[0]
    secure = (opening.gateway.full_name, opening.server.name) if port.speech.by_name else ("", "")
    names = (port.istio_name, *secure)
    return RouteTable(port.table_name, names, found, sources, ignore_port=True, port=opening.server.number)


@dataclass(slots=True)
class _HostDraft:
    port: int
    given: dict[VirtualService, _Share] = field(default_factory=dict)
    sources: set[Source] = field(default_factory=set)
    https_only: bool = False


def client(world: World, proxy: Proxy, *gateways: Gateway) -> Client:
    """A router as one who calls services; `gateways` are those in whose name it does."""
    names = frozenset(gateway.full_name for gateway in gateways)
    edits = tuple(patch for patch in world.patches(proxy, "GATEWAY") if patch.target == "CLUSTER" and not patch.adds)
    identity = f"gateway {proxy.key} {'+'.join(sorted(names))}"
    return Client(identity, proxy.namespace, proxy.labels, names, world.services, edits=edits)


@dataclass(frozen=True, slots=True, eq=False)
class _Share:
    """What one VirtualService gives one server's hosts, and all that this depends on besides the two. `last` are the
    routes that take everything.
    """

    reached: Hashable
    hosts: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    last: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """Those of all VirtualServices, as they were with these services."""

    services: Services
    each: dict[VirtualService, _Share]


def _shares(world: World, caller: Client, server: Server, bound: Sequence[VirtualService]) -> _Shares:
    """For many rules of one host a change of one is to cost one: the others need not even be looked at."""
    name = ("shares", caller.identity, tuple(caller.labels.items()), caller.edits, server)
    found: _Shares = world.memo.renew(name, partial(_shared_out, world, caller, server, bound))
    return found


def _shared_out(
    world: World, caller: Client, server: Server, bound: Sequence[VirtualService], last: _Shares | None
) -> _Shares:
    known = last.each if last is not None else {}
    touched = world.services.since(last.services) if last is not None else None
    moved = world.leading_to(touched, tuple(bound)) if touched is not None else bound
    found: dict[VirtualService, _Share] = {}
    for service in bound:
        share = known.get(service)
        if share is None or (service in moved and share.reached != world.reached(service, caller)):
            share = _share(world, caller, server, service)
        found[service] = share
    return _Shares(world.services, found)


def _share(world: World, caller: Client, server: Server, service: VirtualService) -> _Share:
    shared = shared_hosts(server, service)
    if not shared:
        return _Share(world.reached(service, caller))
    routes = routes_of(service, caller, server.number, world.domain, secure=bool(server.tls))
    last = tuple(route for route in routes if route.match.takes_all)
    first = tuple(route for route in routes if not route.match.takes_all)
    return _Share(world.reached(service, caller), tuple(shared) if routes else (), first, last)


def _contribute(
    world: World, caller: Client, server: Server, bound: Sequence[VirtualService], drafts: dict[str, _HostDraft]
) -> None:
    for service, share in _shares(world, caller, server, bound).each.items():
        for host in share.hosts:
            draft = drafts.setdefault(host, _HostDraft(server.number))
            draft.https_only |= server.https_redirect
            if service not in draft.given:
                draft.given[service] = share
                draft.sources |= world.sources(service)


def shared_hosts(server: Server, service: VirtualService) -> list[str]:
    """The narrower of each pair of server host and service host that go together."""
    found: dict[str, None] = {}
    for namespace, admitted in server.hosts:
        if namespace not in ("*", service.namespace):
            continue
        for host in service.hosts:
            if hosts.matches(admitted, host):
                found[hosts.narrower(admitted, host)] = None
    return list(found)


def _host(world: World, name: str, draft: _HostDraft) -> VirtualHost:
    key = ("host", name, draft.port, tuple(draft.given.values()), frozenset(draft.sources), draft.https_only)
    return world.memo.get(key, partial(_finished, name, draft))


def _finished(name: str, draft: _HostDraft) -> VirtualHost:
    shares = draft.given.values()
    routes = (*(route for each in shares for route in each.routes), *(route for each in shares for route in each.last))
    return VirtualHost(f"{name}:{draft.port}", (name,), routes, frozenset(draft.sources), draft.https_only)
