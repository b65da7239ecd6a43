"""Which EnvoyFilter patches hold for which listener, for which route table, and what they add of their own.

Pure. In: the `World`, listeners, groups of clients. Out: `Edits`. What concerns a cluster is part of its `ClusterSpec`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from graylane.mesh.compile.directory import Group
from graylane.mesh.compile.inbound import brings
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.compile.world import World
from graylane.mesh.filters.patches import INBOUND, ON_LISTENERS, ON_ROUTES, Patch
from graylane.mesh.findings import Finding, not_found
from graylane.mesh.inputs import Proxy, ProxyKind, Source
from graylane.mesh.memo import Table

Patches = tuple[Patch, ...]
_CONTEXTS = {ProxyKind.SIDECAR: Role.OUTBOUND.value, ProxyKind.ROUTER: Role.GATEWAY.value}


@dataclass(frozen=True, slots=True, eq=False)
class Edits:
    """`listeners` and `tables` by name. `clusters` and `opened` are additions; a listener is opened for one pod."""

    listeners: Table[str, Patches]
    tables: Table[str, Patches]
    clusters: Patches = ()
    opened: tuple[tuple[Patch, Proxy], ...] = ()
    carried: tuple[tuple[Patch, Proxy], ...] = ()

    def by(self, source: Source) -> Iterable[Proxy]:
        """The proxies whose clusters an object changes or adds to."""
        return (proxy for patch, proxy in self.carried if patch.owner.source == source)


NO_EDITS = Edits(Table(), Table())


def edits(world: World, specs: Table[str, ListenerSpec], groups: tuple[Group, ...]) -> Edits:
    filters = world.inputs.envoy_filters
    if not filters:
        return NO_EDITS
    return world.memo.get(("edits", specs, groups, filters), partial(_edits, world, specs, groups))


def _edits(world: World, specs: Mapping[str, ListenerSpec], groups: tuple[Group, ...]) -> Edits:
    on_listeners: Table[str, Patches] = Table()
    on_tables: Table[str, Patches] = Table()
    for name, spec in specs.items():
        if spec.owner is None:
            continue
        every = world.patches(spec.owner, spec.role.value)
        found = (patch for patch in every if patch.target in ON_LISTENERS and not _opens(patch))
        on_listeners[name] = tuple(patch for patch in found if patch.on_listener(spec.istio_name, spec.port_number))
        on_routes = tuple(patch for patch in every if patch.target in ON_ROUTES)
        for table in spec.tables if on_routes else ():
            on_tables[table] = on_routes
    held = [(patch, proxy) for group in groups for proxy in group.proxies for patch in _held(world, proxy)]
    return Edits(
        listeners=on_listeners,
        tables=on_tables,
        clusters=tuple(dict.fromkeys(patch for patch, _ in held if patch.target == "CLUSTER" and patch.adds)),
        opened=tuple((patch, proxy) for patch, proxy in held if _opens(patch)),
        carried=tuple((patch, proxy) for patch, proxy in held if patch.target == "CLUSTER" or _opens(patch)),
    )


def _held(world: World, proxy: Proxy) -> Patches:
    """What is added on the inbound side says so: for any context it is added once, on the other."""
    found = world.patches(proxy, _CONTEXTS[proxy.kind])
    if proxy.kind is ProxyKind.SIDECAR:
        found += tuple(each for each in world.patches(proxy, INBOUND) if each.context == INBOUND and brings(each))
    return found


def _opens(patch: Patch) -> bool:
    return patch.target == "LISTENER" and patch.adds


def undiscovered(world: World) -> Iterable[tuple[Source, Finding]]:
    """Filters that are to be discovered under a name that no EXTENSION_CONFIG has."""
    patches = [patch for each in world.inputs.envoy_filters for patch in world.decoded(each)[0]]
    given = {patch.value.name for patch in patches if patch.target == "EXTENSION_CONFIG"}
    for patch in patches:
        if patch.target == "HTTP_FILTER" and patch.value.HasField("config_discovery"):
            fallback = patch.value.config_discovery.default_config.type_url
            if patch.value.name not in given and not fallback:
                yield patch.owner.source, not_found("EXTENSION_CONFIG", patch.value.name)
