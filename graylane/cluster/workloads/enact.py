"""A Deployment's step, written: ReplicaSets created and scaled, revisions numbered, the status brought up to date.

Pure. In: `Facts` and the `Step` decided from them. Out: effects, and when the progress deadline is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from graylane.cluster.workloads import progress
from graylane.cluster.workloads.order import told_last
from graylane.cluster.workloads.refusals import mirrored
from graylane.cluster.workloads.revisions import (
    DESIRED,
    REVISION,
    Fleet,
    size_annotations,
    wanted_annotations,
    wanted_replicas,
)
from graylane.cluster.workloads.rollout import Limits
from graylane.kit import Create, Delete, Effect, Event, Outcome, Patch
from graylane.model.kinds import DEPLOYMENT, REPLICA_SET
from graylane.model.meta import Obj, annotations_of, dig, find_condition, is_deleting, key_of, name_of, uid_of
from graylane.model.patches import create_merge_patch


class Mode(StrEnum):
    """What a Deployment is about right now."""

    DELETING = "deleting"  # only the status is kept
    HOLDING = "holding"  # paused, or a new size is being shared out: existing sets are scaled, nothing moves on
    ROLLING = "rolling"
    RECREATING = "recreating"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a step is decided from."""

    deployment: Obj
    fleet: Fleet
    limits: Limits
    old_pods_gone: bool
    now: datetime

    @property
    def mode(self) -> Mode:
        if is_deleting(self.deployment):
            return Mode.DELETING
        if self.paused or self.scaled:
            return Mode.HOLDING
        return Mode.ROLLING if self.rolling else Mode.RECREATING

    @property
    def rolling(self) -> bool:
        return bool(dig(self.deployment, "spec", "strategy", "type", default="RollingUpdate") == "RollingUpdate")

    @property
    def paused(self) -> bool:
        return bool(dig(self.deployment, "spec", "paused", default=False))

    @property
    def scaled(self) -> bool:
        """Some active set was last scaled when another number of pods was desired."""
        wanted = str(self.limits.desired)
        active = [rs for rs in self.fleet.all if wanted_replicas(rs) > 0]
        return any(annotations_of(rs).get(DESIRED, wanted) != wanted for rs in active)

    @property
    def complete(self) -> bool:
        return self.progress([]).complete()

    def progress(self, conditions: list[Obj]) -> progress.Progress:
        counts = progress.counts(self.deployment, self.fleet)
        return progress.Progress(self.deployment, self.limits, counts, conditions, self.now)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done: sets to resize by name, a set to create, old ones to forget.

    `resized_for_all`: also the sets that keep their size take note of the new desired number. `moves_on`: the rollout
    is under way, so its progress is judged.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    create: Obj | None = None
    resized_for_all: bool = False
    forget: tuple[Obj, ...] = ()
    moves_on: bool = False


def enact(facts: Facts, step: Step) -> Outcome:
    """In this order: new set, sizes, revision, status, history; a lost write leaves what the next reconcile repairs."""
    conditions = _conditions(facts, step)
    effects = (
        *_create(facts, step),
        *(effect for replica_set in facts.fleet.all for effect in _update(facts, step, replica_set)),
        *_number(facts, step),
        *_status(facts, conditions),
        *(Delete(REPLICA_SET, key_of(old), uid_of(old)) for old in step.forget),
    )
    under_way = find_condition(conditions, progress.PROGRESSING) if step.moves_on else None
    return Outcome(told_last(effects), progress.deadline_of(facts.deployment, under_way))


def _create(facts: Facts, step: Step) -> Iterator[Effect]:
    if step.create is None:
        return
    said = f'Failed to create new replica set "{name_of(step.create)}": '
    refused = Event(DEPLOYMENT, facts.deployment, "Warning", "ReplicaSetCreateError", said)
    yield Create(REPLICA_SET, step.create, refused)
    if wanted_replicas(step.create) > 0:
        yield _scaling_event(facts.deployment, name_of(step.create), 0, wanted_replicas(step.create))


def _update(facts: Facts, step: Step, replica_set: Obj) -> Iterator[Effect]:
    """One patch per set, conditional on what was read: a set that changed meanwhile is reckoned anew."""
    name, before = name_of(replica_set), wanted_replicas(replica_set)
    size = step.sizes.get(name, before)
    annotations = wanted_annotations(facts.deployment, facts.fleet) if replica_set is facts.fleet.new else {}
    if name in step.sizes or (step.resized_for_all and before > 0):
        annotations |= _differing(replica_set, size_annotations(facts.limits))
    spec = _spec_changes(facts, replica_set, size)
    if not annotations and not spec:
        return
    metadata = {"resourceVersion": replica_set["metadata"].get("resourceVersion")}
    patch = {"metadata": metadata | ({"annotations": annotations} if annotations else {})}
    yield Patch(REPLICA_SET, key_of(replica_set), patch | ({"spec": spec} if spec else {}))
    if size != before:
        yield _scaling_event(facts.deployment, name, before, size)


def _differing(replica_set: Obj, wanted: Mapping[str, str]) -> dict[str, str]:
    present = annotations_of(replica_set)
    return {name: value for name, value in wanted.items() if present.get(name) != value}


def _spec_changes(facts: Facts, replica_set: Obj, size: int) -> Obj:
    changes: Obj = {} if size == wanted_replicas(replica_set) else {"replicas": size}
    min_ready = dig(facts.deployment, "spec", "minReadySeconds", default=0)
    if replica_set is facts.fleet.new and dig(replica_set, "spec", "minReadySeconds", default=0) != min_ready:
        changes["minReadySeconds"] = min_ready
    return changes


def _scaling_event(deployment: Obj, replica_set: str, before: int, after: int) -> Event:
    direction = "up" if after > before else "down"
    message = f"Scaled {direction} replica set {replica_set} from {before} to {after}"
    return Event(DEPLOYMENT, deployment, "Normal", "ScalingReplicaSet", message)


def _number(facts: Facts, step: Step) -> Iterator[Effect]:
    """The Deployment carries the revision of its new set."""
    if step.create is not None:
        revision = annotations_of(step.create)[REVISION]
    elif facts.fleet.new is not None:
        present = annotations_of(facts.fleet.new) | wanted_annotations(facts.deployment, facts.fleet)
        revision = present[REVISION]
    else:
        return
    if annotations_of(facts.deployment).get(REVISION) != revision:
        patch = {"metadata": {"annotations": {REVISION: revision}}}
        yield Patch(DEPLOYMENT, key_of(facts.deployment), patch)


def _conditions(facts: Facts, step: Step) -> list[Obj]:
    conditions = progress.pausing(facts.deployment, facts.now)
    if step.create is not None:
        news = progress.created(name_of(step.create))
        conditions = progress.noticed(facts.deployment, conditions, news, facts.now)
    elif facts.fleet.new is not None and find_condition(conditions, progress.PROGRESSING) is None:
        news = progress.found(name_of(facts.fleet.new))
        conditions = progress.noticed(facts.deployment, conditions, news, facts.now)
    available = progress.counts(facts.deployment, facts.fleet)["availableReplicas"]
    conditions = progress.with_availability(conditions, facts.limits, available, facts.now)
    if not step.moves_on:
        return conditions
    conditions = progress.advance(facts.progress(conditions), step.create or facts.fleet.new)
    return mirrored(conditions, reversed(facts.fleet.all))  # the new set's failure is the one to tell


def _status(facts: Facts, conditions: list[Obj]) -> Iterator[Effect]:
    counts = progress.counts(facts.deployment, facts.fleet)
    old = dig(facts.deployment, "status", default={})
    patch = create_merge_patch(old, progress.status(facts.deployment, counts, conditions))
    if patch:
        yield Patch(DEPLOYMENT, key_of(facts.deployment), {"status": patch}, subresource="status")
