"""How many of a Job's pods succeeded and failed, each counted once whatever crashes or is deleted.

Pure. In: a Job and its pods. Out: `Tally`. A pod that ended is first written down by its uid
(`status.uncountedTerminatedPods`), then loses its finalizer, then becomes part of the number: at every instant it is
in exactly one of these places. Indexed Jobs write down successes as indexes, which need no uid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graylane.cluster.workloads.job_indexes import Indexes, judge
from graylane.cluster.workloads.job_pods import has_failed, has_succeeded, index_of, is_indexed, is_tracked
from graylane.cluster.workloads.job_policies import is_ignored, parse_indexes
from graylane.cluster.workloads.pods import is_active
from graylane.model.meta import Obj, dig, is_true, uid_of

FAILING = "FailureTarget"  # the condition that says how a Job will end


@dataclass(frozen=True, slots=True)
class Tally:
    """`countable` may lose their finalizers once the rest is written."""

    succeeded: int
    failed: int
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    indexes: frozenset[int]
    countable: tuple[Obj, ...]
    per_index: Indexes = field(default_factory=Indexes)

    @property
    def successes(self) -> int:
        return self.succeeded + len(self.uncounted_succeeded)

    @property
    def failures(self) -> int:
        return self.failed + len(self.uncounted_failed)

    @property
    def settled(self) -> bool:
        waiting = (*self.uncounted_succeeded, *self.uncounted_failed, *self.countable, *self.per_index.waiting)
        return not waiting


def tally(job: Obj, pods: Sequence[Obj]) -> Tally:
    tracked = [pod for pod in pods if is_tracked(pod)]
    good = [pod for pod in tracked if has_succeeded(pod)]
    indexes = _indexes(job, good)
    failed_pods = [pod for pod in tracked if has_failed(job, pod)]
    busy = {*indexes, *(index_of(pod) for pod in pods if is_active(pod))}
    per_index = judge(job, failed_pods, busy, over=is_true(job, FAILING))
    held = {uid_of(pod) for pod in per_index.waiting.values()}
    ended = [pod for pod in failed_pods if uid_of(pod) not in held]
    bad = [pod for pod in ended if not is_ignored(job, pod)]
    here = {uid_of(pod) for pod in tracked}
    succeeded, waiting_good = _moved_on(job, "succeeded", [] if is_indexed(job) else good, here)
    failed, waiting_bad = _moved_on(job, "failed", bad, here)
    if is_indexed(job):
        succeeded = len(indexes)
    return Tally(succeeded, failed, waiting_good, waiting_bad, indexes, (*good, *ended), per_index)


def _moved_on(job: Obj, field: str, ended: Iterable[Obj], tracked: set[str]) -> tuple[int, tuple[str, ...]]:
    """The number, grown by those whose finalizer is gone, and the uids that still wait for that."""
    written: list[str] = dig(job, "status", "uncountedTerminatedPods", field, default=[])
    number = int(dig(job, "status", field, default=0)) + sum(uid not in tracked for uid in written)
    waiting = [uid for uid in written if uid in tracked]
    return number, (*waiting, *(uid_of(pod) for pod in ended if uid_of(pod) not in waiting))


def _indexes(job: Obj, good: Iterable[Obj]) -> frozenset[int]:
    if not is_indexed(job):
        return frozenset()
    valid = range(int(dig(job, "spec", "completions", default=0)))
    known = parse_indexes(str(dig(job, "status", "completedIndexes", default="")))
    return frozenset(index for index in (*known, *map(index_of, good)) if index is not None and index in valid)


def format_indexes(indexes: Iterable[int]) -> str:
    """0, 1, 2, 5 → `0-2,5`; two neighbours are written `0,1`, as Kubernetes does."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
