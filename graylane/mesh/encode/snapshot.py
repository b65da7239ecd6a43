"""A whole `Plan` written for Envoy.

Pure. In: `Plan`. Out: `Snapshot`. What is made from the same nouns as last time is the same `Resource` as last time,
and a type of which nothing changed is the same table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial

from graylane.mesh.compile.clusters import ClusterSpec
from graylane.mesh.compile.plan import Plan
from graylane.mesh.encode import clusters, listeners, routes
from graylane.mesh.inputs import Resolution, Source
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource, Resources, Snapshot, Type, by_name

Maker = Callable[[Plan, Memo], Iterable[Resource]]


def encode(plan: Plan, memo: Memo, serial: int) -> Snapshot:
    mesh = plan.inputs.mesh
    gateway_sources = tuple((name, _gateways(table.sources)) for name, table in plan.tables.items())
    stages: dict[Type, tuple[Hashable, Maker]] = {
        Type.CLUSTER: ((plan.clusters, plan.edits.clusters, mesh), _clusters),
        Type.ENDPOINTS: ((plan.clusters, plan.edits.clusters, plan.inputs.endpoints), _assignments),
        Type.LISTENER: ((plan.listeners, plan.edits, mesh, gateway_sources), _listeners),
        Type.ROUTES: ((tuple(plan.tables.values()), plan.edits.tables, _told(plan)), _tables),
    }
    resources = {type: memo.stage(type, key, partial(_made, make, plan)) for type, (key, make) in stages.items()}
    sources = memo.get(("sources", plan.findings), lambda: frozenset(plan.findings))
    return Snapshot(serial, resources, sources)


def _made(make: Maker, plan: Plan, memo: Memo) -> Resources:
    return by_name(make(plan, memo))


def _clusters(plan: Plan, memo: Memo) -> Iterable[Resource]:
    timeout = plan.inputs.mesh.connect_timeout
    yield memo.get(("passthrough", timeout), lambda: clusters.passthrough(timeout))
    yield memo.get(("self",), clusters.self_cluster)
    for spec in plan.clusters.values():
        yield memo.get(("cluster", spec, timeout), partial(clusters.cluster, spec, timeout))
    for patch in plan.edits.clusters:
        if patch.value.name not in plan.clusters:
            yield memo.get(("added", patch), partial(clusters.added, patch))


def _assignments(plan: Plan, memo: Memo) -> Iterable[Resource]:
    for spec in plan.clusters.values():
        if spec.service.resolution is Resolution.STATIC and not spec.closed:
            yield memo.get(("endpoints", spec, plan.behind(spec)), partial(_assignment, plan, spec))
    for patch in plan.edits.clusters:
        yield from clusters.unassigned(patch)


def _assignment(plan: Plan, spec: ClusterSpec) -> Resource:
    return clusters.assignment(spec.name, plan.picked(spec), spec.port.name)


def _listeners(plan: Plan, memo: Memo) -> Iterable[Resource]:
    mesh = plan.inputs.mesh
    gateways = {name: _gateways(table.sources) for name, table in plan.tables.items()}
    for name, spec in plan.listeners.items():
        patches = plan.edits.listeners.get(name, ())
        sources = spec.sources.union(patch.owner.source for patch in patches)
        for table in spec.tables:
            sources |= gateways[table]
        key = ("listener", spec, patches, mesh, sources)
        found = memo.get(key, partial(listeners.listener, spec, mesh, patches, sources, memo))
        if found is not None:
            yield found
    for patch, proxy in plan.edits.opened:
        yield memo.get(("opened", patch, proxy), partial(listeners.opened, patch, proxy))


def _gateways(sources: frozenset[Source]) -> frozenset[Source]:
    return frozenset(source for source in sources if source.kind == "Gateway")


def _tables(plan: Plan, memo: Memo) -> Iterable[Resource]:
    told = _told(plan)
    for table in plan.tables.values():
        patches = plan.edits.tables.get(table.name, ())
        key = (table, told, patches)
        yield memo.stage(("table", table.name), key, partial(routes.table, table, told, patches))


def _told(plan: Plan) -> frozenset[str] | None:
    """The headers Envoy tells of in every table; None when it is to tell nothing."""
    return plan.inputs.lanes if plan.inputs.mesh.ledger else None
