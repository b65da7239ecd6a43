"""Every address Envoy shall listen on.

Pure. In: the `World`, gateway ports, clients. Out: `ListenerSpec`s by address; one address is given once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from graylane.mesh.compile.chains import Chain, Chains, chains
from graylane.mesh.compile.directory import Group, cluster_name
from graylane.mesh.compile.gateways import GatewayPort, Ports, Speech, services_of
from graylane.mesh.compile.guard import stripped
from graylane.mesh.compile.outbound import table_name
from graylane.mesh.compile.world import World
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import Protocol, Proxy, ProxyKind, Service, Source
from graylane.mesh.memo import Table


class Role(StrEnum):
    """What a listener is for; the first two are Istio's EnvoyFilter contexts of the same names."""

    GATEWAY = "GATEWAY"
    OUTBOUND = "SIDECAR_OUTBOUND"
    NODE_PORT = "NODE_PORT"


@dataclass(frozen=True, slots=True, eq=False)
class ListenerSpec:
    """`table` names the routes of an HTTP listener, `cluster` the target of a plain TCP one; with both, what comes
    decides.

    `chains` are there where connections are told apart by server name, or go on as they are; `table` is then that of
    the first that ends in HTTP. `sources` are the objects these come from.

    `port_number` is the port as an EnvoyFilter would match it, which on a node differs from the one listened on.
    `namespace` is the path of the network namespace that the address is in, "" for the machine's own. `strips` are the
    headers that are taken from every request before anything looks at it.
    """

    role: Role
    address: str
    port: int
    owner: Proxy | None
    table: str = ""
    cluster: str = ""
    port_number: int = 0
    namespace: str = ""
    chains: tuple[Chain, ...] = ()
    sources: frozenset[Source] = frozenset()
    strips: frozenset[str] = frozenset()

    @property
    def istio_name(self) -> str:
        """What Istio calls it, and EnvoyFilters with it."""
        return f"{self.address}_{self.port}"

    @property
    def tables(self) -> tuple[str, ...]:
        """Every route table this listener leads to."""
        found = tuple(chain.table for chain in self.chains if chain.table)
        return found or ((self.table,) if self.table else ())

    def chain(self, server_name: str) -> Chain | None:
        """The one a connection takes that asks for this server name."""
        taking = [each for each in self.chains if each.takes(server_name)]
        return max(taking, key=lambda each: each.takes(server_name), default=None)

    @property
    def name(self) -> str:
        """Unique: a Service's address is listened on in every pod's namespace."""
        if not self.namespace or self.owner is None or self.address == self.owner.ip:
            return self.istio_name
        return f"{self.istio_name}@{self.owner.ip}"


Opened = list[tuple[GatewayPort, Chains | None, frozenset[str]]]


def listeners(world: World, ports: Ports, sidecars: tuple[Group, ...]) -> Table[str, ListenerSpec]:
    inputs, opened = world.inputs, _opened(world, ports)
    found = tuple((each, strips) for _, each, strips in opened)
    key = ("listeners", inputs.proxies, inputs.services, inputs.mesh, ports, sidecars, found)
    return world.memo.get(key, partial(_listeners, world, opened, sidecars))


def _opened(world: World, ports: Ports) -> Opened:
    return [
        (port, chains(world, same) if port.speech is not Speech.HTTP else None, _strips(same, world.inputs.lanes))
        for port, same in _numbers(ports)
    ]


def _strips(ports: tuple[GatewayPort, ...], lanes: frozenset[str]) -> frozenset[str]:
    """A port that several Gateways open is guarded by all of them, since a request is theirs only once it is routed."""
    guards = (stripped(opening.gateway, lanes) for port in ports for opening in port.openings)
    return frozenset[str]().union(*guards)


def chained(world: World, ports: Ports) -> Iterable[tuple[Source, Finding]]:
    """What there is to say about servers that speak TLS or TCP."""
    return (told for _, found, _ in _opened(world, ports) if found for told in found.findings)


def _numbers(ports: Ports) -> Iterable[tuple[GatewayPort, tuple[GatewayPort, ...]]]:
    """Every port number of a router once: the first port of it, and all."""
    shared: dict[tuple[Proxy, int], list[GatewayPort]] = {}
    for port in ports.each:
        shared.setdefault((port.proxy, port.number), []).append(port)
    return ((same[0], tuple(same)) for same in shared.values())


def _listeners(world: World, opened: Opened, sidecars: tuple[Group, ...]) -> Table[str, ListenerSpec]:
    found: Table[str, ListenerSpec] = Table()
    for spec in (*_gateways(opened), *_outbound(world, sidecars), *_node_ports(world)):
        found.setdefault(spec.name, spec)
    return found


def _gateways(opened: Opened) -> Iterable[ListenerSpec]:
    for port, found, strips in opened:
        proxy, chained = port.proxy, found.each if found else ()
        if found and not chained:
            continue  # Envoy refuses a listener that takes no connection
        table = next((chain.table for chain in chained if chain.table), "") if found else port.table_name
        sources = frozenset[Source]().union(*(chain.sources for chain in chained))
        addresses = [(proxy.ip, port.number), *((proxy.host_ip, number) for number in port.node_ports if proxy.host_ip)]
        for address, number in addresses:
            yield ListenerSpec(
                Role.GATEWAY,
                address,
                number,
                proxy,
                table=table,
                port_number=port.openings[0].server.number,
                chains=chained,
                sources=sources,
                strips=strips,
            )


def _outbound(world: World, sidecars: tuple[Group, ...]) -> Iterable[ListenerSpec]:
    number = world.inputs.mesh.proxy_port
    for group in sidecars:
        table = table_name(group.client)
        for proxy in group.proxies:
            inside = _namespace(world, proxy)
            yield ListenerSpec(
                Role.OUTBOUND, proxy.ip, number, proxy, table=table, port_number=number, namespace=inside
            )
            if inside:
                yield from _transparent(world, proxy, table, inside)


def _namespace(world: World, proxy: Proxy) -> str:
    """Pods on the node's own network have no namespace."""
    prefix = world.inputs.mesh.namespaces
    return f"{prefix}{proxy.ip}" if prefix and proxy.ip != proxy.host_ip else ""


def _transparent(world: World, proxy: Proxy, table: str, namespace: str) -> Iterable[ListenerSpec]:
    """Every Service's every port, where the pod would connect to it: programs need not know of a proxy."""
    for service in world.inputs.services:
        for port in service.ports:
            if port.protocol is Protocol.UDP:
                continue
            routes = table if port.protocol.is_http else ""
            raw = not port.protocol.is_http or port.protocol is Protocol.AUTO
            target = cluster_name(service.host, port.number) if raw else ""
            for address in service.addresses:
                yield ListenerSpec(Role.OUTBOUND, address, port.number, proxy, routes, target, port.number, namespace)


def _node_ports(world: World) -> Iterable[ListenerSpec]:
    """Other NodePort Services: connections are passed on as they are, to any ready pod."""
    hosts = sorted({proxy.host_ip for proxy in world.inputs.proxies if proxy.host_ip})
    routers = [proxy for proxy in world.inputs.proxies if proxy.kind is ProxyKind.ROUTER]
    fronting = {service for proxy in routers for service in services_of(world, proxy)}
    for service in world.inputs.services:
        if service not in fronting:
            yield from _node_ports_of(service, hosts)


def _node_ports_of(service: Service, hosts: list[str]) -> Iterable[ListenerSpec]:
    for port in service.ports:
        if port.node_port:
            target = cluster_name(service.host, port.number)
            for host in hosts:
                yield ListenerSpec(Role.NODE_PORT, host, port.node_port, None, cluster=target)
