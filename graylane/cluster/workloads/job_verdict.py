"""Whether a Job is over, and why.

Pure. In: `Facts`. Out: the verdict, from a table whose order is its meaning, and the conditions that tell it. A verdict
stands: it is written at once (FailureTarget, SuccessCriteriaMet), and the Job is Failed or Complete when its last pod
has ended and is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.cluster.workloads.job_indexes import limit_of
from graylane.cluster.workloads.job_pods import is_terminating, restarts
from graylane.cluster.workloads.job_policies import fails_job, match_success
from graylane.cluster.workloads.job_tally import FAILING, Tally
from graylane.cluster.workloads.pods import is_active
from graylane.model.meta import Condition, Obj, condition, dig, find_condition, is_true, parse_time, set_condition

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCEEDING = "SuccessCriteriaMet"
_ENDS = {SUCCEEDING: COMPLETE, FAILING: FAILED}


@dataclass(frozen=True, slots=True)
class Facts:
    job: Obj
    pods: tuple[Obj, ...]
    tally: Tally
    now: datetime

    @property
    def active(self) -> list[Obj]:
        return [pod for pod in self.pods if is_active(pod)]

    @property
    def terminating(self) -> list[Obj]:
        return [pod for pod in self.pods if is_terminating(pod)]

    @property
    def suspended(self) -> bool:
        return bool(dig(self.job, "spec", "suspend", default=False))

    @property
    def completions(self) -> int | None:
        """None for a work queue, which is done when one pod says so and the others have ended."""
        return None if dig(self.job, "spec", "completions") is None else int(self.job["spec"]["completions"])

    @property
    def backoff_limit(self) -> int:
        default = 6 if limit_of(self.job) is None else 2**31 - 1
        return int(dig(self.job, "spec", "backoffLimit", default=default))

    @property
    def started_at(self) -> datetime | None:
        """Since when the Job may work: from now on when it only just began, or was resumed."""
        text, resumed = dig(self.job, "status", "startTime"), is_true(self.job, SUSPENDED) and not self.suspended
        if self.suspended:
            return parse_time(text) if text else None
        return parse_time(text) if text and not resumed else self.now

    @property
    def deadline(self) -> datetime | None:
        seconds = dig(self.job, "spec", "activeDeadlineSeconds")
        if seconds is None or self.suspended or self.started_at is None:
            return None
        return self.started_at + timedelta(seconds=int(seconds))

    # -- what a verdict may be about

    def failed_too_often(self) -> bool:
        return self.tally.failures > self.backoff_limit or self._restarted_too_often()

    def _restarted_too_often(self) -> bool:
        if dig(self.job, "spec", "template", "spec", "restartPolicy") != "OnFailure":
            return False
        times = restarts(self.active)
        return times > 0 if self.backoff_limit == 0 else times >= self.backoff_limit

    @property
    def fatal(self) -> str:
        """Which pod's end is the Job's, by its own failure policy, "" for none."""
        return next(filter(None, (fails_job(self.job, pod) for pod in self.pods)), "")

    def failed_for_good(self) -> bool:
        return bool(self.fatal)

    @property
    def sufficient(self) -> str:
        """Which rule of the success policy is met, "" for none."""
        return match_success(self.job, self.tally.indexes)

    def good_enough(self) -> bool:
        return bool(self.sufficient)

    def late(self) -> bool:
        return self.deadline is not None and self.deadline <= self.now

    @property
    def failed_indexes(self) -> int:
        return len(self.tally.per_index.failed)

    def too_many_indexes_failed(self) -> bool:
        most = dig(self.job, "spec", "maxFailedIndexes")
        return most is not None and self.failed_indexes > int(most)

    def no_index_is_left(self) -> bool:
        ended = self.tally.successes + self.failed_indexes
        return self.failed_indexes > 0 and self.completions is not None and ended >= self.completions

    def done(self) -> bool:
        if self.completions is None:
            return self.tally.successes > 0 and not self.active
        return self.tally.successes >= self.completions


@dataclass(frozen=True, slots=True)
class Row:
    when: Callable[[Facts], bool]
    verdict: str
    reason: str
    says: Callable[[Facts], str]


VERDICTS = (  # first row that applies wins
    Row(Facts.failed_for_good, FAILING, "PodFailurePolicy", lambda facts: facts.fatal),
    Row(
        Facts.failed_too_often,
        FAILING,
        "BackoffLimitExceeded",
        lambda _: "Job has reached the specified backoff limit",
    ),
    Row(
        Facts.too_many_indexes_failed,
        FAILING,
        "MaxFailedIndexesExceeded",
        lambda _: "Job has exceeded the specified maximal number of failed indexes",
    ),
    Row(Facts.no_index_is_left, FAILING, "FailedIndexes", lambda _: "Job has failed indexes"),
    Row(Facts.late, FAILING, "DeadlineExceeded", lambda _: "Job was active longer than specified deadline"),
    Row(Facts.good_enough, SUCCEEDING, "SuccessPolicy", lambda facts: facts.sufficient),
    Row(Facts.done, SUCCEEDING, "CompletionsReached", lambda _: "Reached expected number of succeeded pods"),
)


def verdict(facts: Facts) -> Condition | None:
    """The one that stands, or the first that applies now."""
    for kind in _ENDS:
        entry = condition(facts.job, kind)
        if entry is not None and entry.get("status") == "True":
            return Condition(kind, "True", entry.get("reason", ""), entry.get("message", ""))
    row = next((row for row in VERDICTS if row.when(facts)), None)
    return Condition(row.verdict, "True", row.reason, row.says(facts)) if row else None


def ending(facts: Facts, verdict: Condition | None) -> Condition | None:
    """Complete or Failed, once nothing runs and everything is counted."""
    if verdict is None or facts.active or facts.terminating or not facts.tally.settled:
        return None
    return Condition(_ENDS[verdict.type], "True", verdict.reason, verdict.message)


def finished(job: Obj) -> Obj | None:
    """The condition that ended it."""
    return next((condition(job, kind) for kind in _ENDS.values() if is_true(job, kind)), None)


def conditions(facts: Facts, *new: Condition | None) -> list[Obj]:
    """The Job's conditions with `new` ones, and whether it is suspended; that is said only once it ever was."""
    told: list[Obj] = dig(facts.job, "status", "conditions", default=[])
    for entry in (_suspension(facts, told) if not any(new) else None, *new):
        if entry is not None:
            told = set_condition(told, entry, facts.now, **_probed(told, entry, facts.now))
    return told


def _probed(told: list[Obj], entry: Condition, now: datetime) -> Obj:
    old = find_condition(told, entry.type)
    same = old is not None and old.get("status") == entry.status
    return {"lastProbeTime": (old or {}).get("lastProbeTime") if same else now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _suspension(facts: Facts, told: list[Obj]) -> Condition | None:
    if facts.suspended:
        return Condition(SUSPENDED, "True", "JobSuspended", "Job suspended")
    if find_condition(told, SUSPENDED) is not None:
        return Condition(SUSPENDED, "False", "JobResumed", "Job resumed")
    return None
