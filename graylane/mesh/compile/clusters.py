"""The clusters that clients' routes may name, one per service port, subset and rule.

Pure. In: the `World`, its clients. Out: `ClusterSpec`s by name. A subset that no effective rule defines has none: Envoy
answers 503 NC there, as with Istio.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile.directory import Client, Services, cluster_name, concerned
from graylane.mesh.compile.origination import Origination, origination
from graylane.mesh.compile.policy import Policy, policy_for
from graylane.mesh.compile.rules import Rule
from graylane.mesh.compile.world import World
from graylane.mesh.filters.patches import Patch
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import Endpoint, Endpoints, Labels, Protocol, Service, ServicePort, Source, Subset, selects
from graylane.mesh.memo import Memo, Table


@dataclass(frozen=True, slots=True, eq=False)
class ClusterSpec:
    """`labels` choose among the service's endpoints; {} takes all of them. `edits` are EnvoyFilters' changes of it.

    `tls` is how connections are encrypted, a Finding why they cannot be: there is then nobody to send to.
    """

    name: str
    service: Service
    port: ServicePort
    protocol: Protocol
    labels: Labels
    policy: Policy
    sources: frozenset[Source]
    edits: tuple[Patch, ...] = ()
    tls: Origination | Finding | None = None
    lost: bool = False

    @property
    def closed(self) -> bool:
        """What is to be encrypted and cannot be is not sent at all, nor what no address is known for."""
        return self.lost or isinstance(self.tls, Finding)

    def pick(self, endpoints: Endpoints) -> tuple[Endpoint, ...]:
        if self.closed:
            return ()
        named = (each for each in endpoints.each if each.number(self.port.name) is not None)
        return tuple(each for each in named if selects(self.labels, dict(each.labels)))


def clusters(world: World, clients: tuple[Client, ...]) -> Table[str, ClusterSpec]:
    """For every service its default rule's clusters; for clients with another rule, theirs too."""
    key = (world.services, clients, world.inputs.credentials)
    return world.stage("clusters", key, partial(_clusters, clients))


def closed(found: Table[str, ClusterSpec], memo: Memo) -> tuple[tuple[Source, Finding], ...]:
    """Why nothing is sent to a cluster, for each DestinationRule behind it."""
    return memo.get(("closed", found), lambda: tuple(dict.fromkeys(_closed(found))))


def _closed(found: Table[str, ClusterSpec]) -> Iterable[tuple[Source, Finding]]:
    for spec in found.values():
        if isinstance(spec.tls, Finding):
            yield from ((source, spec.tls) for source in spec.sources if source.kind == "DestinationRule")


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """One service's clusters, and all they were made from besides the service."""

    needs: Hashable
    specs: tuple[ClusterSpec, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    services: Services
    clients: tuple[Client, ...]
    credentials: object
    each: dict[Service, _Kept]

    def touched(self, world: World, clients: tuple[Client, ...]) -> frozenset[str] | None:
        """The hosts for which there may be other clusters now; None where there may be for any."""
        if self.credentials is not world.inputs.credentials or len(clients) != len(self.clients):
            return None
        same = all(one.alike(two) for one, two in zip(clients, self.clients, strict=True))
        return world.services.since(self.services) if same else None


def _clusters(clients: tuple[Client, ...], world: World) -> Table[str, ClusterSpec]:
    known: _Known = world.memo.renew("each", partial(_all, world, clients))
    return Table((spec.name, spec) for kept in known.each.values() for spec in kept.specs)


def _all(world: World, clients: tuple[Client, ...], last: _Known | None) -> _Known:
    known = last.each if last is not None else {}
    touched = last.touched(world, clients) if last is not None else None
    if last is not None and touched is not None:
        for client, before in zip(clients, last.clients, strict=True):
            client.follow(before, touched)
        each = {
            service: _for_all(world, clients, service, kept) if service.host in touched else kept
            for service, kept in known.items()
        }
    else:
        each = {service: _for_all(world, clients, service, known.get(service)) for service in world.services.each}
    return _Known(world.services, clients, world.inputs.credentials, each)


def _for_all(world: World, clients: tuple[Client, ...], service: Service, last: _Kept | None) -> _Kept:
    services = world.services
    # Who follows which rule, with what changes, finds Secrets where, has an address to go on to or none, and which
    # protocol where the port does not tell.
    common = (services.default_rule(service), services.edits, "", False, False)
    own = ((client, client.rule(service)) for client in clients)
    others = (
        (rule, client.edits, client.wallet(rule), client.lost(service), client.plain(service)) for client, rule in own
    )
    ways = tuple(
        (services.variant(service, rule, wallet, lost=lost, plain=plain), rule, edits, wallet, lost, plain)
        for rule, edits, wallet, lost, plain in dict.fromkeys((common, *others))
    )
    secret = any(rule and rule.encrypts for _, rule, *_ in ways)
    needs = (ways, services.edits, world.inputs.credentials if secret else None)
    if last is not None and last.needs == needs:
        return last
    return _Kept(needs, tuple(spec for way in ways for spec in _of_service(world, service, *way)))


def _of_service(
    world: World,
    service: Service,
    variant: str,
    rule: Rule | None,
    edits: tuple[Patch, ...],
    wallet: str,
    lost: bool,
    plain: bool,
) -> tuple[ClusterSpec, ...]:
    """For every port and subset one. Those that `edits` take out are not there for whoever they hold for."""
    services = world.services
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
            policy = policy_for(rule, port.number, subset)
            found.append(
                ClusterSpec(
                    name=cluster_name(service.host, port.number, name, variant + mark),
                    service=service,
                    port=port,
                    protocol=Protocol.HTTP if plain and port.protocol is Protocol.AUTO else port.protocol,
                    labels=subset.labels if subset and not policy.passthrough else {},
                    policy=policy,
                    sources=sources.union(patch.owner.source for patch in changes),
                    edits=changes,
                    tls=origination(policy.tls, service, wallet, world.inputs),
                    lost=lost,
                )
            )
    return tuple(found)
