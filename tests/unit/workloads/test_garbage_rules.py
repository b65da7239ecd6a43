"""What the garbage collector does about one object, given what became of its owners."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.workloads.garbage import (
    Dependent,
    Fate,
    Item,
    collect,
    fate_of,
    is_concerned,
    owner_items,
    touches_ownership,
)
from graylane.kit import Change, Delete, Patch
from graylane.model.kinds import DEPLOYMENT, NODE, POD, REPLICA_SET
from graylane.model.meta import Key, Obj, key_of

WHEN = "2026-01-01T00:00:00Z"


def thing(name: str, *owners: str, finalizers: tuple[str, ...] = (), deleting: bool = False, block: bool = True) -> Obj:
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "7"}
    if owners:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": o, "uid": f"uid-{o}", "blockOwnerDeletion": block}
            for o in owners
        ]
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    if deleting:
        metadata["deletionTimestamp"] = WHEN
    return {"metadata": metadata}


def told(obj: Obj, fates: dict[str, Fate], dependents: tuple[Obj, ...] = ()) -> list[str]:
    """The effects, in short."""
    effects = collect(
        Item(POD, key_of(obj)), obj, lambda ref: fates[ref["name"]], [Dependent(POD, dep) for dep in dependents]
    )
    return [_short(effect) for effect in effects]


def _short(effect: object) -> str:
    if isinstance(effect, Delete):
        return f"delete {effect.key.name} {effect.propagation}"
    assert isinstance(effect, Patch)
    metadata = effect.patch["metadata"]
    assert metadata["resourceVersion"] == "7", "lists are written whole, so only on what was read"
    if "finalizers" in metadata:
        return f"finalizers {effect.key.name}: {metadata['finalizers']}"
    references = [
        f"{ref['name']}{'' if ref['blockOwnerDeletion'] else '*'}" for ref in metadata["ownerReferences"] or []
    ]
    return f"owners {effect.key.name}: {' '.join(references)}".rstrip(" ")


ALIVE, ABSENT, WAITING, UNKNOWN = Fate.ALIVE, Fate.ABSENT, Fate.WAITING, Fate.UNKNOWN


@pytest.mark.parametrize(
    ("fates", "effects"),
    [
        ({"a": ALIVE}, []),
        ({"a": ABSENT}, ["delete x Background"]),
        ({"a": WAITING}, ["delete x Background"]),
        ({"a": UNKNOWN}, []),
        ({"a": ABSENT, "b": UNKNOWN}, []),
        ({"a": ABSENT, "b": ALIVE}, ["owners x: b"]),
        ({"a": WAITING, "b": ALIVE}, ["owners x: b"]),
        ({"a": ABSENT, "b": ABSENT}, ["delete x Background"]),
        ({}, []),
    ],
)
def test_a_dependent_lives_as_long_as_one_of_its_owners(fates: dict[str, Fate], effects: list[str]) -> None:
    assert told(thing("x", *fates), fates) == effects


def test_foreground_deletion_goes_down_to_dependents_of_dependents() -> None:
    assert told(thing("x", "a"), {"a": WAITING}, (thing("y", "x"),)) == ["delete x Foreground"]


def test_a_circle_of_waiting_owners_is_broken() -> None:
    circle = thing("y", "x", finalizers=("foregroundDeletion",), deleting=True)
    assert told(thing("x", "y"), {"y": WAITING}, (circle,)) == ["owners x: y*", "delete x Foreground"]


def test_a_dependents_own_finalizer_decides_how_its_dependents_fare() -> None:
    assert told(thing("x", "a", finalizers=("orphan",)), {"a": ABSENT}) == ["delete x Orphan"]
    assert told(thing("x", "a", finalizers=("foregroundDeletion",)), {"a": ABSENT}) == ["delete x Foreground"]


def test_orphaning_lets_every_dependent_go_before_the_owner() -> None:
    owner = thing("x", finalizers=("orphan", "other"), deleting=True)
    dependents = (thing("y", "x"), thing("z", "x", "a"))
    assert told(owner, {}, dependents) == ["owners y:", "owners z: a", "finalizers x: ['other']"]


def test_foreground_deletion_waits_for_those_dependents_that_block_it() -> None:
    owner = thing("x", finalizers=("foregroundDeletion",), deleting=True)
    assert told(owner, {}, (thing("y", "x"),)) == []
    assert told(owner, {}, (thing("y", "x", block=False),)) == ["finalizers x: None"]
    assert told(owner, {}) == ["finalizers x: None"]


def test_an_object_that_is_already_being_deleted_is_left_to_its_finalizers() -> None:
    assert told(thing("x", "a", finalizers=("theirs",), deleting=True), {"a": ABSENT}) == []


def test_an_owner_is_told_by_uid_not_by_name() -> None:
    assert fate_of(None, "uid-a") is ABSENT
    assert fate_of(thing("a"), "uid-of-an-earlier-a") is ABSENT
    assert fate_of(thing("a"), "uid-a") is ALIVE
    assert fate_of(thing("a", deleting=True, finalizers=("theirs",)), "uid-a") is ALIVE
    assert fate_of(thing("a", deleting=True, finalizers=("foregroundDeletion",)), "uid-a") is WAITING


def test_only_changes_of_ownership_or_deletion_are_looked_at() -> None:
    old = thing("x", "a")
    assert not touches_ownership(Change(key_of(old), old, old | {"status": {"phase": "Running"}}))
    assert touches_ownership(Change(key_of(old), None, old))
    assert touches_ownership(Change(key_of(old), old, None))
    assert touches_ownership(Change(key_of(old), old, thing("x", "b")))
    assert touches_ownership(Change(key_of(old), old, thing("x", "a", deleting=True)))
    assert is_concerned(old)
    assert not is_concerned(thing("x", deleting=True, finalizers=("theirs",)))


def test_owners_are_looked_for_in_the_namespace_of_the_dependent_or_cluster_wide() -> None:
    obj = thing("x", "a")
    obj["metadata"]["ownerReferences"].append({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "uid-n"})
    assert list(owner_items(obj, (DEPLOYMENT, REPLICA_SET, NODE))) == [
        Item(REPLICA_SET, Key("shop", "a")),
        Item(NODE, Key("", "n")),
    ]
