"""Every address Envoy shall listen on.

Pure. In: the `World`, gateway ports, clients. Out: `ListenerSpec`s by address; one address is given once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from graylane.mesh.compile.asked import Asked
from graylane.mesh.compile.chains import Chain, Chains, chains
from graylane.mesh.compile.connections import tcp_targets, tls_targets
from graylane.mesh.compile.directory import Client, Group, cluster_name
from graylane.mesh.compile.gateways import GatewayPort, Ports, Speech, services_of
from graylane.mesh.compile.guard import stripped
from graylane.mesh.compile.outbound import Rules, table_name
from graylane.mesh.compile.world import World
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import Protocol, Proxy, ProxyKind, Service, ServicePort, Source, VirtualService
from graylane.mesh.memo import Table
from graylane.mesh.table import Target


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
    headers that are taken from every request before anything looks at it. `label` names its statistics.
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
    label: str = ""

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

    def scheme(self, authority: str) -> str:
        """Of requests for this authority, which come by a connection that asks for its name."""
        chain = self.chain(authority.partition(":")[0]) if self.chains else None
        return "https" if chain is not None and chain.tls is not None else "http"

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
    rules = tuple(each for each in world.virtual_services if each.tcp or each.tls) if inputs.mesh.namespaces else ()
    key = (inputs.proxies, inputs.services, inputs.mesh, ports, sidecars, found, rules)
    return world.stage("listeners", key, partial(_listeners, opened, sidecars))


def _opened(world: World, ports: Ports) -> Opened:
    lanes = world.inputs.lanes
    return [(port, _chains(world, port, same), _strips(same, lanes)) for port, same in _numbers(ports)]


def _chains(world: World, port: GatewayPort, same: tuple[GatewayPort, ...]) -> Chains | None:
    return chains(world, same) if port.speech is not Speech.HTTP else None


def _strips(ports: tuple[GatewayPort, ...], lanes: frozenset[str]) -> frozenset[str]:
    """A port that several Gateways open is guarded by all of them, since a request is theirs only once it is routed."""
    guards = (stripped(opening.gateway, lanes) for port in ports for opening in port.openings)
    return frozenset[str]().union(*guards)


def chained(world: World, ports: Ports) -> Iterable[tuple[Source, Finding]]:
    """What there is to say about servers that speak TLS or TCP."""
    found = (_chains(world, port, same) for port, same in _numbers(ports))
    return (told for each in found if each for told in each.findings)


def _numbers(ports: Ports) -> Iterable[tuple[GatewayPort, tuple[GatewayPort, ...]]]:
    """Every port number of a router once: the first port of it, and all."""
    shared: dict[tuple[Proxy, int, str], list[GatewayPort]] = {}
    for port in ports.each:
        shared.setdefault((port.proxy, port.number, port.bind), []).append(port)
    return ((same[0], tuple(same)) for same in shared.values())


def _listeners(opened: Opened, sidecars: tuple[Group, ...], world: World) -> Table[str, ListenerSpec]:
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
        addresses = [
            (port.bind or proxy.ip, port.number),
            *((proxy.host_ip, number) for number in port.node_ports if proxy.host_ip),
        ]
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
                label=port.openings[0].server.label,
            )


def _outbound(world: World, sidecars: tuple[Group, ...]) -> Iterable[ListenerSpec]:
    number = world.inputs.mesh.proxy_port
    for group in sidecars:
        table = table_name(group.client)
        inside = [proxy for proxy in group.proxies if world.inputs.mesh.namespace_of(proxy)]
        captured = tuple(_captured(world, group.client, table)) if inside else ()
        for proxy in group.proxies:
            namespace = world.inputs.mesh.namespace_of(proxy)
            key = (proxy, table, number, namespace)
            yield world.memo.get(key, partial(_proxied, *key))
            if namespace:
                yield from (replace(each, owner=proxy, namespace=namespace) for each in captured)


def _proxied(proxy: Proxy, table: str, number: int, namespace: str) -> ListenerSpec:
    return ListenerSpec(Role.OUTBOUND, proxy.ip, number, proxy, table=table, port_number=number, namespace=namespace)


def _captured(world: World, client: Client, table: str) -> Iterable[ListenerSpec]:
    """Every Service's every port, where a pod would connect to it: programs need not know of a proxy."""
    rules = Rules(world, client, world.bound(client.namespace, client.gateways))
    for service in world.inputs.services:
        for port in service.ports:
            if port.protocol is not Protocol.UDP:
                found = _capture(world, client, rules, service, port, table)
                yield from (replace(found, address=address) for address in service.addresses)


def _capture(
    world: World, client: Client, rules: Rules, service: Service, port: ServicePort, table: str
) -> ListenerSpec:
    found = ListenerSpec(Role.OUTBOUND, "", port.number, None, port_number=port.number)
    target = client.cluster(service.host, "", port.number, port.number)[0]
    if port.protocol.is_http:
        return replace(found, table=table, cluster=target if port.protocol is Protocol.AUTO else "")
    asked = Asked(client, target)
    ruled = _ruled(world, client, rules.at(port.number).meeting(service.host), port)
    chains = tuple(replace(each, targets=asked.targets(each.targets)) for each in ruled)
    if not chains:
        return replace(found, cluster=target)
    if chains[-1].names:  # whoever asks for none of these names gets to the Service all the same
        chains += (Chain((), None, "", (Target(target),), frozenset()),)
    return replace(found, chains=chains, sources=frozenset[Source]().union(*(chain.sources for chain in chains)))


def _ruled(world: World, client: Client, candidates: Iterable[VirtualService], port: ServicePort) -> Iterable[Chain]:
    """The first VirtualService with rules for these connections: where they speak TLS by server name, else for all."""
    for service in candidates:
        sources = world.sources(service)
        if port.protocol is Protocol.TLS:
            ruled = [each for each in tls_targets(service, client, port.number, world.domain) if all(each)]
        else:
            plain = tcp_targets(service, client, port.number, world.domain)
            ruled = [((), plain)] if plain else []
        if ruled:
            yield from (Chain(names, None, "", targets, sources) for names, targets in ruled)
            return


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
