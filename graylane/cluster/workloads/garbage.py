"""Garbage: dependents whose owners are gone, and the three ways of deleting an owner.

Pure. In: an object, what became of its owners, its dependents. Out: effects. The rules are those of Kubernetes'
garbage collector: background (owner first), foreground (blocking dependents first), orphan (dependents let go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from graylane.kit import Change, Delete, Effect, Patch
from graylane.model.kinds import Kind
from graylane.model.meta import Key, Obj, finalizers_of, is_deleting, key_of, owner_refs, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Item:
    """Something to look at."""

    kind: Kind
    key: Key


@dataclass(frozen=True, slots=True)
class Dependent:
    """An object with an owner reference to the object in question."""

    kind: Kind
    obj: Obj


class Fate(StrEnum):
    """What became of an owner."""

    ALIVE = "alive"
    ABSENT = "absent"  # the API does not know it, or another object has its name
    WAITING = "waiting"  # being deleted in the foreground: it waits for its dependents
    UNKNOWN = "unknown"  # of a kind that is not served here: keep what depends on it


def fate_of(owner: Obj | None, uid: str) -> Fate:
    if owner is None or uid_of(owner) != uid:
        return Fate.ABSENT
    return Fate.WAITING if is_deleting(owner) and FOREGROUND in finalizers_of(owner) else Fate.ALIVE


def is_concerned(obj: Obj) -> bool:
    """Worth a look: it has owners, or its deletion waits for us."""
    return bool(owner_refs(obj)) or (is_deleting(obj) and bool({FOREGROUND, ORPHAN} & set(finalizers_of(obj))))


def touches_ownership(change: Change) -> bool:
    """Most changes are of a status or a spec and concern nobody here."""
    old, new = change.old, change.new
    if old is None or new is None or uid_of(old) != uid_of(new):
        return True
    return (
        owner_refs(old) != owner_refs(new)
        or is_deleting(old) != is_deleting(new)
        or finalizers_of(old) != finalizers_of(new)
    )


def collect(item: Item, obj: Obj, fate: Callable[[Obj], Fate], dependents: Sequence[Dependent]) -> list[Effect]:
    """What is to be done about `obj` now; `fate` answers for one of its owner references."""
    if is_deleting(obj):
        return _finish_deletion(item, obj, dependents)
    fates = [(reference, fate(reference)) for reference in owner_refs(obj)]
    if not fates or any(known is Fate.UNKNOWN for _, known in fates):
        return []
    if any(known is Fate.ALIVE for _, known in fates):
        return _keep_only_living(item, obj, [reference for reference, known in fates if known is Fate.ALIVE])
    waited_for = any(known is Fate.WAITING for _, known in fates)
    return _delete(item, obj, dependents, in_foreground=waited_for and bool(dependents))


def _finish_deletion(item: Item, obj: Obj, dependents: Sequence[Dependent]) -> list[Effect]:
    finalizers = finalizers_of(obj)
    if ORPHAN in finalizers:
        return [*(_let_go(dependent, uid_of(obj)) for dependent in dependents), _without(item, obj, ORPHAN)]
    if FOREGROUND in finalizers and not any(_blocks(dependent, uid_of(obj)) for dependent in dependents):
        return [_without(item, obj, FOREGROUND)]
    return []


def _blocks(dependent: Dependent, owner_uid: str) -> bool:
    references = owner_refs(dependent.obj)
    return any(ref.get("uid") == owner_uid and ref.get("blockOwnerDeletion") for ref in references)


def _keep_only_living(item: Item, obj: Obj, living: list[Obj]) -> list[Effect]:
    if len(living) == len(owner_refs(obj)):
        return []
    return [_with_owners(item.kind, obj, living, "an owner is gone, another is not")]


def _delete(item: Item, obj: Obj, dependents: Sequence[Dependent], *, in_foreground: bool) -> list[Effect]:
    """With the propagation its own finalizers ask for; an owner that waits for it hands its way of waiting down."""
    effects: list[Effect] = []
    propagation = "Background"
    if in_foreground:
        propagation = "Foreground"
        if any(is_deleting(dependent.obj) for dependent in dependents):
            # A circle of owners would wait for itself for ever: break it here.
            freed = [reference | {"blockOwnerDeletion": False} for reference in owner_refs(obj)]
            effects.append(_with_owners(item.kind, obj, freed, "owners in a circle must not block each other"))
    elif ORPHAN in finalizers_of(obj):
        propagation = "Orphan"
    elif FOREGROUND in finalizers_of(obj):
        propagation = "Foreground"
    return [*effects, Delete(item.kind, item.key, uid_of(obj), propagation=propagation)]


def _let_go(dependent: Dependent, owner_uid: str) -> Patch:
    left = [reference for reference in owner_refs(dependent.obj) if reference.get("uid") != owner_uid]
    return _with_owners(dependent.kind, dependent.obj, left, "its owner was deleted without it")


def _with_owners(kind: Kind, obj: Obj, references: list[Obj], reason: str) -> Patch:
    metadata = {"ownerReferences": references or None, "resourceVersion": obj["metadata"].get("resourceVersion")}
    return Patch(kind, key_of(obj), {"metadata": metadata}, reason=reason)


def _without(item: Item, obj: Obj, finalizer: str) -> Patch:
    left = [name for name in finalizers_of(obj) if name != finalizer]
    metadata = {"finalizers": left or None, "resourceVersion": obj["metadata"].get("resourceVersion")}
    return Patch(item.kind, item.key, {"metadata": metadata}, reason="nothing is left to wait for")


def owner_items(obj: Obj, kinds: Iterable[Kind]) -> Iterable[Item]:
    """Where the owners of `obj` would be."""
    served = {(kind.group, kind.kind): kind for kind in kinds}
    for reference in owner_refs(obj):
        kind = served.get((group_of(reference), str(reference.get("kind"))))
        if kind is not None:
            yield Item(kind, owner_key(reference, kind, obj))


def group_of(reference: Obj) -> str:
    group, _, version = str(reference.get("apiVersion", "")).partition("/")
    return group if version else ""


def owner_key(reference: Obj, kind: Kind, dependent: Obj) -> Key:
    """An owner is in its dependent's namespace, or cluster-scoped."""
    namespace = str(dependent["metadata"].get("namespace", "")) if kind.namespaced else ""
    return Key(namespace, str(reference.get("name")))
