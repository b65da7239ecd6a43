"""A Deployment's status: its counts and its two conditions, Available and Progressing.

Pure. In: the Deployment and its ReplicaSets. Out: the whole `status`, and when the progress deadline must be looked at.
The rules are those of Kubernetes' `deployment/progress.go` and `deployment_util.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from graylane.cluster.workloads.revisions import Fleet, wanted_replicas
from graylane.cluster.workloads.rollout import Limits
from graylane.model.meta import (
    Condition,
    Obj,
    dig,
    find_condition,
    format_time,
    generation_of,
    name_of,
    parse_time,
    set_condition,
)

PROGRESSING = "Progressing"
COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"

_NO_DEADLINE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Progress:
    """What the Progressing condition is decided from."""

    deployment: Obj
    limits: Limits
    counts: Mapping[str, int]
    conditions: list[Obj]
    now: datetime

    @property
    def before(self) -> Mapping[str, Any]:
        return dig(self.deployment, "status", default={})  # type: ignore[no-any-return]

    @property
    def condition(self) -> Obj | None:
        return find_condition(self.conditions, PROGRESSING)

    def complete(self) -> bool:
        """Every desired pod is new and available, and nothing else is left."""
        names = ("updatedReplicas", "replicas", "availableReplicas")
        return all(self.counts.get(name, 0) == self.limits.desired for name in names)

    def moved(self) -> bool:
        """More new, fewer old, more ready or more available pods than at the last status."""
        now, before = self.counts, self.before
        grew = (now.get(name, 0) > before.get(name, 0) for name in _GROWING)
        return any(grew) or _old_pods(now) < _old_pods(before)

    def late(self) -> bool:
        deadline = deadline_of(self.deployment, self.condition)
        timed_out = self.condition is not None and self.condition.get("reason") == TIMED_OUT
        return timed_out or (deadline is not None and deadline <= self.now)


_GROWING = ("updatedReplicas", "readyReplicas", "availableReplicas")


def _old_pods(counts: Mapping[str, Any]) -> int:
    return int(counts.get("replicas", 0)) - int(counts.get("updatedReplicas", 0))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of `PROGRESS`; `refresh` restarts the deadline although status and reason stay."""

    when: Callable[[Progress], bool]
    status: str
    reason: str
    says: str
    refresh: bool = False


PROGRESS = (  # first row that applies wins; when none does, the condition stays as it is
    Row(Progress.complete, "True", COMPLETE, "has successfully progressed."),
    Row(Progress.moved, "True", "ReplicaSetUpdated", "is progressing.", refresh=True),
    Row(Progress.late, "False", TIMED_OUT, "has timed out progressing."),
)


def counts(deployment: Obj, fleet: Fleet) -> dict[str, int]:
    """The numbers of `status`, zeros included."""
    available = _total(fleet.all, "availableReplicas")
    wanted = sum(map(wanted_replicas, fleet.all))
    return {
        "observedGeneration": generation_of(deployment),
        "replicas": _total(fleet.all, "replicas"),
        "updatedReplicas": _total([fleet.new] if fleet.new else [], "replicas"),
        "readyReplicas": _total(fleet.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }


def _total(sets: Sequence[Obj], field: str) -> int:
    return sum(int(dig(rs, "status", field, default=0)) for rs in sets)


def availability(limits: Limits, available: int) -> Condition:
    if available >= limits.min_available:
        return Condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    return Condition(
        "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )


def noticed(deployment: Obj, conditions: list[Obj], new: Condition, now: datetime) -> list[Obj]:
    """`conditions` with the news about the new ReplicaSet, for Deployments that have a progress deadline."""
    return conditions if progress_deadline(deployment) is None else _put(conditions, new, now)


def created(name: str) -> Condition:
    return Condition(PROGRESSING, "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')


def found(name: str) -> Condition:
    return Condition(PROGRESSING, "True", "FoundNewReplicaSet", f'Found new replica set "{name}"')


def pausing(deployment: Obj, now: datetime) -> list[Obj]:
    """The conditions once `spec.paused` is taken note of; a deadline that has passed stays on record."""
    conditions: list[Obj] = dig(deployment, "status", "conditions", default=[])
    reason = (find_condition(conditions, PROGRESSING) or {}).get("reason")
    if progress_deadline(deployment) is None or reason == TIMED_OUT:
        return conditions
    paused = bool(dig(deployment, "spec", "paused"))
    if paused and reason != PAUSED:
        return _put(conditions, Condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused"), now)
    if not paused and reason == PAUSED:
        resumed = Condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed")
        return _put(conditions, resumed, now)
    return conditions


def advance(progress: Progress, new: Obj | None) -> list[Obj]:
    """The conditions with Progressing brought up to date; removed when the Deployment has no deadline."""
    if progress_deadline(progress.deployment) is None:
        return [entry for entry in progress.conditions if entry.get("type") != PROGRESSING]
    rests = _old_pods(progress.counts) == 0 and (progress.condition or {}).get("reason") == COMPLETE
    row = None if rests else next((row for row in PROGRESS if row.when(progress)), None)
    if row is None:
        return progress.conditions
    subject = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(progress.deployment)}"'
    condition = Condition(PROGRESSING, row.status, row.reason, f"{subject} {row.says}")
    return _put(progress.conditions, condition, progress.now, refresh=row.refresh)


def _put(conditions: list[Obj], new: Condition, now: datetime, *, refresh: bool = False) -> list[Obj]:
    """A condition that keeps status and reason keeps its times and words too, unless it is to be refreshed."""
    old = find_condition(conditions, new.type)
    if old is not None and not refresh and (old.get("status"), old.get("reason")) == (new.status, new.reason):
        return conditions
    return set_condition(conditions, new, now, lastUpdateTime=format_time(now))


def with_availability(conditions: list[Obj], limits: Limits, available: int, now: datetime) -> list[Obj]:
    return _put(conditions, availability(limits, available), now)


def progress_deadline(deployment: Obj) -> int | None:
    """`spec.progressDeadlineSeconds`; None when the Deployment may take for ever."""
    seconds = dig(deployment, "spec", "progressDeadlineSeconds")
    return None if seconds is None or seconds == _NO_DEADLINE else int(seconds)


def deadline_of(deployment: Obj, condition: Obj | None) -> datetime | None:
    """When a rollout that is under way is late; None when none is, or it is already."""
    seconds = progress_deadline(deployment)
    if seconds is None or condition is None or condition.get("reason") in (COMPLETE, TIMED_OUT, PAUSED):
        return None
    updated = condition.get("lastUpdateTime")
    return parse_time(updated) + timedelta(seconds=seconds) if updated else None


def status(deployment: Obj, numbers: Mapping[str, int], conditions: list[Obj]) -> Obj:
    """The whole status object, zeros left out as Kubernetes leaves them out; fields we do not know are kept."""
    kept = {name: value for name, value in dig(deployment, "status", default={}).items() if name not in numbers}
    return kept | {name: value for name, value in numbers.items() if value} | {"conditions": conditions}
