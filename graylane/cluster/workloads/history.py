"""ControllerRevisions: the templates a StatefulSet or DaemonSet had, numbered, so that pods can name theirs.

Pure. In: an owner and the revisions it owns. Out: `History`, the effects that bring it up to date, revisions to forget.
Going back to an old template numbers its old revision anew, as Kubernetes' `controller/history` does; the data is the
patch that `kubectl rollout undo` sends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from graylane.cluster.workloads.claims import Owner
from graylane.cluster.workloads.revisions import collisions_of, comparable, template_hash
from graylane.kit import Create, Delete, Effect, Patch, View
from graylane.model.kinds import Kind
from graylane.model.meta import (
    Obj,
    annotations_of,
    dig,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)

CONTROLLER_REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
POD_REVISION = "controller-revision-hash"  # the label by which a pod says which revision it was made from

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_DIRECTIVE = "$patch"


@dataclass(frozen=True, slots=True)
class History:
    """`update` holds the present template and is among `all`, oldest first; `effects` write what is new about it."""

    update: Obj
    all: tuple[Obj, ...]
    effects: tuple[Effect, ...] = ()

    @staticmethod
    def of(owner: Owner, found: Iterable[Obj], hash_label: str) -> History:
        """`hash_label` goes on new revisions; StatefulSets and DaemonSets each have their own."""
        ordered = tuple(sorted(found, key=_age))
        latest = _number(ordered[-1]) if ordered else 0
        present = comparable(owner.obj["spec"].get("template"))
        same = [revision for revision in ordered if comparable(template_of(revision)) == present]
        if not same:
            made = _new(owner, latest + 1, hash_label)
            return History(made, (*ordered, made), (Create(CONTROLLER_REVISION, made),))
        if same[-1] is ordered[-1]:
            return History(same[-1], ordered)
        again = same[-1] | {"revision": latest + 1}
        others = (revision for revision in ordered if revision is not same[-1])
        return History(again, (*others, again), (_renumber(same[-1], latest + 1),))

    def named(self, name: str) -> Obj | None:
        return next((revision for revision in self.all if name_of(revision) == name), None)

    def collides(self, view: View) -> bool:
        """Somebody else's revision has the name of the one to create."""
        creating = any(isinstance(effect, Create) for effect in self.effects)
        return creating and view.get(CONTROLLER_REVISION, *key_of(self.update)) is not None

    def forgettable(self, limit: int, in_use: Collection[str]) -> list[Effect]:
        """Deletions of the oldest revisions beyond `limit`, which counts only those that no pod needs."""
        spare = [revision for revision in self.all if name_of(revision) not in in_use and revision is not self.update]
        return [
            Delete(CONTROLLER_REVISION, key_of(revision), uid_of(revision))
            for revision in spare[: max(0, len(spare) - limit)]
        ]


def template_of(revision: Obj) -> Obj:
    template: Obj = dig(revision, "data", "spec", "template", default={})
    return {name: value for name, value in template.items() if name != _DIRECTIVE}


def avoid_name(owner: Owner) -> Patch:
    """Count the collision, which makes another hash."""
    status = {"collisionCount": collisions_of(owner.obj) + 1}
    return Patch(owner.own_kind, key_of(owner.obj), {"status": status}, subresource="status")


def _number(revision: Obj) -> int:
    return int(dig(revision, "revision", default=0))


def _age(revision: Obj) -> tuple[Any, ...]:
    return _number(revision), dig(revision, "metadata", "creationTimestamp", default=""), name_of(revision)


def _new(owner: Owner, number: int, hash_label: str) -> Obj:
    """Its labels are the template's, so that the owner's selector finds it again."""
    obj, template = owner.obj, owner.obj["spec"].get("template") or {}
    hashed = template_hash(obj)
    metadata: Obj = {
        "name": f"{name_of(obj)}-{hashed}",
        "namespace": namespace_of(obj),
        "labels": labels_of(template) | {hash_label: hashed},
        "ownerReferences": [owner_reference(obj, owner.own_kind)],
    }
    copied = {name: value for name, value in annotations_of(obj).items() if name != _LAST_APPLIED}
    if copied:
        metadata["annotations"] = copied
    return {
        "metadata": metadata,
        "data": {"spec": {"template": template | {_DIRECTIVE: "replace"}}},
        "revision": number,
    }


def _renumber(revision: Obj, number: int) -> Patch:
    metadata = {"resourceVersion": revision["metadata"].get("resourceVersion")}
    return Patch(CONTROLLER_REVISION, key_of(revision), {"metadata": metadata, "revision": number})
