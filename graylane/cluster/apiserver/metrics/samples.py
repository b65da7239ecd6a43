"""A node's counters at one instant, and what two of these say about the time between them.

Pure. In: kubelets' summaries. Out: `Usage` of containers and nodes: CPU as a rate over a stated window, memory as it
was at its end. A container without a window yet is not told of, nor is a pod that has one such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from graylane.model.meta import Key, Obj, dig, parse_time

SHORTEST = timedelta(seconds=1)  # ticks are 10 ms long: less would tell more about the clock than about the process
_ENOUGH = timedelta(seconds=10)  # a window this long is not made longer
_STALE = timedelta(seconds=90)  # what was used longer ago is no news


class Counter(NamedTuple):
    """CPU time used up to an instant, and memory held at it. `since`: when it stood at zero, where that is known."""

    at: datetime
    nanoseconds: int
    memory_bytes: int
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One summary of one node."""

    at: datetime
    node: Counter | None
    pods: Mapping[Key, Mapping[str, Counter]]


@dataclass(frozen=True, slots=True)
class Usage:
    """`nanocores` is the mean over `window`, which ended `at`."""

    at: datetime
    window: timedelta
    nanocores: int
    memory_bytes: int


def read(summary: Obj, at: datetime) -> Sample:
    """A kubelet's `/stats/summary`; what it does not say is left out."""
    pods = {
        Key(dig(pod, "podRef", "namespace", default=""), dig(pod, "podRef", "name", default="")): dict(_counters(pod))
        for pod in summary.get("pods") or []
    }
    return Sample(at, _counter(summary.get("node") or {}), pods)


def _counters(pod: Obj) -> Iterator[tuple[str, Counter]]:
    for container in pod.get("containers") or []:
        if (counter := _counter(container)) is not None:
            yield str(container["name"]), counter


def _counter(told: Obj) -> Counter | None:
    used, memory = dig(told, "cpu", "usageCoreNanoSeconds"), dig(told, "memory", "workingSetBytes")
    if used is None or memory is None:
        return None
    since = told.get("startTime")
    return Counter(parse_time(told["cpu"]["time"]), int(used), int(memory), parse_time(since) if since else None)


def base_for(history: Sequence[Sample], now: datetime) -> Sample | None:
    """The sample to compare one of `now` with: the latest that is long enough ago, else the earliest there is."""
    usable = [sample for sample in history if SHORTEST <= now - sample.at <= _STALE]
    enough = [sample for sample in usable if now - sample.at >= _ENOUGH]
    return enough[-1] if enough else next(iter(usable), None)


def remembered(history: Sequence[Sample], newest: Sample) -> tuple[Sample, ...]:
    return (*(sample for sample in history if newest.at - sample.at <= _STALE), newest)


def node_usage(base: Sample, newest: Sample) -> Usage | None:
    return _between(base.node, newest.node) if newest.node is not None else None


def pod_usage(base: Sample, newest: Sample, pod: Key) -> dict[str, Usage]:
    """By container; {} when one of them has run too short to say."""
    before = base.pods.get(pod, {})
    found = {name: _between(before.get(name), counter) for name, counter in newest.pods.get(pod, {}).items()}
    known = {name: usage for name, usage in found.items() if usage is not None}
    return known if len(known) == len(found) else {}


def _between(before: Counter | None, after: Counter) -> Usage | None:
    """A counter that fell began anew, and so did one that was not there before: at its start it stood at zero."""
    if before is not None and before.nanoseconds <= after.nanoseconds:
        start, used = before.at, after.nanoseconds - before.nanoseconds
    elif after.since is not None:
        start, used = after.since, after.nanoseconds
    else:
        return None
    window = after.at - start
    if window < SHORTEST:
        return None
    return Usage(after.at, window, round(used / window.total_seconds()), after.memory_bytes)
