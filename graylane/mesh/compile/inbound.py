"""The inbound half of a pod's proxy, for those pods of which an EnvoyFilter changes it; others are called directly.

Pure. In: the `World`. Out: `Inbound`s by the pod's address. Its ports are those of the Services that select the pod, so
that they are known before the pod is ready. Names are Istio's: listener `virtualInbound` at 15006, routes and cluster
`inbound|8000||`, virtual host `inbound|http|8000`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile.world import World
from graylane.mesh.filters.patches import INBOUND, INBOUND_LISTENER, INBOUND_PORT, ON_LISTENERS, ON_ROUTES, Patch
from graylane.mesh.inputs import Block, Protocol, Proxy, ProxyKind, Service, ServicePort, Source, selects
from graylane.mesh.memo import Table
from graylane.model.meta import dig


@dataclass(frozen=True, slots=True, eq=False)
class InboundPort:
    """One port that a pod listens on; `hosts` are the Services leading there, `patches` what is changed on the way."""

    number: int
    protocol: Protocol
    hosts: tuple[str, ...]
    patches: tuple[Patch, ...] = ()

    @property
    def name(self) -> str:
        """Of its routes, and of the cluster behind them."""
        return f"inbound|{self.number}||"

    @property
    def virtual_host(self) -> str:
        return f"inbound|http|{self.number}"

    @property
    def chain(self) -> str:
        return f"0.0.0.0_{self.number}"

    @property
    def sources(self) -> frozenset[Source]:
        return frozenset(patch.owner.source for patch in self.patches)


@dataclass(frozen=True, slots=True, eq=False)
class Inbound:
    """`ports` are those with something to change; only these get a listener."""

    owner: Proxy
    ports: tuple[InboundPort, ...]

    def door(self, port: InboundPort) -> str:
        """What Envoy calls a port's listener: it carries those of all pods."""
        return door(self.owner.ip, port.number)

    def cluster(self, port: InboundPort) -> str:
        return f"{port.name}~{self.owner.ip}"

    def port(self, number: int) -> InboundPort | None:
        return next((port for port in self.ports if port.number == number), None)


def door(address: str, number: int) -> str:
    return f"{INBOUND_LISTENER}_{number}@{address}"


NOBODY: Table[str, Inbound] = Table()


def inbounds(world: World) -> Table[str, Inbound]:
    changing = tuple(each for each in world.inputs.envoy_filters if any(map(reaches_in, world.decoded(each)[0])))
    if not changing:
        return NOBODY
    key = (changing, world.inputs.proxies, world.inputs.services)
    return world.stage("inbound", key, _inbounds)


def reaches_in(patch: Patch) -> bool:
    """Whether a patch can change what is generated for the inbound side."""
    return patch.holds_in(INBOUND) and patch.target not in ("EXTENSION_CONFIG", "BOOTSTRAP") and not brings(patch)


def brings(patch: Patch) -> bool:
    """Whether it adds a listener or a cluster beside what is generated."""
    return patch.adds and patch.target in ("LISTENER", "CLUSTER")


def _inbounds(world: World) -> Table[str, Inbound]:
    found: Table[str, Inbound] = Table()
    for proxy in world.inputs.proxies:
        if proxy.kind is not ProxyKind.SIDECAR:
            continue
        patches = tuple(each for each in world.patches(proxy, INBOUND) if not brings(each))
        if any(map(reaches_in, patches)) and (ports := tuple(_changed(world, proxy, patches))):
            key = ("inbound of", proxy, patches, tuple((each.number, each.protocol, each.hosts) for each in ports))
            found[proxy.ip] = world.memo.get(key, partial(Inbound, proxy, ports))
    return found


def _changed(world: World, proxy: Proxy, patches: tuple[Patch, ...]) -> Iterable[InboundPort]:
    for port in _ports(world, proxy):
        hits = tuple(patch for patch in patches if concerns(patch, port))
        if any(patch.target != "EXTENSION_CONFIG" for patch in hits):
            yield InboundPort(port.number, port.protocol, port.hosts, hits)


def _ports(world: World, proxy: Proxy) -> Iterable[InboundPort]:
    """Where several Services lead to one port, the first says what is spoken there."""
    found: dict[int, list[tuple[Service, ServicePort]]] = {}
    for service in world.inputs.services:
        if service.namespace == proxy.namespace and service.selector and selects(service.selector, proxy.labels):
            for port in service.ports:
                if port.protocol is not Protocol.UDP and (number := port.on(proxy)):
                    found.setdefault(number, []).append((service, port))
    for number, leading in sorted(found.items()):
        yield InboundPort(number, leading[0][1].protocol, tuple(dict.fromkeys(each.host for each, _ in leading)))


def concerns(patch: Patch, port: InboundPort) -> bool:
    """Whether a patch finds something to change on the way to this port."""
    match = patch.match
    if patch.target == "EXTENSION_CONFIG":
        return True
    if patch.target == "CLUSTER":
        return _on_cluster(match, port)
    if match.get("name") not in (None, "", port.name if patch.target in ON_ROUTES else INBOUND_LISTENER):
        return False
    number = int(match.get("portNumber") or 0)
    if patch.target == "LISTENER":
        return patch.operation == "MERGE" and number in (0, INBOUND_PORT)
    if number not in (0, port.number):
        return False
    if patch.target in ON_LISTENERS:
        return patch.target == "LISTENER_FILTER" or patch.adds or _on_chain(match.get("filterChain") or {}, port)
    named = dig(match, "vhost", "name", default="")
    return port.protocol.is_http and (patch.adds or named in ("", port.virtual_host))


def _on_cluster(match: Block, port: InboundPort) -> bool:
    if match.get("name"):
        return bool(match["name"] == port.name)
    return (
        match.get("service") in (None, "", *port.hosts)
        and not match.get("subset")
        and int(match.get("portNumber") or 0) in (0, port.number)
    )


def _on_chain(asked: Block, port: InboundPort) -> bool:
    """Connections between pods are plain here: nothing that asks for TLS is found."""
    return (
        asked.get("name") in (None, "", port.chain)
        and not asked.get("sni")
        and asked.get("transportProtocol") in (None, "", "raw_buffer")
        and (not asked.get("applicationProtocols") or port.protocol is Protocol.AUTO)
        and int(asked.get("destinationPort") or 0) in (0, port.number)
    )
