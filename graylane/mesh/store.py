"""The mesh's memory of the API: nouns that stay the same for as long as their objects mean the same.

Pure. In: changes of objects, one by one. Out: `Inputs`. Status writes, heartbeats and annotations leave every noun as
it was, and so cost no compilation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from graylane.mesh import entries, exports, read, selected
from graylane.mesh.credentials import credential
from graylane.mesh.inputs import NO_ENDPOINTS, Config, Credential, Endpoints, Inputs, MeshConfig, Proxy, Service
from graylane.mesh.memo import Table
from graylane.model.kinds import (
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    ENVOY_FILTER,
    GATEWAY,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ENTRY,
    SIDECAR,
    VIRTUAL_SERVICE,
    WORKLOAD_ENTRY,
    Kind,
)
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    dig,
    generation_of,
    is_deleting,
    labels_of,
    namespace_of,
    uid_of,
)

FIELDS = {
    GATEWAY: "gateways",
    VIRTUAL_SERVICE: "virtual_services",
    DESTINATION_RULE: "destination_rules",
    ENVOY_FILTER: "envoy_filters",
    SERVICE_ENTRY: "service_entries",
    SIDECAR: "sidecars",
    WORKLOAD_ENTRY: "workload_entries",
}
CONFIG_KINDS = tuple(FIELDS)
KINDS = (SERVICE, ENDPOINT_SLICE, POD, *CONFIG_KINDS)
_BEHIND_SERVICES = {ENDPOINT_SLICE, POD, SERVICE_ENTRY, WORKLOAD_ENTRY}
READERS: Mapping[Kind, Callable[[Obj, str], Config]] = {
    GATEWAY: lambda obj, domain: read.gateway(obj),
    VIRTUAL_SERVICE: read.virtual_service,
    DESTINATION_RULE: read.destination_rule,
    ENVOY_FILTER: lambda obj, domain: read.envoy_filter(obj),
    SERVICE_ENTRY: lambda obj, domain: entries.service_entry(obj),
    SIDECAR: lambda obj, domain: read.sidecar(obj),
    WORKLOAD_ENTRY: lambda obj, domain: entries.workload_entry(obj),
}


class Store:
    """Feed it every change; ask for `inputs` when `dirty`."""

    def __init__(self, mesh: MeshConfig) -> None:
        self.mesh = mesh
        self.dirty = True
        self.terminating: frozenset[Key] = frozenset()
        self._services: dict[Key, Service] = {}
        self._written_exports: dict[Key, tuple[str, ...]] = {}
        self._credentials: dict[Key, Credential] = {}
        self._proxies: dict[Key, Proxy] = {}
        self._pods: dict[Key, Obj] = {}
        self._slices: dict[Key, dict[Key, Obj]] = defaultdict(dict)
        self._behind: dict[Key, set[Key]] = defaultdict(set)
        self._endpoints: dict[Key, Endpoints] = {}
        self._selected: dict[Key, Endpoints] = {}
        self._configs: dict[Kind, dict[Key, Config]] = {kind: {} for kind in CONFIG_KINDS}
        self._lanes: frozenset[str] = frozenset()
        self._inputs = Inputs(mesh)
        self._stale: set[Kind] = {*KINDS, SECRET}
        self._takers: Mapping[Kind, Callable[[Key, Obj | None, Obj | None], bool]] = {
            SERVICE: self._take_service,
            ENDPOINT_SLICE: self._take_slice,
            POD: self._take_pod,
            SECRET: self._take_secret,
        }

    def take(self, kind: Kind, key: Key, old: Obj | None, new: Obj | None) -> None:
        """One object went from `old` to `new` (None: absent)."""
        taker = self._takers.get(kind)
        changed = taker(key, old, new) if taker else self._take_config(kind, key, old, new)
        if changed:
            self._stale.add(kind)
            self.dirty = True

    def take_lanes(self, headers: frozenset[str]) -> None:
        """The headers that mark a lane are `headers` now."""
        if headers != self._lanes:
            self._lanes = headers
            self.dirty = True

    def take_mesh(self, mesh: MeshConfig) -> None:
        """What holds mesh-wide is `mesh` now, with what is exported to whom by default."""
        if mesh == self.mesh:
            return
        self.mesh, self.dirty = mesh, True
        for key, found in self._services.items():
            self._services[key] = exports.service(found, self._written_exports[key], mesh)
        for nouns in self._configs.values():
            nouns.update({key: exports.exported(noun, mesh) for key, noun in nouns.items()})
        self._stale |= {SERVICE, *CONFIG_KINDS}

    def inputs(self) -> Inputs:
        """Everything as it is now. Parts of kinds that did not change are the same objects as last time."""
        if self._stale or self._inputs.lanes != self._lanes:
            self._inputs = self._rebuilt()
            self._stale.clear()
        self.dirty = False
        return self._inputs

    def as_last_asked(self) -> Inputs:
        """What `inputs` gave last."""
        return self._inputs

    def _rebuilt(self) -> Inputs:
        old, stale = self._inputs, self._stale
        return Inputs(
            mesh=self.mesh,
            services=_values(self._services) if SERVICE in stale else old.services,
            endpoints=self._all_endpoints() if stale & self._behind_services else old.endpoints,
            proxies=_values(self._proxies) if POD in stale else old.proxies,
            **{field: self._tuple(kind, getattr(old, field)) for kind, field in FIELDS.items()},
            lanes=self._lanes,
            credentials=Table(self._credentials) if SECRET in stale else old.credentials,
        )

    def _all_endpoints(self) -> Table[Key, Endpoints]:
        """Those of EndpointSlices, and those that are selected otherwise."""
        listing: Any = self._configs[SERVICE_ENTRY].values()
        workloads: Any = self._configs[WORKLOAD_ENTRY].values()
        pods, services = self._pods.values(), self._services.values()
        found = selected.by_key(listing, services, pods, workloads, self._endpoints)
        known = self._selected
        self._selected = {
            key: kept if (kept := known.get(key, NO_ENDPOINTS)).each == each else Endpoints(each)
            for key, each in found.items()
        }
        return Table(self._endpoints | self._selected)

    @property
    def _behind_services(self) -> set[Kind]:
        """A Service's own change tells of its endpoints only where it selects them itself."""
        return _BEHIND_SERVICES | ({SERVICE} if self._configs[WORKLOAD_ENTRY] else set())

    def _tuple(self, kind: Kind, old: tuple[Any, ...]) -> tuple[Any, ...]:
        return _values(self._configs[kind]) if kind in self._stale else old

    def _take_service(self, key: Key, old: Obj | None, new: Obj | None) -> bool:
        if old is not None and new is not None and _same_service(old, new):
            return False
        if new is None:
            return _put(self._services, key, None)
        noun = read.service(new, self.mesh.domain)
        self._written_exports[key] = noun.export_to
        return _put(self._services, key, exports.service(noun, noun.export_to, self.mesh))

    def _take_secret(self, key: Key, old: Obj | None, new: Obj | None) -> bool:
        if old is not None and new is not None and old.get("data") == new.get("data"):
            return False
        return _put(self._credentials, key, credential(new) if new else None)

    def _take_config(self, kind: Kind, key: Key, old: Obj | None, new: Obj | None) -> bool:
        if old is not None and new is not None and _same_config(old, new):
            return False
        return _put(self._configs[kind], key, self._config(kind, new) if new else None)

    def _config(self, kind: Kind, obj: Obj) -> Config:
        return exports.exported(READERS[kind](obj, self.mesh.domain), self.mesh)

    def _take_pod(self, key: Key, old: Obj | None, new: Obj | None) -> bool:
        before, after = _facts(old), _facts(new)
        if before == after:
            return self._take_readiness(key, old, new)
        if new is None:
            self._pods.pop(key, None)
        else:
            self._pods[key] = new
        leaving = {key} if new is not None and is_deleting(new) else set()
        self.terminating = (self.terminating - {key}) | leaving
        _put(self._proxies, key, read.proxy(new) if new else None)
        for service in self._behind.get(key, ()):
            self._refresh_endpoints(service)
        return True

    def _take_readiness(self, key: Key, old: Obj | None, new: Obj | None) -> bool:
        """EndpointSlices tell it of Services' pods; of those that a ServiceEntry selects the pod alone does."""
        if new is None or old is None or selected.ready(old) == selected.ready(new):
            return False
        self._pods[key] = new
        return any(True for _ in selected.selecting(self._configs[SERVICE_ENTRY].values()))  # type: ignore[arg-type]

    def _take_slice(self, key: Key, old: Obj | None, new: Obj | None) -> bool:
        services = {read.service_of(each) for each in (old, new) if each is not None}
        for each in services:
            self._slices[each].pop(key, None)
        if new is not None:
            self._slices[read.service_of(new)][key] = new
            for pod in _pods_behind(new):
                self._behind[pod].add(read.service_of(new))
        changed = [self._refresh_endpoints(service) for service in services]
        return any(changed)

    def _refresh_endpoints(self, service: Key) -> bool:
        found = read.endpoints(self._slices[service].values(), self._pods.get)
        if found == self._endpoints.get(service, NO_ENDPOINTS).each:
            return False
        self._endpoints[service] = Endpoints(found)
        return True


def _values(nouns: dict[Key, Any]) -> tuple[Any, ...]:
    """In the order of their keys, in which they are kept: what is in order already is sorted soonest."""
    keys = list(nouns)
    ordered = sorted(keys)
    if ordered != keys:
        found = dict(nouns)
        nouns.clear()
        nouns.update((key, found[key]) for key in ordered)
    return tuple(nouns.values())


def _put(nouns: dict[Key, Any], key: Key, noun: Any) -> bool:
    if noun is None:
        return nouns.pop(key, None) is not None
    nouns[key] = noun
    return True


def _same_service(old: Obj, new: Obj) -> bool:
    spoken = [annotations_of(each).get(read.EXPORT_TO) for each in (old, new)]
    return old.get("spec") == new.get("spec") and spoken[0] == spoken[1]


def _same_config(old: Obj, new: Obj) -> bool:
    """A change of an annotation is no new generation; one of them counts."""
    guards = (annotations_of(each).get(read.SPOOF_GUARD) for each in (old, new))
    return uid_of(old) == uid_of(new) and generation_of(old) == generation_of(new) and len(set(guards)) == 1


def _facts(pod: Obj | None) -> tuple[Any, ...] | None:
    """All that routing depends on of a pod; the kubelet writes far more, far more often."""
    if pod is None:
        return None
    status = pod.get("status") or {}
    ended = status.get("phase") in ("Succeeded", "Failed")
    address = (status.get("podIP"), status.get("hostIP"), ended, is_deleting(pod))
    return (uid_of(pod), labels_of(pod), address, annotations_of(pod).get(read.MIRROR))


def _pods_behind(endpoint_slice: Obj) -> set[Key]:
    targets = (dig(entry, "targetRef", default={}) for entry in endpoint_slice.get("endpoints") or ())
    namespace = namespace_of(endpoint_slice)
    return {
        Key(target.get("namespace") or namespace, str(target.get("name")))
        for target in targets
        if target.get("kind") == "Pod"
    }
