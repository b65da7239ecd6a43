"""A whole `Plan` written for Envoy.

Pure. In: `Plan`. Out: `Snapshot`. What is made from the same nouns as last time is the same `Resource` as last time,
and a type of which nothing changed is the same table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile.clusters import ClusterSpec
from graylane.mesh.compile.inbound import door
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.compile.plan import Plan
from graylane.mesh.encode import clusters, inbound, listeners, tables
from graylane.mesh.encode.observe import Told
from graylane.mesh.inputs import Endpoints, ProxyKind, Resolution, Source
from graylane.mesh.memo import Memo, Table
from graylane.mesh.snapshot import Resource, Resources, Snapshot, Type, by_name
from graylane.model.meta import Key

NO_DOORS: frozenset[str] = frozenset()
Maker = Callable[[Plan, Memo], Iterable[Resource]]


def encode(plan: Plan, memo: Memo, serial: int) -> Snapshot:
    mesh = plan.inputs.mesh
    gateway_sources = tuple((name, _gateways(table.sources)) for name, table in plan.tables.items())
    doors = memo.stage("doors", (plan.inbound, mesh), partial(_doors, plan))
    large = _large(plan, memo)
    stages: dict[Type, tuple[Hashable, Maker]] = {
        Type.CLUSTER: ((plan.clusters, plan.edits.clusters, mesh, plan.inbound), _clusters),
        Type.ENDPOINTS: (
            (plan.clusters, plan.edits.clusters, plan.inputs.endpoints, doors),
            partial(_assignments, doors),
        ),
        Type.LISTENER: (
            (plan.listeners, plan.edits, mesh, gateway_sources, doors, large),
            partial(_listeners, doors, large),
        ),
        Type.ROUTES: (
            (tuple(plan.tables.values()), plan.listeners, plan.edits, _told(plan), _signed(plan), large),
            partial(_tables, large),
        ),
    }
    resources = {type: memo.stage(type, key, partial(_made, make, plan)) for type, (key, make) in stages.items()}
    sources = memo.get(("sources", plan.findings), lambda: frozenset(plan.findings))
    return Snapshot(serial, resources, sources)


def _made(make: Maker, plan: Plan, memo: Memo) -> Resources:
    return by_name(make(plan, memo))


def _doors(plan: Plan, memo: Memo) -> Table[str, Resource]:
    """The listeners before pods' own ports."""
    mesh = plan.inputs.mesh
    return by_name(each for pod in plan.inbound.values() for each in inbound.listeners(pod, mesh, memo))


def _clusters(plan: Plan, memo: Memo) -> Iterable[Resource]:
    timeout = plan.inputs.mesh.connect_timeout
    yield memo.get(("passthrough", timeout), lambda: clusters.passthrough(timeout))
    yield memo.get(("self",), clusters.self_cluster)
    specs = tuple(plan.clusters.values())
    yield from memo.each(("clusters", timeout), specs, partial(clusters.cluster, connect_timeout=timeout))
    for patch in plan.edits.clusters:
        if patch.value.name not in plan.clusters:
            yield memo.get(("added", patch), partial(clusters.added, patch))
    for pod in plan.inbound.values():
        yield from inbound.clusters(pod, plan.inputs.mesh, memo)


@dataclass(frozen=True, slots=True, eq=False)
class _Assigned:
    """What each cluster was given, and of what; `endpoints` are all there were."""

    endpoints: Table[Key, Endpoints]
    doors: Resources
    each: dict[ClusterSpec, tuple[Endpoints, frozenset[str], Resource]]


def _assignments(doors: Resources, plan: Plan, memo: Memo) -> Iterable[Resource]:
    assigned: _Assigned = memo.renew("assigned", partial(_assigned, doors, plan))
    yield from (found for _, _, found in assigned.each.values())
    for patch in plan.edits.clusters:
        yield from clusters.unassigned(patch)


def _assigned(doors: Resources, plan: Plan, last: _Assigned | None) -> _Assigned:
    """Where endpoints are the same as last time, they are not even looked up."""
    known = last.each if last is not None else {}
    same = last is not None and last.endpoints is plan.inputs.endpoints and last.doors is doors
    each = {}
    for spec in plan.clusters.values():
        if spec.service.resolution is not Resolution.STATIC or spec.closed:
            continue
        before = known.get(spec)
        if before is None or not same:
            through = frozenset(_before(doors, plan, spec)) if doors else NO_DOORS
            behind = plan.behind(spec)
            if before is None or before[0] is not behind or before[1] != through:
                before = (behind, through, _assignment(plan, spec, through))
        each[spec] = before
    return _Assigned(plan.inputs.endpoints, doors, each)


def _before(doors: Resources, plan: Plan, spec: ClusterSpec) -> Iterable[str]:
    """What begins with TLS, or with who the client is, is no HTTP to whoever looks in between: it passes by."""
    if spec.protocol.is_http and (spec.tls or spec.policy.proxy_protocol):
        return
    for each in plan.picked(spec):
        if (found := door(each.address, each.number(spec.port.name) or 0)) in doors:
            yield found


def _assignment(plan: Plan, spec: ClusterSpec, through: frozenset[str]) -> Resource:
    sources = spec.service.sources if spec.service.listed is not None else frozenset[Source]()
    return clusters.assignment(spec.name, plan.picked(spec), spec.port.name, through, sources)


def _large(plan: Plan, memo: Memo) -> frozenset[str]:
    """The tables of pods that come in parts."""
    most = plan.inputs.mesh.whole_up_to
    used = memo.get(("used by pods", plan.listeners), partial(_used_by_pods, plan))
    return frozenset(name for name in plan.tables.keys() & used if len(plan.tables[name].hosts) > most)


def _used_by_pods(plan: Plan) -> frozenset[str]:
    specs = plan.listeners.values()
    return frozenset(spec.table for spec in specs if spec.role is Role.OUTBOUND and not spec.chains)


def _sharded(plan: Plan, large: frozenset[str], spec: ListenerSpec) -> bool:
    """Whether a listener looks into parts: not if an EnvoyFilter may change a request's host on its way to a route."""
    fits = spec.role is Role.OUTBOUND and spec.table in large and not spec.chains
    return fits and not plan.edits.listeners.get(spec.name)


def _listeners(doors: Resources, large: frozenset[str], plan: Plan, memo: Memo) -> Iterable[Resource]:
    yield from doors.values()
    mesh = plan.inputs.mesh
    gateways = {name: _gateways(table.sources) for name, table in plan.tables.items()}
    for name, spec in plan.listeners.items():
        patches = plan.edits.listeners.get(name, ())
        sources = spec.sources.union(patch.owner.source for patch in patches)
        for table in spec.tables:
            sources |= gateways[table]
        sharded = _sharded(plan, large, spec)
        key = ("listener", spec, patches, mesh, sources, sharded)
        found = memo.get(key, partial(listeners.listener, spec, mesh, patches, sources, memo, sharded=sharded))
        if found is not None:
            yield found
    for patch, proxy in plan.edits.opened:
        namespace = mesh.namespace_of(proxy) if proxy.kind is ProxyKind.SIDECAR else ""
        yield memo.get(("opened", patch, proxy, namespace), partial(listeners.opened, patch, proxy, namespace))


def _gateways(sources: frozenset[Source]) -> frozenset[Source]:
    return frozenset(source for source in sources if source.kind == "Gateway")


def _tables(large: frozenset[str], plan: Plan, memo: Memo) -> Iterable[Resource]:
    told, signed = _told(plan), _signed(plan)
    key = ("users", plan.listeners, plan.edits, tuple(plan.tables), large)
    split, whole = memo.get(key, partial(_users, plan, large))
    for table in plan.tables.values():
        patches = plan.edits.tables.get(table.name, ())
        of = (table, told, patches, signed)
        if table.name in split:
            make = partial(tables.sharded, table, told, patches, signed=signed)
            yield from memo.stage(("shards", table.name), of, make)
        if table.name in whole:
            yield memo.stage(("table", table.name), of, partial(tables.table, table, told, patches, signed=signed))


def _users(plan: Plan, large: frozenset[str]) -> tuple[set[str], set[str]]:
    """The tables somebody uses in parts, and those somebody uses as a whole."""
    if not large:
        return set(), set(plan.tables)
    split: set[str] = set()
    whole = plan.tables.keys() - large
    for spec in plan.listeners.values():
        (split if _sharded(plan, large, spec) else whole).update(spec.tables)
    return split, whole


def _told(plan: Plan) -> Told | None:
    """The headers Envoy tells of in every table; None when it is to tell nothing."""
    mesh = plan.inputs.mesh
    return Told(plan.inputs.lanes, frozenset(mesh.named)) if mesh.ledger else None


def _signed(plan: Plan) -> bool:
    """Whether there is anybody who could ask a route which object it is of."""
    return bool(plan.inputs.envoy_filters)
