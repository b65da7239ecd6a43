"""In which order a StatefulSet's pods come, go and change.

Pure. In: `Facts`. Out: effects on pods. The rules are those of Kubernetes' `stateful_set_control.go`: pods come from
the lowest ordinal up, go from the highest down, and are replaced from the highest down to the partition. OrderedReady
does one thing at a time and only while all before it are available; Parallel comes and goes at once, but still
replaces one pod at a time unless `maxUnavailable` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from graylane.cluster.workloads.history import History
from graylane.cluster.workloads.pods import is_available, is_finished, is_ready
from graylane.cluster.workloads.refusals import failed_create
from graylane.cluster.workloads.stateful_claims import new_claims
from graylane.cluster.workloads.stateful_pods import new_pod, restored, revision_of
from graylane.kit import Create, Delete, Effect, Event
from graylane.model.intorpercent import resolve
from graylane.model.kinds import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from graylane.model.meta import Obj, dig, is_deleting, key_of, name_of, namespace_of, uid_of

ROLLING = "RollingUpdate"


@dataclass(frozen=True, slots=True)
class Facts:
    """`pods` by ordinal, finished and leaving ones included; `taken` are ordinals whose name a stranger has.

    `claims` are the PersistentVolumeClaims there are of pods that are or should be, by name.
    """

    stateful_set: Obj
    history: History
    current: Obj
    pods: Mapping[int, Obj]
    taken: frozenset[int]
    claims: Mapping[str, Obj]
    now: datetime

    @property
    def slots(self) -> range:
        start = int(dig(self.stateful_set, "spec", "ordinals", "start", default=0))
        return range(start, start + self.desired)

    @property
    def desired(self) -> int:
        return int(dig(self.stateful_set, "spec", "replicas", default=1))

    @property
    def ordered(self) -> bool:
        return bool(dig(self.stateful_set, "spec", "podManagementPolicy", default="OrderedReady") == "OrderedReady")

    @property
    def rolling(self) -> bool:
        return bool(dig(self.stateful_set, "spec", "updateStrategy", "type", default=ROLLING) == ROLLING)

    @property
    def updatable(self) -> range:
        """Ordinals from the partition up: these are to have the present template."""
        if not self.rolling:
            return range(0)
        return self.slots[
            int(dig(self.stateful_set, "spec", "updateStrategy", "rollingUpdate", "partition", default=0)) :
        ]

    @property
    def may_be_away(self) -> int | None:
        """`maxUnavailable` of a rolling update as a number of pods, at least one; None where it is not given."""
        share = dig(self.stateful_set, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
        return None if share is None else max(resolve(share, self.desired, round_up=False), 1)

    @property
    def surplus(self) -> list[Obj]:
        """Pods outside the wanted ordinals, highest first."""
        return [pod for ordinal, pod in sorted(self.pods.items(), reverse=True) if ordinal not in self.slots]

    @property
    def min_ready(self) -> int:
        return int(dig(self.stateful_set, "spec", "minReadySeconds", default=0))

    def available(self, pod: Obj) -> bool:
        return is_available(pod, self.min_ready, self.now) and not is_deleting(pod) and not is_finished(pod)

    def revision_for(self, ordinal: int) -> Obj:
        """Below the partition pods come back as they were; with OnDelete a new pod is a pod of the new template."""
        held_back = self.rolling and ordinal not in self.updatable
        return self.current if held_back else self.history.update


@dataclass(frozen=True, slots=True)
class Move:
    """`waits`: an OrderedReady set does nothing after it in the same round."""

    effects: tuple[Effect, ...] = ()
    waits: bool = True


def moves(facts: Facts) -> list[Effect]:
    """Everything that may be done now."""
    effects: list[Effect] = []
    for move in _in_order(facts):
        effects += move.effects
        if move.waits and facts.ordered:
            return effects
    return [*effects, *_replace(facts)]


def _in_order(facts: Facts) -> Iterator[Move]:
    for ordinal in facts.slots:
        yield _fill(facts, ordinal)
    for pod in facts.surplus:
        yield _remove(facts, pod)


def _fill(facts: Facts, ordinal: int) -> Move:
    pod = facts.pods.get(ordinal)
    if pod is None:
        return Move(tuple(_create(facts, ordinal)))
    if is_finished(pod):
        return Move(() if is_deleting(pod) else tuple(_recreate(facts, pod)))
    if not facts.available(pod):
        return Move(tuple(_create_claims(facts, ordinal, pod)))  # one it waits for may have been deleted
    return Move(restored(pod), waits=False)


def _remove(facts: Facts, pod: Obj) -> Move:
    """An unready pod goes only if it is the lowest one that is: others wait for it to recover or go."""
    if is_deleting(pod):
        return Move()
    unready = [other for other in facts.surplus if is_deleting(other) or not is_ready(other)]
    if not facts.available(pod) and not (unready and unready[-1] is pod):
        return Move()
    return Move(tuple(_delete(facts, pod)))


def _replace(facts: Facts) -> Iterator[Effect]:
    """Pods of an old revision go: as many as may be away, else one, for which those above it must be there first."""
    if facts.may_be_away is not None:
        yield from _replace_several(facts, facts.may_be_away)
        return
    for ordinal in reversed(facts.updatable):
        pod = facts.pods.get(ordinal)
        if pod is not None and not is_deleting(pod) and revision_of(pod) != name_of(facts.history.update):
            yield from _delete(facts, pod)
            return
        if pod is None or not facts.available(pod):
            return


def _replace_several(facts: Facts, most: int) -> Iterator[Effect]:
    away = [ordinal for ordinal in facts.updatable if not _is_there(facts, ordinal)]
    stale = (
        facts.pods[ordinal]
        for ordinal in reversed(facts.updatable)
        if ordinal in facts.pods and revision_of(facts.pods[ordinal]) != name_of(facts.history.update)
    )
    going = (pod for pod in stale if not is_deleting(pod))
    for pod in islice(going, max(most - len(away), 0)):
        yield from _delete(facts, pod)


def _is_there(facts: Facts, ordinal: int) -> bool:
    return ordinal in facts.pods and facts.available(facts.pods[ordinal])


def _create(facts: Facts, ordinal: int) -> Iterator[Effect]:
    pod = new_pod(facts.stateful_set, ordinal, facts.revision_for(ordinal))
    said = f"create Pod {name_of(pod)} in StatefulSet {name_of(facts.stateful_set)}"
    refused = failed_create(STATEFUL_SET, facts.stateful_set, f"{said} failed error: ")
    if ordinal in facts.taken:
        yield failed_create(STATEFUL_SET, facts.stateful_set, f'{refused.message}pods "{name_of(pod)}" already exists')
        return
    yield from _create_claims(facts, ordinal, pod)
    yield Create(POD, pod, refused)
    yield Event(STATEFUL_SET, facts.stateful_set, "Normal", "SuccessfulCreate", f"{said} successful")


def _create_claims(facts: Facts, ordinal: int, pod: Obj) -> Iterator[Effect]:
    """Before their pod, which is not placed until they are bound."""
    for claim in new_claims(facts.stateful_set, ordinal, facts.claims):
        said = f"create Claim {name_of(claim)} Pod {name_of(pod)} in StatefulSet {name_of(facts.stateful_set)}"
        refused = failed_create(STATEFUL_SET, facts.stateful_set, f"{said} failed error: ")
        yield Create(PERSISTENT_VOLUME_CLAIM, claim, refused)
        yield Event(STATEFUL_SET, facts.stateful_set, "Normal", "SuccessfulCreate", f"{said} success")


def _delete(facts: Facts, pod: Obj) -> Iterator[Effect]:
    said = f"delete Pod {name_of(pod)} in StatefulSet {name_of(facts.stateful_set)} successful"
    yield Delete(POD, key_of(pod), uid_of(pod))
    yield Event(STATEFUL_SET, facts.stateful_set, "Normal", "SuccessfulDelete", said)


def _recreate(facts: Facts, pod: Obj) -> Iterator[Effect]:
    """A finished pod makes room for its successor, which has the same name."""
    owner = f"StatefulSet {namespace_of(pod)}/{name_of(facts.stateful_set)}"
    yield Delete(POD, key_of(pod), uid_of(pod))
    if dig(pod, "status", "phase") == "Failed":
        said = f"{owner} is recreating failed Pod {name_of(pod)}"
        yield Event(STATEFUL_SET, facts.stateful_set, "Warning", "RecreatingFailedPod", said)
    else:
        said = f"{owner} is recreating terminated Pod {name_of(pod)}"
        yield Event(STATEFUL_SET, facts.stateful_set, "Normal", "RecreatingTerminatedPod", said)
