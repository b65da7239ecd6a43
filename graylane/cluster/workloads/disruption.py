"""PodDisruptionBudget: how many of its pods may be evicted now.

Pure. In: a budget, its pods and what controls them. Out: its status, which `pods/eviction` is decided by, and when to
look again at a pod whose eviction was allowed and did not come. The rules are those of Kubernetes' `disruption.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.cluster.workloads.pods import is_ready
from graylane.kit import Effect, Event, Outcome, Patch, View
from graylane.model.intorpercent import resolve
from graylane.model.kinds import DEPLOYMENT, POD, POD_DISRUPTION_BUDGET, REPLICA_SET, STATEFUL_SET, Kind
from graylane.model.meta import (
    Condition,
    Key,
    Obj,
    controller_of,
    dig,
    format_time,
    generation_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    parse_time,
    set_condition,
    uid_of,
)
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

ALLOWED = "DisruptionAllowed"
_DELETED_WITHIN = timedelta(minutes=2)  # of a pod that is still there, its eviction counts no longer than this
_SCALED: dict[str, Kind] = {kind.kind: kind for kind in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET)}


class Unknown(Exception):
    """There is no number to decide from; its text is what users are told."""


@dataclass(frozen=True, slots=True)
class Count:
    """Pods there should be, how many of them must be healthy, and how many are."""

    expected: int
    desired: int
    healthy: int

    @property
    def allowed(self) -> int:
        """None where there are no pods: the first ones may come before this is counted again."""
        return max(self.healthy - self.desired, 0) if self.expected > 0 else 0


def budget_selector(budget: Obj) -> LabelSelector | None:
    """An empty one selects every pod of the namespace, a missing one none."""
    selector = dig(budget, "spec", "selector")
    return None if selector is None else LabelSelector.of(selector)


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    budget = view.get(POD_DISRUPTION_BUDGET, *key)
    if budget is None:
        return Outcome()
    selector = budget_selector(budget)
    pods = [] if selector is None else view.list(POD, key.namespace, selector)
    try:
        expected, desired = _expected(view, budget, pods)
    except Unknown as unknown:
        return Outcome(tuple(_fail_safe(budget, str(unknown), now)))
    leaving = _leaving(budget, pods, now)
    healthy = sum(is_ready(pod) and not is_deleting(pod) and name_of(pod) not in leaving for pod in pods)
    status = _status(budget, Count(expected, desired, healthy), leaving, now)
    until = [moment + _DELETED_WITHIN for moment in leaving.values()]
    return Outcome(tuple(_write(budget, status)), min(until, default=None))


# -- counting


def _expected(view: View, budget: Obj, pods: Sequence[Obj]) -> tuple[int, int]:
    """How many there should be, and how many of them must be healthy."""
    most, least = dig(budget, "spec", "maxUnavailable"), dig(budget, "spec", "minAvailable")
    if most is not None:
        expected = _scales(view, pods)
        return expected, max(expected - resolve(most, expected, round_up=True), 0)
    if isinstance(least, str):
        expected = _scales(view, pods)
        return expected, resolve(least, expected, round_up=True)
    return len(pods), int(least or 0)


def _scales(view: View, pods: Sequence[Obj]) -> int:
    """What the pods' controllers want, all together; pods that nobody controls add nothing."""
    found: dict[str, int] = {}
    for pod in pods:
        if controller_of(pod) is not None:
            controller = _scaled_by(view, pod)
            if controller is None:
                raise Unknown(f'found no controllers for pod "{name_of(pod)}"')
            found[uid_of(controller)] = int(dig(controller, "spec", "replicas", default=1))
    return sum(found.values())


def _scaled_by(view: View, obj: Obj) -> Obj | None:
    """The Deployment behind a ReplicaSet, for that is whose size is wished for."""
    reference = controller_of(obj) or {}
    kind = _SCALED.get(str(reference.get("kind")))
    if kind is None or reference.get("apiVersion") != kind.api_version:
        return None
    owner = view.get(kind, namespace_of(obj), str(reference.get("name")))
    if owner is None or uid_of(owner) != reference.get("uid"):
        return None
    return _scaled_by(view, owner) if kind == REPLICA_SET and controller_of(owner) is not None else owner


def _leaving(budget: Obj, pods: Sequence[Obj], now: datetime) -> dict[str, datetime]:
    """Pods whose eviction was allowed and that do not show it yet."""
    noted: dict[str, str] = dig(budget, "status", "disruptedPods", default={})
    present = {name_of(pod) for pod in pods if not is_deleting(pod)}
    times = {name: parse_time(time) for name, time in noted.items() if name in present}
    return {name: time for name, time in times.items() if time + _DELETED_WITHIN > now}


# -- telling


def _status(budget: Obj, count: Count, leaving: dict[str, datetime], now: datetime) -> Obj:
    generation = generation_of(budget)
    status = {
        "currentHealthy": count.healthy,
        "desiredHealthy": count.desired,
        "expectedPods": count.expected,
        "disruptionsAllowed": count.allowed,
        "observedGeneration": generation,
        "conditions": _told(budget, count.allowed, generation, now),
    }
    return status | ({"disruptedPods": {name: format_time(at) for name, at in leaving.items()}} if leaving else {})


def _told(budget: Obj, allowed: int, generation: int, now: datetime) -> list[Obj]:
    said = Condition(ALLOWED, "True", "SufficientPods") if allowed else Condition(ALLOWED, "False", "InsufficientPods")
    return set_condition(_conditions(budget), said, now, observedGeneration=generation)


def _conditions(budget: Obj) -> list[Obj]:
    found: list[Obj] = dig(budget, "status", "conditions", default=[])
    return found


def _write(budget: Obj, status: Obj) -> Iterator[Effect]:
    """Conditional on what was read: an eviction that was allowed meanwhile is not forgotten."""
    if patch := create_merge_patch(dig(budget, "status", default={}), status):
        metadata = {"resourceVersion": budget["metadata"]["resourceVersion"]}
        body = {"metadata": metadata, "status": patch}
        yield Patch(POD_DISRUPTION_BUDGET, key_of(budget), body, subresource="status")


def _fail_safe(budget: Obj, why: str, now: datetime) -> Iterator[Effect]:
    """Where it cannot be counted nothing may be evicted. Said once."""
    old: Obj = dig(budget, "status", default={})
    failed = Condition(ALLOWED, "False", "SyncFailed", why)
    observed = int(old.get("observedGeneration") or 0)
    told = set_condition(_conditions(budget), failed, now, observedGeneration=observed)
    counts = {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    written = list(_write(budget, counts | old | {"disruptionsAllowed": 0, "conditions": told}))
    yield from written
    if written:
        said = f"Failed to calculate the number of expected pods: {why}"
        yield Event(POD_DISRUPTION_BUDGET, budget, "Warning", "CalculateExpectedPodCountFailed", said)
