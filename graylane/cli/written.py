"""Manifests as an analysis reads them: by the origin that findings name, and by kind.

Pure. In: manifests. Out: the same with their namespaces, and lists of those whose kinds play a part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graylane.cli.manifests import Manifest
from graylane.mesh.analyzers.everything import origin_of
from graylane.mesh.explain.reading import Lists
from graylane.model import kinds
from graylane.model.kinds import Kind
from graylane.model.meta import Obj, name_of, namespace_of

_KINDS = {(kind.group, kind.kind): kind for kind in vars(kinds).values() if isinstance(kind, Kind)}


Written = dict[tuple[str, str], Manifest]


def by_origin(given: list[Manifest], namespace: str) -> Written:
    """By group and origin: two kinds are called Gateway. Those known to have a namespace get `namespace` by default."""
    found: Written = {}
    for manifest in given:
        kind, meta = _kind_of(manifest.object), dict(manifest.object["metadata"])
        if kind is not None and kind.namespaced:
            meta.setdefault("namespace", namespace)
        obj = {**manifest.object, "metadata": meta}
        origin = origin_of(obj["kind"], namespace_of(obj), name_of(obj))
        found[_group_of(obj), origin] = replace(manifest, object=obj)
    return found


def listed(objects: Iterable[Obj]) -> Lists:
    """By kind; kinds that play no part are passed over."""
    lists: dict[Kind, list[Obj]] = {}
    for obj in objects:
        if kind := _kind_of(obj):
            lists.setdefault(kind, []).append(obj)
    return lists


def _kind_of(obj: Obj) -> Kind | None:
    return _KINDS.get((_group_of(obj), obj["kind"]))


def _group_of(obj: Obj) -> str:
    return str(obj["apiVersion"]).rpartition("/")[0]
