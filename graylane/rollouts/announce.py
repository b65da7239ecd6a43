"""The events of a release: one per row of the table worth telling, in OpenKruise's words where it has some.

Pure. In: the rows that were taken, with the facts they were taken on. Out: `Event` effects about the Rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graylane.chain.workloads import name_of_change
from graylane.kit.effects import Event
from graylane.model.kinds import ROLLOUT
from graylane.model.managers import manager_of, person
from graylane.model.meta import dig
from graylane.model.rollout import ABORT, StepState
from graylane.rollouts.facts import Facts
from graylane.rollouts.lifecycle import Fired
from graylane.rollouts.waiting import waits_for


@dataclass(frozen=True, slots=True)
class News:
    reason: str
    says: Callable[[Facts], str]
    type: str = "Normal"
    also: News | None = None


def announcements(facts: Facts, taken: tuple[tuple[Fired, Facts], ...]) -> Iterator[Event]:
    """In the order in which the rows were taken. `facts` are the final ones, the row's own are those it began on."""
    for row, before in taken:
        news = _NEWS.get(row.because)
        while news:
            yield Event(ROLLOUT, facts.obj, news.type, news.reason, news.says(before))
            news = news.also


def _step(facts: Facts) -> str:
    return f"step({facts.release.step}/{facts.total_steps})"


def _of(facts: Facts) -> str:
    """Events of equal words are counted up on one object; those of another release must not be."""
    return f" of revision {facts.release.canary_revision}"


def _new_revision(facts: Facts) -> str:
    stable = facts.stable
    return (
        f"release of revision {stable.revision if stable else ''}{_called(facts)} begins; stable is {facts.candidate}"
    )


def _called(facts: Facts) -> str:
    """What people call the version: nothing else tells it once the release was taken back."""
    if facts.stable is None:
        return ""
    old = next((item.template for item in facts.stable.sets if item.hash == facts.candidate), {})
    name = name_of_change(old, dig(facts.stable.obj, "spec", "template", default={}))
    return f" ({name})" if name else ""


def _approver(facts: Facts) -> str:
    """Who wrote the approval that is acted on; nobody, where the step's time was over."""
    if dig(facts.obj, "status", "canaryStatus", "currentStepState") != StepState.READY:
        return ""
    return f", approved by {person(manager_of(facts.obj, 'status', 'canaryStatus', 'currentStepState'))}"


def _aborter(facts: Facts) -> str:
    return f", as asked by {person(manager_of(facts.obj, 'metadata', 'annotations', ABORT))}"


def _cause(facts: Facts) -> str:
    wait = waits_for(facts)
    return f": {wait.text}" if wait and wait.text else ""


def _verdict_of(facts: Facts) -> str:
    return facts.release.verdict.message if facts.release.verdict else ""


_STARTED = News("ReleaseStarted", _new_revision)
_NEWS = {  # by the `because` of the row; chain/history.py reads them back
    "a new revision appeared": _STARTED,
    "a newer revision replaced it": News(
        "Progressing",
        lambda f: "workload continuous publishing canaryRevision, then restart publishing",
        also=_STARTED,
    ),
    "the template went back to stable": News(
        "Progressing", lambda f: "workload has been rollback, then rollout is canceled"
    ),
    "abort was requested": News(
        "Aborted", lambda f: f"revision {f.release.canary_revision} is taken back{_aborter(f)}", "Warning"
    ),
    "it stands still past its deadline": News(
        "ProgressDeadlineExceeded",
        lambda f: f"{_step(f)}{_of(f)} made no progress in {f.deadline_seconds} s{_cause(f)}",
        "Warning",
    ),
    "it moves again": News("ProgressResumed", lambda f: f"{_step(f)} moves again"),
    "it failed and is taken back then": News(
        "Aborted", lambda f: f"revision {f.release.canary_revision} failed and is taken back", "Warning"
    ),
    "pause was requested": News("Paused", lambda f: f"{_step(f)} is held by spec.strategy.paused"),
    "pause was lifted": News("Resumed", lambda f: f"{_step(f)} goes on"),
    "canary pods are ready and listed": News(
        "Progressing", lambda f: f"upgrade step({f.release.step}) canary pods with new versions done"
    ),
    "no metrics are asked for": News("StepPaused", lambda f: f"{_step(f)}{_of(f)} has its pods and its routes"),
    "it was approved before it had paused": News(
        "ApprovalIgnored", lambda f: f"{_step(f)} was approved before it had paused; approve it again", "Warning"
    ),
    "its pause is over": News("PauseOver", lambda f: f"{_step(f)}{_of(f)} has paused for its time"),
    "the step is approved": News("StepReady", lambda f: f"{_step(f)}{_of(f)} is over{_approver(f)}"),
    "the last step is approved": News("StepReady", lambda f: f"{_step(f)}{_of(f)} is over, the last{_approver(f)}"),
    "a jump to another step was asked": News("StepJump", lambda f: f"from {_step(f)} to step {f.release.next_step}"),
    "the plan was edited": News("PlanChanged", lambda f: f"the plan was edited in {_step(f)}"),
    "every step is approved": News("Promoting", lambda f: f"stable takes revision {f.release.canary_revision}"),
    "stable serves the new revision": News("Promoted", lambda f: f"stable serves revision {f.release.canary_revision}"),
    "routes are back, canary is gone": News(
        "Completed", lambda f: f"the release of revision {f.release.canary_revision} is complete"
    ),
    "everything was taken back": News("Cancelled", _verdict_of),
    "its workload is gone": News(
        "WorkloadNotFound", lambda f: f"Deployment {f.rollout.workload.name} is gone", "Warning"
    ),
}
