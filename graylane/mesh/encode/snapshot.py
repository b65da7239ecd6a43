"""A whole `Plan` written for Envoy.

Pure. In: `Plan`. Out: `Snapshot`. What is made from the same nouns as last time is the same `Resource` as last time.
"""

from __future__ import annotations

from functools import partial

from graylane.mesh.compile.clusters import ClusterSpec
from graylane.mesh.compile.plan import Plan
from graylane.mesh.encode import clusters, listeners, routes
from graylane.mesh.inputs import Source
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource, Snapshot, Type, by_name


def encode(plan: Plan, memo: Memo, serial: int) -> Snapshot:
    resources = {
        Type.CLUSTER: by_name(_clusters(plan, memo)),
        Type.ENDPOINTS: by_name(_assignment(plan, spec, memo) for spec in plan.clusters.values()),
        Type.LISTENER: by_name(_listener(plan, name, memo) for name in plan.listeners),
        Type.ROUTES: by_name(_table(plan, name, memo) for name in plan.tables),
    }
    carriers = {source: len(proxies) for source, proxies in plan.carriers.items()}
    return Snapshot(serial, resources, frozenset(plan.findings), carriers)


def _clusters(plan: Plan, memo: Memo) -> list[Resource]:
    timeout = plan.inputs.mesh.connect_timeout
    fixed = [
        memo.get(("passthrough", timeout), lambda: clusters.passthrough(timeout)),
        memo.get(("self",), clusters.self_cluster),
    ]
    specs = plan.clusters.values()
    return fixed + [memo.get(("cluster", spec, timeout), partial(clusters.cluster, spec, timeout)) for spec in specs]


def _assignment(plan: Plan, spec: ClusterSpec, memo: Memo) -> Resource:
    every = plan.inputs.endpoints.get(spec.service.key, ())
    return memo.get(
        ("endpoints", spec, every), lambda: clusters.assignment(spec.name, spec.pick(every), spec.port.name)
    )


def _listener(plan: Plan, name: str, memo: Memo) -> Resource:
    spec, patches = plan.listeners[name], plan.patches.get(name, ())
    sources = frozenset(patch.owner.source for patch in patches)
    if spec.table in plan.tables and spec.port_number != plan.inputs.mesh.proxy_port:
        sources |= _gateways(plan.tables[spec.table].sources)
    key = ("listener", spec, patches, plan.inputs.mesh, sources)
    return memo.get(key, partial(listeners.listener, spec, plan.inputs.mesh, patches, sources, memo))


def _gateways(sources: frozenset[Source]) -> frozenset[Source]:
    return frozenset(source for source in sources if source.kind == "Gateway")


def _table(plan: Plan, name: str, memo: Memo) -> Resource:
    table = plan.tables[name]
    key = ("table", table.name, table.hosts, table.sources)
    return memo.get(key, partial(routes.table, table, memo))
