"""The clusters that clients' routes may name, one per service port, subset and rule.

Pure. In: the `World`, its clients. Out: `ClusterSpec`s by name. A subset that no effective rule defines has none: Envoy
answers 503 NC there, as with Istio.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile.directory import Client, cluster_name
from graylane.mesh.compile.policy import Policy, policy_for
from graylane.mesh.compile.rules import Rule
from graylane.mesh.compile.world import World
from graylane.mesh.inputs import Endpoint, Endpoints, Labels, Protocol, Service, ServicePort, Source, Subset, selects
from graylane.mesh.memo import Table


@dataclass(frozen=True, slots=True, eq=False)
class ClusterSpec:
    """`labels` choose among the service's endpoints; {} takes all of them."""

    name: str
    service: Service
    port: ServicePort
    protocol: Protocol
    labels: Labels
    policy: Policy
    sources: frozenset[Source]

    def pick(self, endpoints: Endpoints) -> tuple[Endpoint, ...]:
        named = (each for each in endpoints.each if each.number(self.port.name) is not None)
        return tuple(each for each in named if selects(self.labels, dict(each.labels)))


def clusters(world: World, clients: tuple[Client, ...]) -> Table[str, ClusterSpec]:
    """For every service its default rule's clusters; for clients with another rule, theirs too."""
    return world.stage("clusters", (world.services, clients), partial(_clusters, clients))


def _clusters(clients: tuple[Client, ...], world: World) -> Table[str, ClusterSpec]:
    found: Table[str, ClusterSpec] = Table()
    for service in world.services.each:
        rules = {world.services.default_rule(service): None, **{client.rule(service): None for client in clients}}
        for rule in rules:
            variant = world.services.variant(service, rule)
            key = ("clusters", service, rule, variant)
            for spec in world.memo.get(key, partial(_of_service, service, rule, variant)):
                found[spec.name] = spec
    return found


def _of_service(service: Service, rule: Rule | None, variant: str) -> tuple[ClusterSpec, ...]:
    subsets: tuple[Subset | None, ...] = (None, *(rule.subsets if rule else ()))
    sources = service.sources.union(rule.sources if rule else ())
    return tuple(
        ClusterSpec(
            name=cluster_name(service.host, port.number, subset.name if subset else "", variant),
            service=service,
            port=port,
            protocol=port.protocol,
            labels=subset.labels if subset else {},
            policy=policy_for(rule, port.number, subset),
            sources=sources,
        )
        for port in service.ports
        if port.protocol is not Protocol.UDP
        for subset in subsets
    )
