"""The clusters that clients' routes may name, one per service port, subset and rule.

Pure. In: the `World`, its clients. Out: `ClusterSpec`s by name. A subset that no effective rule defines has none: Envoy
answers 503 NC there, as with Istio.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile.directory import Client, Services, cluster_name, concerned
from graylane.mesh.compile.policy import Policy, policy_for
from graylane.mesh.compile.rules import Rule
from graylane.mesh.compile.world import World
from graylane.mesh.filters.patches import Patch
from graylane.mesh.inputs import Endpoint, Endpoints, Labels, Protocol, Service, ServicePort, Source, Subset, selects
from graylane.mesh.memo import Table


@dataclass(frozen=True, slots=True, eq=False)
class ClusterSpec:
    """`labels` choose among the service's endpoints; {} takes all of them. `edits` are EnvoyFilters' changes of it."""

    name: str
    service: Service
    port: ServicePort
    protocol: Protocol
    labels: Labels
    policy: Policy
    sources: frozenset[Source]
    edits: tuple[Patch, ...] = ()

    def pick(self, endpoints: Endpoints) -> tuple[Endpoint, ...]:
        named = (each for each in endpoints.each if each.number(self.port.name) is not None)
        return tuple(each for each in named if selects(self.labels, dict(each.labels)))


def clusters(world: World, clients: tuple[Client, ...]) -> Table[str, ClusterSpec]:
    """For every service its default rule's clusters; for clients with another rule, theirs too."""
    return world.stage("clusters", (world.services, clients), partial(_clusters, clients))


def _clusters(clients: tuple[Client, ...], world: World) -> Table[str, ClusterSpec]:
    found: Table[str, ClusterSpec] = Table()
    for service in world.services.each:
        followed = {(client.rule(service), client.edits): None for client in clients}
        for rule, edits in {(world.services.default_rule(service), world.services.edits): None, **followed}:
            variant = world.services.variant(service, rule)
            key = ("clusters", service, rule, variant, edits, world.services.edits)
            for spec in world.memo.get(key, partial(_of_service, world.services, service, rule, variant, edits)):
                found[spec.name] = spec
    return found


def _of_service(
    services: Services, service: Service, rule: Rule | None, variant: str, edits: tuple[Patch, ...]
) -> tuple[ClusterSpec, ...]:
    """For every port and subset one. Those that `edits` take out are not there for whoever they hold for."""
    subsets: tuple[Subset | None, ...] = (None, *(rule.subsets if rule else ()))
    sources = service.sources.union(rule.sources if rule else ())
    found: list[ClusterSpec] = []
    for port in service.ports:
        for subset in subsets if port.protocol is not Protocol.UDP else ():
            name = subset.name if subset else ""
            changes = concerned(edits, service.host, port.number, name)
            if any(patch.operation == "REMOVE" for patch in changes):
                continue
            mark = services.mark(edits, service.host, port.number, name)
            found.append(
                ClusterSpec(
                    name=cluster_name(service.host, port.number, name, variant + mark),
                    service=service,
                    port=port,
                    protocol=port.protocol,
                    labels=subset.labels if subset else {},
                    policy=policy_for(rule, port.number, subset),
                    sources=sources.union(patch.owner.source for patch in changes),
                    edits=changes,
                )
            )
    return tuple(found)
