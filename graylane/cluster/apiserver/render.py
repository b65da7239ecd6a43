"""Stored objects in the shape a client asked for: as they are, as a Table, as metadata only; one, many, or as events.

Pure. In: entries, the resource in the version that was asked for, `Wanted`. Out: bytes.

Stored bytes are sent as they are whenever the version allows it; only the few bytes of `apiVersion` are exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import yaml

from graylane.cluster.apiserver import conversion
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.media import Shape, Wanted
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema import printers
from graylane.cluster.apiserver.store import Entry
from graylane.model.meta import Obj

_META_GROUP = "meta.k8s.io"


@dataclass(frozen=True, slots=True)
class View:
    """How one request sees one kind. `include` is kubectl's `includeObject`: None, Metadata (default) or Object."""

    resource: Resource
    wanted: Wanted
    now: datetime
    include: str = "Metadata"
    columns: tuple[Obj, ...] | None = None

    @property
    def shape(self) -> tuple[str, ...]:
        """Equal for two requests whose encodings of one object are interchangeable within a second."""
        table = (self.include, str(int(self.now.timestamp()))) if self.wanted.shape is Shape.TABLE else ()
        return (self.wanted.shape, self.wanted.meta_version, self.resource.api_version, *table)


@dataclass(frozen=True, slots=True)
class Page:
    """`metadata` of a list answer."""

    revision: int
    token: str = ""
    remaining: int | None = None

    def metadata(self) -> Obj:
        found: Obj = {"resourceVersion": str(self.revision)}
        if self.token:
            found["continue"] = self.token
        if self.remaining is not None:
            found["remainingItemCount"] = self.remaining
        return found


def body_of(entry: Entry, resource: Resource) -> bytes:
    """The object as JSON in the version of `resource`."""
    stored = entry.obj["apiVersion"]
    if stored == resource.api_version:
        return entry.body
    head = b'{"apiVersion":"%s"' % stored.encode()
    if entry.body.startswith(head) and conversion.renamed_only(resource.kind, stored, resource.api_version):
        return b'{"apiVersion":"%s"%s' % (resource.api_version.encode(), entry.body[len(head) :])
    return orjson.dumps(conversion.to(entry.obj, resource.api_version))


def one(entry: Entry, view: View) -> bytes:
    """One object, in the shape wanted."""
    if view.wanted.shape is Shape.TABLE:
        return orjson.dumps(_table([entry], view, {"resourceVersion": str(entry.revision)}))
    if view.wanted.shape is not Shape.OBJECT:
        return orjson.dumps(_metadata_only(entry.obj, view))
    return body_of(entry, view.resource)


def many(entries: Sequence[Entry], view: View, page: Page) -> bytes:
    if view.wanted.shape is Shape.TABLE:
        return orjson.dumps(_table(entries, view, page.metadata()))
    if view.wanted.shape is not Shape.OBJECT:
        items = b",".join(orjson.dumps(_metadata_only(entry.obj, view)) for entry in entries)
        return _list(f"{Shape.METADATA_LIST}", f"{_META_GROUP}/{view.wanted.meta_version}", page, items)
    items = b",".join(body_of(entry, view.resource) for entry in entries)
    return _list(view.resource.list_name, view.resource.api_version, page, items)


def _list(kind: str, api_version: str, page: Page, items: bytes) -> bytes:
    head = orjson.dumps({"kind": kind, "apiVersion": api_version, "metadata": page.metadata()})
    return b'%s,"items":[%s]}' % (head[:-1], items)


def _metadata_only(obj: Obj, view: View) -> Obj:
    return {
        "kind": str(Shape.METADATA),
        "apiVersion": f"{_META_GROUP}/{view.wanted.meta_version}",
        "metadata": obj["metadata"],
    }


def _table(entries: Sequence[Entry], view: View, metadata: Obj) -> Obj:
    resource = view.resource
    objs = [conversion.to(entry.obj, resource.api_version) for entry in entries]
    table = printers.table(resource.group, resource.kind, objs, view.now, view.columns)
    for row, obj in zip(table["rows"], objs, strict=True):
        row["object"] = _row_object(obj, view)
    return {
        "kind": "Table",
        "apiVersion": f"{_META_GROUP}/{view.wanted.meta_version}",
        "metadata": metadata,
        "columnDefinitions": table["columnDefinitions"],
        "rows": table["rows"],
    }


def _row_object(obj: Obj, view: View) -> Any:
    if view.include == "Object":
        return obj
    return None if view.include == "None" else _metadata_only(obj, view)


def bookmark(revision: int, view: View, annotations: dict[str, str] | None = None) -> bytes:
    """What a BOOKMARK event carries: nothing but the revision, in the shape of the stream."""
    metadata: Obj = {"resourceVersion": str(revision)}
    if annotations:
        metadata["annotations"] = annotations
    if view.wanted.shape is Shape.TABLE:
        return orjson.dumps(_table([], view, metadata))
    if view.wanted.shape is not Shape.OBJECT:
        return orjson.dumps(_metadata_only({"metadata": metadata}, view))
    return orjson.dumps({"kind": view.resource.kind, "apiVersion": view.resource.api_version, "metadata": metadata})


def reply(body: bytes, wanted: Wanted, status: int = 200) -> Reply:
    """`body` as JSON, or as YAML for those who accept nothing else."""
    if wanted.yaml:
        text = yaml.safe_dump(orjson.loads(body), sort_keys=False, allow_unicode=True)
        return Reply(status, text.encode(), wanted.content_type)
    return Reply(status, body, wanted.content_type)
