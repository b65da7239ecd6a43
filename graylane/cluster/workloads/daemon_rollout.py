"""What a DaemonSet does on its nodes: one pod each, and how new ones take over from old ones.

Pure. In: `Facts`. Out: `Tasks`: pods to delete and why, nodes to create a pod on. Keeping one pod on every node comes
first; only when nothing of that is left to do does an update go on. The rules are those of Kubernetes'
`daemon_controller.go` and `daemon/update.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graylane.cluster.workloads.daemon_pods import Place, hash_of
from graylane.cluster.workloads.history import POD_REVISION, History
from graylane.cluster.workloads.pods import is_available, is_finished, is_ready
from graylane.model.intorpercent import resolve
from graylane.model.meta import Obj, dig, is_deleting, labels_of, parse_time

ROLLING = "RollingUpdate"
RETRY = timedelta(seconds=10)  # how old a failed pod gets, lest a node that refuses it is asked without a pause


@dataclass(frozen=True, slots=True)
class Facts:
    daemon_set: Obj
    history: History
    places: tuple[Place, ...]
    now: datetime

    @property
    def min_ready(self) -> int:
        return int(dig(self.daemon_set, "spec", "minReadySeconds", default=0))

    @property
    def rolling(self) -> bool:
        return bool(dig(self.daemon_set, "spec", "updateStrategy", "type", default=ROLLING) == ROLLING)

    def allowance(self, name: str, default: int) -> int:
        """maxUnavailable or maxSurge as a number of nodes, rounded up."""
        share = dig(self.daemon_set, "spec", "updateStrategy", "rollingUpdate", name, default=default)
        return resolve(share, sum(place.wanted for place in self.places), round_up=True)

    @property
    def surge(self) -> int:
        return self.allowance("maxSurge", 0) if self.rolling else 0

    @property
    def unavailable(self) -> int:
        return self.allowance("maxUnavailable", 1) or int(self.surge == 0)

    def available(self, pod: Obj) -> bool:
        return is_available(pod, self.min_ready, self.now)

    def updated(self, pod: Obj) -> bool:
        return labels_of(pod).get(POD_REVISION) == hash_of(self.history.update)


@dataclass(frozen=True, slots=True)
class Tasks:
    """`finished` are deleted because they ended, `surplus` because others take their place."""

    create_on: tuple[str, ...] = ()
    surplus: tuple[Obj, ...] = ()
    finished: tuple[Obj, ...] = ()
    wake_at: datetime | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return bool(self.create_on or self.surplus or self.finished)


def tasks(facts: Facts) -> Tasks:
    keep = _keep_one_on_each(facts)
    if keep or not facts.rolling:
        return keep
    update = _surge(facts) if facts.surge else _replace(facts)
    return Tasks(update.create_on, update.surplus, wake_at=keep.wake_at)


def _keep_one_on_each(facts: Facts) -> Tasks:
    create_on = tuple(place.node for place in facts.places if place.wanted and not place.pods)
    ended = [pod for place in facts.places if place.bearable for pod in place.staying if is_finished(pod)]
    due = {id(pod): parse_time(pod["metadata"]["creationTimestamp"]) + RETRY for pod in ended}
    return Tasks(
        create_on,
        tuple(pod for place in facts.places for pod in _surplus(facts, place)),
        tuple(pod for pod in ended if due[id(pod)] <= facts.now),
        min((moment for moment in due.values() if moment > facts.now), default=None),
    )


def _surplus(facts: Facts, place: Place) -> Iterator[Obj]:
    if not place.bearable:
        yield from place.staying
        return
    running = [pod for pod in place.staying if not is_finished(pod)]
    kept = _kept(facts, running)
    yield from (pod for pod in running if pod not in kept)


def _kept(facts: Facts, running: list[Obj]) -> list[Obj]:
    """The oldest; with a surge an old pod that serves may stay beside the new one until that is available."""
    new = [pod for pod in running if facts.updated(pod)]
    old = [pod for pod in running if not facts.updated(pod)]
    if not facts.surge or not new or not old:
        return running[:1]
    return [new[0]] if facts.available(new[0]) or not is_ready(old[0]) else [new[0], old[0]]


def _replace(facts: Facts) -> Tasks:
    """Old pods go, unavailable ones first; at most maxUnavailable nodes are without an available pod."""
    lame: list[Obj] = []
    fine: list[Obj] = []
    missing = 0
    for place in _concerned(facts):
        new, old = _versions(facts, place)
        if len(new) + len(old) != 1:
            missing += 1
        elif new:
            missing += not facts.available(new[0])
        elif facts.available(old[0]):
            fine.append(old[0])
        else:
            lame.append(old[0])
            missing += 1
    return Tasks(surplus=(*lame, *fine[: max(0, facts.unavailable - missing)]))


def _surge(facts: Facts) -> Tasks:
    """New pods come beside old ones, on at most maxSurge nodes at a time; those without a working pod do not count."""
    lame: list[str] = []
    fine: list[str] = []
    under_way = 0
    for place in _concerned(facts):
        new, old = _versions(facts, place)
        if len(new) > 1 or len(old) > 1 or (new and old):
            under_way += 1
        elif old:
            (fine if facts.available(old[0]) else lame).append(place.node)
    return Tasks(create_on=(*lame, *fine[: max(0, facts.surge - under_way)]))


def _concerned(facts: Facts) -> list[Place]:
    return [place for place in facts.places if place.wanted or place.pods]


def _versions(facts: Facts, place: Place) -> tuple[list[Obj], list[Obj]]:
    pods = [pod for pod in place.pods if not is_deleting(pod)]
    return [pod for pod in pods if facts.updated(pod)], [pod for pod in pods if not facts.updated(pod)]
