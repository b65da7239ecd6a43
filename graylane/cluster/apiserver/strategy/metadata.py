"""`metadata`, the same for every kind: what the server fills in, and what a client may not change.

Pure. In: objects, now, fresh random text. Out: objects with server-owned metadata, field errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.fielderror import FieldError, forbidden, invalid
from graylane.cluster.apiserver.strategy import names, owners
from graylane.model.meta import Obj, finalizers_of, format_time, is_deleting

_IDENTITY = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_OWNED_BY_SERVER = (*_IDENTITY, "generation")
_ENDS = ("deletionTimestamp", "deletionGracePeriodSeconds")
_NEVER_STORED = ("selfLink", "resourceVersion")


@dataclass(frozen=True, slots=True)
class Birth:
    """What the server gives to every new object; `suffix` is used when it asked for a generated name."""

    uid: str
    suffix: str
    now: datetime


def born(resource: Resource, obj: Obj, birth: Birth) -> Obj:
    """A new object's metadata: identity from the server, nothing from the client that only the server may say."""
    foreign = _OWNED_BY_SERVER if resource.generation else _IDENTITY  # a kind that counts nothing keeps what it is told
    metadata = _without(obj["metadata"], foreign + _NEVER_STORED)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata = {**metadata, "name": names.generated(metadata["generateName"], birth.suffix)}
    metadata |= {"uid": birth.uid, "creationTimestamp": format_time(birth.now)}
    if resource.generation:
        metadata["generation"] = 1
    return {**obj, "metadata": metadata}


def carried(new: Obj, old: Obj) -> Obj:
    """An update's metadata: what only the server may say is taken from `old`, whatever the client sent."""
    before = old["metadata"]
    metadata = _without(new["metadata"], _OWNED_BY_SERVER + _NEVER_STORED)
    metadata |= {name: before[name] for name in _OWNED_BY_SERVER if name in before}
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    metadata["name"] = before["name"]
    metadata["resourceVersion"] = before["resourceVersion"]
    return {**new, "metadata": _tidy(metadata)}


def _tidy(metadata: Obj) -> Obj:
    """Empty labels, annotations, finalizers and owners read back as absent, as Go's `omitempty` leaves them."""
    said = metadata.get("managedFields")  # an empty list of them says: forget who owns what
    return {name: value for name, value in metadata.items() if value not in ({}, [], None) or value is said == []}


def _without(metadata: Obj, names: tuple[str, ...]) -> Obj:
    return {name: value for name, value in _tidy(metadata).items() if name not in names}


def bumped(resource: Resource, new: Obj, old: Obj, wishes: tuple[str, ...] = ()) -> Obj:
    """`new` with the next generation if anything but status and metadata changed, or the `wishes` of its metadata."""
    if not resource.generation:
        return new
    separate_status = resource.has("status")
    same_metadata = all(new["metadata"].get(name) == old["metadata"].get(name) for name in wishes)
    if same_metadata and _wish(new, separate_status) == _wish(old, separate_status):
        return new
    metadata = {**new["metadata"], "generation": int(old["metadata"].get("generation", 0)) + 1}
    return {**new, "metadata": metadata}


def _wish(obj: Obj, separate_status: bool) -> dict[str, Any]:
    skipped = ("apiVersion", "kind", "metadata", "status") if separate_status else ("apiVersion", "kind", "metadata")
    return {name: value for name, value in obj.items() if name not in skipped}


def check_new(resource: Resource, obj: Obj) -> list[FieldError]:
    return names.check_name(resource, obj["metadata"]) + _check_said(obj["metadata"])


def _check_said(metadata: Obj) -> list[FieldError]:
    return names.check_maps(metadata) + owners.check(metadata) + names.check_finalizers(metadata)


def check_end(asked: Obj, old: Obj) -> list[FieldError]:
    """Only a DELETE says when an object ends."""
    before, wanted = old["metadata"], asked["metadata"]
    return [
        invalid(f"metadata.{name}", wanted[name], "field is immutable")
        for name in _ENDS
        if wanted.get(name) is not None and wanted[name] != before.get(name)
    ]


def check_changed(new: Obj, old: Obj) -> list[FieldError]:
    """What may not be said of an object that exists, e.g. a new finalizer while it is being deleted."""
    errors = _check_said(new["metadata"])
    added = [name for name in finalizers_of(new) if name not in finalizers_of(old)]
    if added and is_deleting(old):
        shown = ", ".join(f'"{name}"' for name in added)
        detail = "no new finalizers can be added if the object is being deleted, found new finalizers "
        errors.append(forbidden("metadata.finalizers", f"{detail}[]string{{{shown}}}"))
    return errors
