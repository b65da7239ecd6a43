"""Limits per index: how often each index of a Job may fail, which have failed for good, which wait for their next pod.

Pure. In: a Job and its failed pods. Out: `Indexes`. How often an index has failed is written on its pods
(`job-index-failure-count`), so the last failed pod of an index is not counted, and keeps its finalizer, until it has a
successor that carries the number on. The rules are those of Kubernetes' `backoff_utils.go`, `indexed_job_utils.go`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graylane.cluster.workloads.job_pods import ended_at, index_of
from graylane.cluster.workloads.job_policies import Action, is_ignored, match_failure, parse_indexes
from graylane.model.meta import Obj, annotations_of, dig, uid_of

FAILURES = "batch.kubernetes.io/job-index-failure-count"

_FIRST_DELAY = timedelta(seconds=10)
_LONGEST_DELAY = timedelta(minutes=10)
_LONGEST_DOUBLING = 10


@dataclass(frozen=True, slots=True)
class Indexes:
    """`failed` for good; `waiting`: the last failed pod of each index that has no pod at present."""

    failed: frozenset[int] = frozenset()
    waiting: Mapping[int, Obj] = field(default_factory=dict)


def limit_of(job: Obj) -> int | None:
    """`backoffLimitPerIndex`; None when failures are counted for the Job as a whole."""
    limit = dig(job, "spec", "backoffLimitPerIndex")
    return None if limit is None else int(limit)


def judge(job: Obj, ended: Iterable[Obj], busy: Collection[int | None], *, over: bool) -> Indexes:
    """`ended` pods failed and are not yet counted; `busy` indexes have a pod or are done.

    When the Job is `over` nothing waits, and pods that are stopped for that are no failures of their indexes.
    """
    limit = limit_of(job)
    if limit is None:
        return Indexes()
    known = parse_indexes(str(dig(job, "status", "failedIndexes", default="")))
    if over:
        return Indexes(known)
    by_index: dict[int, Obj] = {}
    for pod in sorted(ended, key=_order):
        index = index_of(pod)
        if index is not None:
            by_index[index] = pod
    for_good = {index for index, pod in by_index.items() if _fails_index(job, pod, limit)}
    gone = {*busy, *known, *for_good}
    return Indexes(known | for_good, {index: pod for index, pod in by_index.items() if index not in gone})


def failures_of(pod: Obj) -> int:
    """How often its index had failed before it."""
    text = annotations_of(pod).get(FAILURES, "")
    return int(text) if text.isdigit() else 0


def failures_with(job: Obj, pod: Obj) -> int:
    """How often its index has failed, this pod included."""
    return failures_of(pod) + (not is_ignored(job, pod))


def retried_at(job: Obj, pod: Obj) -> datetime:
    """When the index may have its next pod: ten seconds after its first failure, then twice as long each time."""
    failures = failures_with(job, pod)
    if failures == 0:
        return ended_at(pod)
    return ended_at(pod) + min(_FIRST_DELAY * (1 << min(failures - 1, _LONGEST_DOUBLING)), _LONGEST_DELAY)


def _fails_index(job: Obj, pod: Obj, limit: int) -> bool:
    match = match_failure(job, pod)
    if match is not None and match.action is Action.FAIL_INDEX:
        return True
    return failures_with(job, pod) > limit


def _order(pod: Obj) -> tuple[int, datetime, str]:
    return failures_of(pod), ended_at(pod), uid_of(pod)
