"""One whole compilation, in our own nouns: what Envoy shall listen on, how it routes, where requests can go.

Pure. In: `Inputs`. Out: `Plan`. `encode.snapshot` writes it for Envoy; `simulate` walks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile import gateways, guard, outbound
from graylane.mesh.compile.analysis import Findings, analyse
from graylane.mesh.compile.clusters import ClusterSpec, closed, clusters
from graylane.mesh.compile.directory import Group
from graylane.mesh.compile.edits import Edits, edits, undiscovered
from graylane.mesh.compile.inbound import NOBODY, Inbound, inbounds
from graylane.mesh.compile.joined import united
from graylane.mesh.compile.listeners import ListenerSpec, chained, listeners
from graylane.mesh.compile.world import world_of
from graylane.mesh.filters.patches import Patch
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import NO_ENDPOINTS, Endpoint, Endpoints, Inputs, Service, Source, WorkloadEntry
from graylane.mesh.memo import Memo, Table
from graylane.mesh.selected import chooses, selecting
from graylane.mesh.table import RouteTable
from graylane.model.meta import Key


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """`findings` has an entry for each configuration object; `notes` say what of one may change without it: a Gateway's
    spoof guard, by whom a WorkloadEntry is selected. Tables that did not change are those of the last plan.
    """

    inputs: Inputs
    listeners: Table[str, ListenerSpec]
    edits: Edits
    tables: Mapping[str, RouteTable]
    clusters: Table[str, ClusterSpec]
    findings: Findings
    groups: tuple[Group, ...]
    notes: Mapping[Source, str]
    inbound: Table[str, Inbound] = NOBODY

    def behind(self, cluster: ClusterSpec) -> Endpoints:
        """All endpoints of the cluster's service, whatever its subset."""
        service, known = cluster.service, self.inputs.endpoints
        if service.listed is None and service.parts:
            found = (part.listed or known.get(part.endpoints_key, NO_ENDPOINTS) for part in service.parts)
            return united(found)
        return service.listed or known.get(service.endpoints_key, NO_ENDPOINTS)

    def picked(self, cluster: ClusterSpec) -> tuple[Endpoint, ...]:
        return cluster.pick(self.behind(cluster))

    def carriers(self, source: Source) -> frozenset[Key]:
        """The proxies an object has an effect on: through their routes, their rules or their filters.

        A WorkloadEntry has its effect through what selects it.
        """
        if source.kind == "WorkloadEntry":
            return frozenset(key for keys in self._behind_workload(source) for key in keys)
        tables = {table.name for table in self.tables.values() if source in table.sources}
        tables |= {name for name, patches in self.edits.tables.items() if _has(patches, source)}
        found = self.listeners.values()
        owners = {spec.owner for spec in found if source in spec.sources or not tables.isdisjoint(spec.tables)}
        owners |= {self.listeners[name].owner for name, each in self.edits.listeners.items() if _has(each, source)}
        owners.update(self.edits.by(source))
        for group in self.groups:
            if source.kind == "DestinationRule" and source in group.client.sources():
                owners.update(group.proxies)
        for inbound in self.inbound.values():
            if any(source in port.sources for port in inbound.ports):
                owners.add(inbound.owner)
        return frozenset(owner.key for owner in owners if owner is not None)

    def _behind_workload(self, source: Source) -> Iterator[Iterable[Key]]:
        workload = next((each for each in self.inputs.workload_entries if each.source == source), None)
        for service in _choosing(self.inputs, workload) if workload else ():
            if service.entry is not None:
                yield self.carriers(service.entry)
            for group in self.groups if service.entry is None else ():
                if group.client.service(service.host) is service:
                    yield (proxy.key for proxy in group.proxies)

    def changed_inside(self, endpoint: Endpoint) -> tuple[Source, ...]:
        """The EnvoyFilters that change a request between its caller and this pod, in order."""
        found = self.inbound.get(endpoint.address)
        ports = (found.port(number) for _, number in endpoint.ports) if found else ()
        return tuple(dict.fromkeys(patch.owner.source for port in ports if port for patch in port.patches))


def _choosing(inputs: Inputs, workload: WorkloadEntry) -> Iterator[Service]:
    for service in (*selecting(inputs.service_entries), *inputs.services):
        if chooses(service, workload.namespace, workload.labels):
            yield service


def _notes(inputs: Inputs) -> Iterator[tuple[Source, str]]:
    for gateway in inputs.gateways:
        yield gateway.source, guard.words(gateway, inputs.lanes)
    for workload in inputs.workload_entries:
        found = dict.fromkeys(str(each.entry or f"Service {each.key}") for each in _choosing(inputs, workload))
        yield workload.source, f"selected by {', '.join(found) or 'nothing'}"


def _has(patches: tuple[Patch, ...], source: Source) -> bool:
    return any(patch.owner.source == source for patch in patches)


def plan(inputs: Inputs, memo: Memo) -> Plan:
    memo.of(inputs.mesh)
    world = world_of(inputs, memo)
    ports = gateways.ports(world)
    sidecars, routers = outbound.groups(world), gateways.groups(world, ports)
    specs = listeners(world, ports, sidecars)
    tables = [*gateways.tables(world, ports), *outbound.tables(world, sidecars)]
    guarded = tuple((each.source, told) for each in inputs.gateways for told in guard.findings(each))
    told = [(each.source, told) for each in inputs.envoy_filters for told in world.decoded(each)[1]]
    reached = clusters(world, tuple(group.client for group in (*sidecars, *routers)))
    unsent = closed(reached, memo)
    findings = (*ports.findings, *chained(world, ports), *told, *undiscovered(world), *guarded, *unsent)
    return Plan(
        inputs=inputs,
        listeners=specs,
        edits=edits(world, specs, (*sidecars, *routers)),
        tables={table.name: table for table in tables},
        clusters=reached,
        findings=_with(memo, analyse(world), findings),
        groups=(*sidecars, *routers),
        notes=dict(_notes(inputs)),
        inbound=inbounds(world),
    )


def _with(memo: Memo, findings: Findings, more: Iterable[tuple[Source, Finding]]) -> Findings:
    return memo.get(("findings", findings, tuple(more)), partial(_united, findings, tuple(more)))


def _united(findings: Findings, more: Iterable[tuple[Source, Finding]]) -> Findings:
    found: Findings = Table(findings)
    for source, finding in more:
        if finding not in found[source]:
            found[source] += (finding,)
    return found
