"""How many pods one metric asks for.

Pure. In: pods, what each uses, the target. Out: a `Proposal`. The rules are those of Kubernetes' replica calculator:
a change within the tolerance is none; a pod that does not know its use yet never makes the change larger, nor turns it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from graylane.cluster.workloads.autoscaling.figures import CPU, Figure, Unknown, quantity
from graylane.model.meta import Obj, condition, dig, is_deleting, name_of, parse_time

TOLERANCE = 0.1
_STARTING = timedelta(minutes=5)  # a pod this young may use its CPU for starting
_FIRST_READINESS = timedelta(seconds=30)  # a pod that was unready from this long after its start on was ready before

Values = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from the target counts as met."""

    up: float = TOLERANCE
    down: float = TOLERANCE

    def covers(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Proposal:
    """`current` is the metric's part of the status, `metric` what it is called in events."""

    replicas: int
    metric: str
    current: Obj


class Target(Protocol):
    """What pods should use."""

    def ratio(self, values: Values) -> float:
        """Of what they use to what they should."""
        ...

    def current(self, values: Values) -> Obj:
        """What they use, as the status says it."""
        ...

    def enough(self, pod: str) -> int:
        """The use to assume of a pod that is not known, so that nothing is taken from it."""
        ...


@dataclass(frozen=True, slots=True)
class Utilization:
    """A percentage of what the pods have asked for."""

    resource: str
    percent: int
    requests: Values

    def ratio(self, values: Values) -> float:
        return self._percent(values) / self.percent

    def current(self, values: Values) -> Obj:
        mean = sum(self._known(values).values()) // len(self._known(values))
        return {"averageUtilization": self._percent(values), "averageValue": quantity(self.resource, mean)}

    def enough(self, pod: str) -> int:
        return self.requests[pod] * max(100, self.percent) // 100

    def _percent(self, values: Values) -> int:
        known = self._known(values)
        asked = sum(self.requests[pod] for pod in known)
        if asked == 0:
            raise Unknown("no metrics returned matched known pods")
        return sum(known.values()) * 100 // asked

    def _known(self, values: Values) -> Values:
        return {pod: value for pod, value in values.items() if pod in self.requests}


@dataclass(frozen=True, slots=True)
class Average:
    """An amount per pod."""

    resource: str
    milli: int

    def ratio(self, values: Values) -> float:
        return self._mean(values) / self.milli

    def current(self, values: Values) -> Obj:
        return {"averageValue": quantity(self.resource, self._mean(values))}

    def enough(self, pod: str) -> int:
        return self.milli

    @staticmethod
    def _mean(values: Values) -> int:
        return sum(values.values()) // len(values)


@dataclass(frozen=True, slots=True)
class Groups:
    """Pods by what their figures are worth."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scene:
    """The pods, what each of them uses of `resource`, and how many are wanted at present."""

    pods: Sequence[Obj]
    figures: Mapping[str, Figure]
    resource: str
    wanted: int
    now: datetime


def propose(scene: Scene, aim: Callable[[], Target], tolerance: Tolerance) -> tuple[int, Obj]:
    """The number of pods, and the metric's status; `aim` is asked once there is something to compare.

    Raises `Unknown`.
    """
    groups = grouped(scene)
    worthless = groups.ignored | groups.unready
    values = {pod: figure.milli for pod, figure in scene.figures.items() if pod not in worthless}
    if not values:
        raise Unknown("did not receive metrics for targeted pods (pods might be unready)")
    target = aim()
    ratio, current = target.ratio(values), target.current(values)
    if not groups.missing and not (groups.unready and ratio > 1):
        replicas = scene.wanted if tolerance.covers(ratio) else math.ceil(ratio * groups.ready)
        return replicas, current
    assumed = values | _assumed(groups, target, ratio)
    return _cautious(ratio, target.ratio(assumed), len(assumed), scene.wanted, tolerance), current


def _assumed(groups: Groups, target: Target, ratio: float) -> dict[str, int]:
    """Upwards, a pod without a figure uses nothing yet; downwards, all that it should."""
    if ratio > 1:
        return dict.fromkeys((*groups.missing, *groups.unready), 0)
    return {pod: target.enough(pod) for pod in groups.missing} if ratio < 1 else {}


def _cautious(before: float, after: float, pods: int, wanted: int, tolerance: Tolerance) -> int:
    """No change where assumptions would turn its direction, or make it too small."""
    turned = before < 1 < after or after < 1 < before
    replicas = math.ceil(after * pods)
    against = (after < 1 and replicas > wanted) or (after > 1 and replicas < wanted)
    return wanted if turned or against or tolerance.covers(after) else replicas


def grouped(scene: Scene) -> Groups:
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in scene.pods:
        name, phase = name_of(pod), dig(pod, "status", "phase")
        figure = scene.figures.get(name)
        if is_deleting(pod) or phase == "Failed":
            ignored.add(name)
        elif phase == "Pending":
            unready.add(name)
        elif figure is None:
            missing.add(name)
        elif scene.resource == CPU and _starting(pod, figure, scene.now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _starting(pod: Obj, figure: Figure, now: datetime) -> bool:
    """Its CPU time says more about its start than about its work."""
    readiness, started = condition(pod, "Ready"), dig(pod, "status", "startTime")
    if readiness is None or started is None or not readiness.get("lastTransitionTime"):
        return True
    unready, since = readiness.get("status") == "False", parse_time(readiness["lastTransitionTime"])
    if parse_time(started) + _STARTING > now:
        return unready or figure.at < since + figure.window
    return unready and parse_time(started) + _FIRST_READINESS > since
