"""What Envoy would be given of one object if its spec were another: one resource, for an Envoy on trial.

Pure. In: `Inputs`, the object, the resource that was refused. Out: a serialized Bootstrap that holds the resource, b""
where there would be none. A route table comes in a listener, endpoints in a cluster, since a bootstrap has no others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from graylane.mesh import exports
from graylane.mesh.compiler import compile
from graylane.mesh.encode.protos import cluster_pb2, pack, set_address
from graylane.mesh.filters.patches import HCM
from graylane.mesh.inputs import Config, Inputs
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource, Snapshot, Type
from graylane.mesh.store import FIELDS, READERS
from graylane.model.kinds import Kind
from graylane.model.meta import Obj


@dataclass(frozen=True, slots=True)
class Variants:
    """`refused` None is for an object that cannot even be compiled."""

    inputs: Inputs
    kind: Kind
    obj: Obj
    refused: Resource | None
    memo: Memo

    def resources(self, spec: Obj) -> bytes:
        """Raises whatever compiling raises."""
        mesh = self.inputs.mesh
        noun = exports.exported(READERS[self.kind]({**self.obj, "spec": spec}, mesh.domain), mesh)
        field = FIELDS[self.kind]
        nouns: dict[str, Any] = {field: _with(getattr(self.inputs, field), noun)}
        snapshot = compile(replace(self.inputs, **nouns), self.memo).snapshot
        found = _like(snapshot, self.refused) if self.refused else None
        return _bootstrap(found) if found else b""


def _with(nouns: tuple[Config, ...], noun: Config) -> tuple[Config, ...]:
    """In the order of their keys, as the store keeps them."""
    others = [each for each in nouns if each.source.key != noun.source.key]
    return tuple(sorted((*others, noun), key=lambda each: each.source.key))


def _like(snapshot: Snapshot, refused: Resource) -> Resource | None:
    """A copy of a cluster is named after what EnvoyFilters make of it, which differs from one variant to the next."""
    known = snapshot.of(refused.type)
    if refused.name in known:
        return known[refused.name]
    return next((each for name, each in known.items() if family(name) == family(refused.name)), None)


def family(name: str) -> str:
    return name.partition("+")[0].removesuffix("~")


def _bootstrap(found: Resource) -> bytes:
    message = bootstrap_pb2.Bootstrap()
    static = message.static_resources
    match found.type:
        case Type.CLUSTER:
            static.clusters.add().MergeFromString(found.body)
        case Type.LISTENER:
            static.listeners.add().MergeFromString(found.body)
        case Type.ENDPOINTS:
            cluster = static.clusters.add(name=found.name, type=cluster_pb2.Cluster.STATIC)
            cluster.load_assignment.MergeFromString(found.body)
        case Type.ROUTES:
            listener = static.listeners.add(name="trial")
            set_address(listener.address, "127.0.0.1", 0)
            manager = hcm_pb2.HttpConnectionManager(stat_prefix="trial")
            manager.route_config.MergeFromString(found.body)
            manager.http_filters.add(name="router").typed_config.CopyFrom(pack(router_pb2.Router()))
            listener.filter_chains.add().filters.add(name=HCM).typed_config.CopyFrom(pack(manager))
    return bytes(message.SerializeToString())
