"""What users see when the API refuses a dependent: event FailedCreate, and condition ReplicaFailure.

Pure. In: a workload, the conditions of its status. Out: an event to complete with the API's words; conditions with the
failure in them or without. The condition is kept in the API, not in a memory of ours: it is there after a crash, and
the next reconcile can tell from it that the refusal has been said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from graylane.kit import Event, Patch
from graylane.model.kinds import Kind
from graylane.model.meta import Condition, Obj, condition, dig, find_condition, key_of, set_condition

REPLICA_FAILURE = "ReplicaFailure"
FAILED_CREATE = "FailedCreate"


def failed_create(kind: Kind, owner: Obj, so_far: str = "Error creating: ") -> Event:
    """`so_far` goes before the API's words."""
    return Event(kind, owner, "Warning", FAILED_CREATE, so_far)


def keeping(kind: Kind, owner: Obj, now: datetime) -> Callable[[str], Patch] | None:
    """How the first refusal is kept; None when one is, since every change of the status makes us try again at once."""
    if condition(owner, REPLICA_FAILURE) is not None:
        return None
    conditions: list[Obj] = dig(owner, "status", "conditions", default=[])

    def keep(words: str) -> Patch:
        failure = set_condition(conditions, Condition(REPLICA_FAILURE, "True", FAILED_CREATE, words), now)
        return Patch(kind, key_of(owner), {"status": {"conditions": failure}}, subresource="status")

    return keep


def overcome(conditions: list[Obj]) -> list[Obj]:
    """Without the failure."""
    return [entry for entry in conditions if entry.get("type") != REPLICA_FAILURE]


def mirrored(conditions: list[Obj], sets: Iterable[Obj]) -> list[Obj]:
    """A Deployment's conditions with the failure of the first of its ReplicaSets that has one."""
    failure = next((found for found in (condition(rs, REPLICA_FAILURE) for rs in sets) if found is not None), None)
    if failure is None:
        return overcome(conditions)
    present = find_condition(conditions, REPLICA_FAILURE)
    if present is not None and _said(present) == _said(failure):
        return conditions
    return [*overcome(conditions), failure | {"lastUpdateTime": failure.get("lastTransitionTime")}]


def _said(failure: Obj) -> tuple[object, object]:
    return failure.get("status"), failure.get("reason")
