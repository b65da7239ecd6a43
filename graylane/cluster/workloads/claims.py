"""Whose is it: adoption and release of dependents by selector and controller reference.

Pure. In: an owner, its selector, the objects that may be its own. Out: `Claims`: what is its own, and patches that make
ownership agree with the selector. The rules are those of Kubernetes' `PodControllerRefManager`: at most one controller
per object; nothing is taken from another; a deleting owner neither adopts nor releases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graylane.kit import Patch, View
from graylane.model.kinds import Kind
from graylane.model.meta import (
    Obj,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    owner_reference,
    owner_refs,
    uid_of,
)
from graylane.model.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Claims:
    """`mine` is ordered by key and already counts what `patches` will adopt, without what they release."""

    mine: tuple[Obj, ...]
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Someone who owns objects of `kind` in its namespace by selector."""

    obj: Obj
    own_kind: Kind
    selector: LabelSelector


def claim(view: View, owner: Owner, kind: Kind, wanted: Callable[[Obj], bool] = lambda _: True) -> Claims:
    """What of `kind` belongs to `owner`; objects that are not `wanted` are left out and left alone."""
    uid = uid_of(owner.obj)
    owned = [obj for obj in view.owned_by(kind, uid) if wanted(obj) and _controller_uid(obj) == uid]
    if is_deleting(owner.obj):
        return Claims(tuple(obj for obj in owned if owner.selector.matches(labels_of(obj))))
    strangers = [obj for obj in owned if not owner.selector.matches(labels_of(obj))]
    orphans = [
        obj
        for obj in view.list(kind, namespace_of(owner.obj), owner.selector)
        if controller_of(obj) is None and not is_deleting(obj) and wanted(obj)
    ]
    mine = [obj for obj in owned if obj not in strangers] + orphans
    patches = [_release(kind, obj, uid) for obj in strangers] + [_adopt(kind, obj, owner) for obj in orphans]
    return Claims(tuple(sorted(mine, key=key_of)), tuple(patches))


def _controller_uid(obj: Obj) -> str | None:
    reference = controller_of(obj)
    return reference.get("uid") if reference else None


def _adopt(kind: Kind, obj: Obj, owner: Owner) -> Patch:
    references = [*owner_refs(obj), owner_reference(owner.obj, owner.own_kind)]
    return _rewrite(kind, obj, references, "adopt an object that the selector matches")


def _release(kind: Kind, obj: Obj, uid: str) -> Patch:
    references = [reference for reference in owner_refs(obj) if reference.get("uid") != uid]
    return _rewrite(kind, obj, references, "release an object that the selector no longer matches")


def _rewrite(kind: Kind, obj: Obj, references: list[Obj], reason: str) -> Patch:
    """Conditional on what was read: the list is written as a whole, and another controller may just be adopting."""
    metadata = {"ownerReferences": references or None, "resourceVersion": obj["metadata"].get("resourceVersion")}
    return Patch(kind, key_of(obj), {"metadata": metadata}, reason=reason)
