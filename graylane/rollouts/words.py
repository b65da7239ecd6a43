"""The sentences of a Rollout's status, OpenKruise's where it has one.

Pure. In: a release and what it waits for. Out: `status.message` and the condition Progressing.
"""

from __future__ import annotations

from graylane.model.meta import Condition
from graylane.model.rollout import StepState
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import OVERDUE, Release, Stage
from graylane.rollouts.waiting import Wait

_PROGRESSING = {
    Stage.INITIALIZING: ("Initializing", "Rollout is in Progressing"),
    Stage.ROLLING: ("InRolling", "Rollout is in Progressing"),
    Stage.PAUSED: ("Paused", "Rollout has been paused, you can resume it by kube-cli"),
    Stage.FAILED: (OVERDUE, "Rollout makes no progress"),
    Stage.PROMOTING: ("Finalising", "Rollout has been completed and some closing work is being done"),
    Stage.RETIRING: ("Finalising", "Rollout has been completed and some closing work is being done"),
    Stage.CANCELLING: ("Cancelling", "The workload has been rolled back and the rollout process will be cancelled"),
}
_DONE, _CANCELLED = "Rollout progressing has been completed", "Rollout progressing has been cancelled"
_FIXED = {
    Stage.INITIAL: "Workload Not Found",
    Stage.DISABLED: "Rollout is disabled",
    Stage.DISABLING: "Disabling rollout, release resources",
    Stage.TERMINATING: "Rollout is in terminating",
}


def progressing(facts: Facts) -> Condition | None:
    """None before the first release. After one it says how that ended."""
    release = facts.release
    if release.stage is Stage.FAILED:  # as a Deployment says it
        return Condition("Progressing", "False", *_PROGRESSING[release.stage])
    if release.stage in (Stage.INITIALIZING, Stage.ROLLING) and facts.superseding():
        return Condition("Progressing", "True", _PROGRESSING[release.stage][0], "Workload is continuous release")
    if release.stage in _PROGRESSING:
        return Condition("Progressing", "True", *_PROGRESSING[release.stage])
    if release.verdict is None:
        return None
    return Condition("Progressing", "False", "Completed", _DONE if release.verdict.succeeded else _CANCELLED)


def message(facts: Facts, wait: Wait | None) -> str:
    """One line: where it stands, and what it waits for. Without a workload it is OpenKruise's, word for word."""
    base = _base(facts)
    if facts.release.stage is Stage.INITIAL:
        return base
    return f"{base}: {wait.text}" if wait and wait.text else base


def _base(facts: Facts) -> str:
    release = facts.release
    match release.stage:
        case Stage.HEALTHY:
            return _rest(release)
        case Stage.ROLLING:
            return _step(facts)
        case Stage.FAILED:
            return (
                f"Rollout failed in step({release.step}/{facts.total_steps}), no progress in {facts.deadline_seconds} s"
            )
        case Stage.CANCELLING if release.verdict:
            return release.verdict.message
        case stage:
            return _FIXED[stage] if stage in _FIXED else _PROGRESSING[stage][1]


def _step(facts: Facts) -> str:
    where = f"Rollout is in step({facts.release.step}/{facts.total_steps})"
    if facts.release.state is not StepState.PAUSED or not facts.step_met():
        return f"{where}, and upgrade workload to new version"
    if facts.step.pause_seconds is None:
        return f"{where}, and you need manually confirm to enter the next step"
    return f"{where}, and wait duration({facts.step.pause_seconds} seconds) to enter the next step"


def _rest(release: Release) -> str:
    verdict = release.verdict
    if verdict is None:
        return "workload deployment is completed"
    return _DONE if verdict.succeeded else f"{_CANCELLED}: {verdict.message}"
