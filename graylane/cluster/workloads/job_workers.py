"""How many pods of a Job should run now, and which are to be created or deleted for it.

Pure. In: `Facts`. Out: `Plan`. Failures slow a Job down: after the first in a row a new pod waits ten seconds, after
each further one twice as long, at most ten minutes. Kubernetes remembers failures in its process; here they are read
from the pods that ended, so that a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from graylane.cluster.workloads.job_indexes import limit_of, retried_at
from graylane.cluster.workloads.job_pods import (
    ended_at,
    has_failed,
    has_succeeded,
    index_of,
    is_indexed,
    replaces_only_failed,
)
from graylane.cluster.workloads.job_policies import is_ignored
from graylane.cluster.workloads.job_verdict import Facts
from graylane.cluster.workloads.ranking import deletion_order
from graylane.model.meta import Obj, dig, is_deleting

BURST = 500  # pods created by one reconcile; the rest follows with the next
_FIRST_DELAY = timedelta(seconds=10)
_LONGEST_DELAY = timedelta(minutes=10)
_LONGEST_DOUBLING = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """`create` pods, or these `indexes`; `surplus` active pods go without being counted."""

    surplus: tuple[Obj, ...] = ()
    create: int = 0
    indexes: tuple[int, ...] = ()
    wait_until: datetime | None = None


def plan(facts: Facts) -> Plan:
    misplaced = list(_misplaced(facts)) if is_indexed(facts.job) else []
    active = [pod for pod in facts.active if pod not in misplaced]
    excess = len(active) - wanted(facts, len(active))
    if misplaced or excess > 0:
        return Plan((*misplaced, *deletion_order(active, {}, facts.now)[: max(0, excess)]))
    leaving = len(facts.terminating) if replaces_only_failed(facts.job) else 0
    missing = min(-excess - leaving, BURST)
    if missing <= 0:
        return Plan()
    if limit_of(facts.job) is not None:
        return _plan_by_index(facts, missing)
    ready_at = backoff_ends(facts)
    if ready_at is not None and ready_at > facts.now:
        return Plan(wait_until=ready_at)
    if not is_indexed(facts.job):
        return Plan(create=missing)
    return Plan(indexes=tuple(islice(_free_indexes(facts), missing)))


def _plan_by_index(facts: Facts, missing: int) -> Plan:
    """Each index waits for itself."""
    last = facts.tally.per_index.waiting
    due = {index: retried_at(facts.job, pod) for index, pod in last.items()}
    ready = (index for index in _free_indexes(facts) if due.get(index, facts.now) <= facts.now)
    later = [moment for moment in due.values() if moment > facts.now]
    return Plan(indexes=tuple(islice(ready, missing)), wait_until=min(later, default=None))


def wanted(facts: Facts, active: int) -> int:
    """A work queue starts nobody once one pod succeeded; otherwise no more work than there is left to do."""
    if facts.suspended:
        return 0
    parallelism = int(dig(facts.job, "spec", "parallelism", default=1))
    if facts.completions is None:
        return min(active, parallelism) if facts.tally.successes else parallelism
    return max(0, min(parallelism, facts.completions - facts.tally.successes - facts.failed_indexes))


def _misplaced(facts: Facts) -> Iterator[Obj]:
    """Active pods whose index is none, is done, or has another pod."""
    seen: set[int] = set()
    for pod in facts.active:
        index = index_of(pod)
        if index is None or index >= (facts.completions or 0) or index in facts.tally.indexes or index in seen:
            yield pod
        else:
            seen.add(index)


def _free_indexes(facts: Facts) -> Iterator[int]:
    """The lowest first."""
    holders = [*facts.active, *(facts.terminating if replaces_only_failed(facts.job) else [])]
    busy = {index_of(pod) for pod in holders}
    over = facts.tally.indexes | facts.tally.per_index.failed
    return (index for index in range(facts.completions or 0) if index not in busy | over)


def backoff_ends(facts: Facts) -> datetime | None:
    """When the next pod may be created after the failures since the last success; None after none.

    Deleted pods do not count: we may have stopped them ourselves, and a user who deletes one wants another.
    """
    successes = [ended_at(pod) for pod in facts.pods if has_succeeded(pod)]
    failed = [pod for pod in facts.pods if has_failed(facts.job, pod) and not is_ignored(facts.job, pod)]
    failures = [ended_at(pod) for pod in failed if not is_deleting(pod)]
    recent = [end for end in failures if not successes or end > max(successes)]
    if not recent:
        return None
    doublings = min(len(recent) - 1, _LONGEST_DOUBLING)
    return max(recent) + min(_FIRST_DELAY * (1 << doublings), _LONGEST_DELAY)
