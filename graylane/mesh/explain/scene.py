"""One compilation with the indexes it was made from, so that what is not in the result can be told too.

Pure. In: `Inputs`. Out: `Scene`: who speaks for a virtual host, with which Client and port, and who opened a listener.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graylane.mesh.compile import gateways
from graylane.mesh.compile.directory import Client
from graylane.mesh.compile.gateways import GatewayPort, Opening, Ports
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.compile.outbound import Rules
from graylane.mesh.compile.plan import Plan, plan
from graylane.mesh.compile.world import World, world_of
from graylane.mesh.effective import effective
from graylane.mesh.inputs import Inputs, Proxy, VirtualService
from graylane.mesh.memo import Memo
from graylane.mesh.simulate import choose_host
from graylane.mesh.table import VirtualHost


@dataclass(frozen=True, slots=True)
class Speaker:
    """A VirtualService that was asked for a virtual host's rules, on behalf of `client` and for `port`."""

    service: VirtualService
    client: Client
    port: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    plan: Plan
    world: World
    ports: Ports

    def opened(self, spec: ListenerSpec) -> GatewayPort | None:
        """The gateway port behind a listener, with the Gateways that opened it."""
        return next((port for port in self.ports.each if port.table_name == spec.table), None)

    def client(self, proxy: Proxy | None) -> Client | None:
        """Who asks, as far as DestinationRules tell callers apart."""
        return next((group.client for group in self.plan.groups if proxy in group.proxies), None)

    def virtual_host(self, spec: ListenerSpec, authority: str) -> VirtualHost | None:
        return choose_host(effective(self.plan, spec.table).table, authority)

    def speakers(self, spec: ListenerSpec, host: VirtualHost) -> tuple[Speaker, ...]:
        """In the order they were asked. At a gateway all are heard; in the mesh all up to the first with a rule."""
        if spec.role is Role.GATEWAY:
            port = self.opened(spec)
            return tuple(self._at_gateway(port, host)) if port else ()
        client = self.client(spec.owner)
        return tuple(self._in_mesh(client, host)) if client else ()

    def _at_gateway(self, port: GatewayPort, host: VirtualHost) -> Iterable[Speaker]:
        found: set[VirtualService] = set()
        for opening in port.openings:
            client = self._client_of(port, opening)
            for service in self.world.bound(port.proxy.namespace, client.gateways):
                shared = gateways.shared_hosts(opening.server, service)
                if service not in found and not set(shared).isdisjoint(host.domains):
                    found.add(service)
                    yield Speaker(service, client, opening.server.number)

    def _client_of(self, port: GatewayPort, opening: Opening) -> Client:
        return gateways.client(self.world, port.proxy, opening.gateway)

    def _in_mesh(self, client: Client, host: VirtualHost) -> Iterable[Speaker]:
        name, _, port = host.name.rpartition(":")
        if not name:
            return  # the host that takes all others is no VirtualService's
        bound = self.world.bound(client.namespace, client.gateways)
        by_host = Rules(self.world, client, bound).at(int(port))
        named = by_host.candidates(name) if client.service(name) else by_host.named(name)
        for service in named:
            yield Speaker(service, client, int(port))
            if service.source in host.sources:
                return


def scene_of(inputs: Inputs) -> Scene:
    memo = Memo()
    world = world_of(inputs, memo)
    return Scene(plan(inputs, memo), world, gateways.ports(world))
