"""What an explanation reads of a cluster, ours or any with Istio.

Pure. In: lists of objects by kind. Out: `Inputs` by the mesh's own reader, and the `View` that the chain is read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graylane.chain.observed import KINDS as OBSERVED
from graylane.chain.observed import observed
from graylane.chain.requests import Dye
from graylane.kit.cache import View
from graylane.mesh import meshconfig, read
from graylane.mesh.inputs import Credential, Inputs, MeshConfig
from graylane.mesh.memo import Table
from graylane.mesh.store import KINDS as MESH_KINDS
from graylane.mesh.store import Store
from graylane.model.kinds import CONFIG_MAP, POD, SECRET, TRAFFIC_ROUTING, Kind
from graylane.model.meta import Key, Obj, annotations_of, dig, key_of

KINDS = (*MESH_KINDS, TRAFFIC_ROUTING, CONFIG_MAP)
Lists = Mapping[Kind, list[Obj]]
__all__ = ["KINDS", "Lists", "as_router", "inputs_of", "view_of"]


def inputs_of(lists: Lists) -> Inputs:
    store = Store(_mesh(lists))
    for kind in (*MESH_KINDS, SECRET):
        for obj in lists.get(kind, ()):
            store.take(kind, key_of(obj), None, as_router(obj) if kind == POD else obj)
    dyes = (dye for item in lists.get(TRAFFIC_ROUTING, ()) for dye in Dye.all_of(item))
    store.take_lanes(frozenset(header.name for dye in dyes for header in dye.headers))
    found = store.inputs()
    return found if SECRET in lists else replace(found, credentials=_Assumed())


def _mesh(lists: Lists) -> MeshConfig:
    base = MeshConfig(system_roots="-")  # whoever asks need not be where the proxies are
    written = next((each for each in lists.get(CONFIG_MAP, ()) if key_of(each) == meshconfig.KEY), None)
    return meshconfig.read(written, base).mesh or base


class _Assumed(Table[Key, Credential]):
    """Nobody needs to read private keys to ask where requests go: Secrets that are not given are taken to be right."""

    def get(self, key: Key, default: object = None) -> Credential:
        return Credential(key, b"-", b"-", b"-")


def view_of(lists: Lists) -> View:
    return observed({kind: items for kind, items in lists.items() if kind in OBSERVED})


def as_router(pod: Obj) -> Obj:
    """Our gateway is known by being a mirror of the Envoy process, Istio's by what its proxy is told to be."""
    containers = dig(pod, "spec", "containers", default=[])
    if not any((each.get("args") or [])[:2] == ["proxy", "router"] for each in containers):
        return pod
    marked = annotations_of(pod) | {read.MIRROR: "istio"}
    return {**pod, "metadata": {**pod["metadata"], "annotations": marked}}
