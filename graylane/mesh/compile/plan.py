"""One whole compilation, in our own nouns: what Envoy shall listen on, how it routes, where requests can go.

Pure. In: `Inputs`. Out: `Plan`. `encode.snapshot` writes it for Envoy; `simulate` walks it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile import gateways, listeners, outbound
from graylane.mesh.compile.analysis import analyse
from graylane.mesh.compile.clusters import ClusterSpec, clusters
from graylane.mesh.compile.directory import Client
from graylane.mesh.compile.listeners import ListenerSpec
from graylane.mesh.compile.world import World, world_of
from graylane.mesh.filters.patches import Patch, decode, for_proxy
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import Endpoint, Inputs, Proxy, Source
from graylane.mesh.memo import Memo
from graylane.mesh.table import RouteTable
from graylane.model.meta import Key


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """`findings` are the complaints about each object; `carriers` the proxies each object has an effect on."""

    inputs: Inputs
    listeners: Mapping[str, ListenerSpec]
    patches: Mapping[str, tuple[Patch, ...]]
    tables: Mapping[str, RouteTable]
    clusters: Mapping[str, ClusterSpec]
    findings: Mapping[Source, tuple[Finding, ...]]
    carriers: Mapping[Source, frozenset[Key]]

    def picked(self, cluster: ClusterSpec) -> tuple[Endpoint, ...]:
        return cluster.pick(self.inputs.endpoints.get(cluster.service.key, ()))


def plan(inputs: Inputs, memo: Memo) -> Plan:
    world = world_of(inputs, memo)
    complaints: dict[Source, list[Finding]] = defaultdict(list)
    for source, told in analyse(world).items():
        complaints[source].extend(told)
    gateway_ports = gateways.ports(world, complaints)
    sidecars = outbound.clients(world)
    routers = {str(port.proxy.key): (gateways.client(world, port.proxy), (port.proxy,)) for port in gateway_ports}
    tables = [gateways.table(world, port) for port in gateway_ports]
    tables += [outbound.table(world, client) for client, _ in sidecars.values()]
    specs = listeners.listeners(world, gateway_ports, sidecars)
    patches = _patches(world, specs, complaints)
    everyone = [*sidecars.values(), *routers.values()]
    found = clusters(world, [client for client, _ in everyone])
    return Plan(
        inputs=inputs,
        listeners=specs,
        patches=patches,
        tables={table.name: table for table in tables},
        clusters=found,
        findings={source: tuple(dict.fromkeys(told)) for source, told in complaints.items()},
        carriers=_carriers(specs, patches, tables, everyone),
    )


def _patches(
    world: World, specs: Mapping[str, ListenerSpec], complaints: dict[Source, list[Finding]]
) -> dict[str, tuple[Patch, ...]]:
    """For each listener the EnvoyFilter patches that concern it, in the order they are applied."""
    filters, root = world.inputs.envoy_filters, world.inputs.mesh.root_namespace
    decoded = {each: world.memo.get(("decoded", each), partial(decode, each)) for each in filters}
    for each, (_, told) in decoded.items():
        complaints[each.source].extend(told)
    found: dict[str, tuple[Patch, ...]] = {}
    for name, spec in specs.items():
        if filters and spec.owner is not None:
            key = ("filters", filters, spec.owner)
            selected = world.memo.get(key, partial(for_proxy, filters, spec.owner, root))
            found[name] = tuple(patch for each in selected for patch in decoded[each][0] if patch.concerns(spec))
    return found


def _carriers(
    specs: Mapping[str, ListenerSpec],
    patches: Mapping[str, tuple[Patch, ...]],
    tables: Iterable[RouteTable],
    clients: Iterable[tuple[Client, tuple[Proxy, ...]]],
) -> dict[Source, frozenset[Key]]:
    """Which proxies each object has an effect on: through their routes, their rules or their filters."""
    found: dict[Source, set[Key]] = defaultdict(set)
    listening: dict[str, set[Key]] = defaultdict(set)
    for name, spec in specs.items():
        if spec.owner is not None:
            listening[spec.table].add(spec.owner.key)
            for patch in patches.get(name, ()):
                found[patch.owner.source].add(spec.owner.key)
    for table in tables:
        for source in table.sources:
            found[source] |= listening[table.name]
    for client, proxies in clients:
        keys = {proxy.key for proxy in proxies}
        for source in client.sources():
            found[source] |= keys
    return {source: frozenset(keys) for source, keys in found.items()}
