"""What the memory of a release becomes when a row of the table is taken.

Pure. In: the facts the row was taken on, and the release already moved to its target. Out: the release to remember.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graylane.model.rollout import ABORT, StepState
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import (
    ABORTED,
    COMPLETED,
    DELETED,
    DISABLED,
    GOING,
    OVERDUE,
    ROLLED_BACK,
    Release,
    Verdict,
)
from graylane.rollouts.replicas import step_replicas

Enter = Callable[[Facts, Release], Release]


def stay(facts: Facts, release: Release) -> Release:
    return release


def forget(facts: Facts, release: Release) -> Release:
    """Nothing of a lost workload's release is worth remembering; OpenKruise resets the status as well."""
    return Release(stage=release.stage)


def rest(facts: Facts, release: Release) -> Release:
    """A finished, cancelled or never begun release rests on its last step, Completed: health checks read that."""
    last = facts.total_steps
    return replace(release, step=last, next_step=-1, state=StepState.COMPLETED, offered=False, since=None)


def completed(facts: Facts, release: Release) -> Release:
    verdict = Verdict(True, COMPLETED, f"revision {release.canary_revision} serves everything")
    return replace(rest(facts, release), verdict=verdict)


def aborted(facts: Facts, release: Release) -> Release:
    message = f"the release of revision {release.canary_revision} was aborted by the annotation {ABORT}"
    return _taken_back(release, Verdict(False, ABORTED, message))


def rolled_back(facts: Facts, release: Release) -> Release:
    name = facts.stable.name if facts.stable else facts.rollout.workload.name
    message = f"the template of Deployment {name} was set back to the stable revision {release.stable_revision}"
    return _taken_back(release, Verdict(False, ROLLED_BACK, message))


def failed(facts: Facts, release: Release) -> Release:
    message = f"the release of revision {release.canary_revision} made no progress within {facts.deadline_seconds} s"
    return _taken_back(release, Verdict(False, OVERDUE, message))


def _taken_back(release: Release, verdict: Verdict) -> Release:
    """Not StepPaused any more, of which health checks and `kubectl kruise` think that somebody may approve it."""
    return replace(release, verdict=verdict, state=StepState.UPGRADE, offered=False)


def go_on(facts: Facts, release: Release) -> Release:
    """Its time begins anew."""
    return note(facts, replace(release, since=facts.moment))


def resumed(facts: Facts, release: Release) -> Release:
    """While it was paused nothing had to move; a step's own pause has gone on."""
    return go_on(facts, release) if release.state in (StepState.UPGRADE, StepState.TRAFFIC) else release


def note(facts: Facts, release: Release) -> Release:
    return replace(release, ready=facts.ready_pods)


def removed(facts: Facts, release: Release) -> Release:
    return _ended(facts, release, DELETED, "the Rollout was deleted during the release")


def disabled(facts: Facts, release: Release) -> Release:
    return _ended(facts, release, DISABLED, "the Rollout was disabled during the release")


def _ended(facts: Facts, release: Release, reason: str, message: str) -> Release:
    """Only a release that was still going is judged; one that was already over keeps its verdict.

    It stops at StepPaused, from which Argo CD's health script reads Degraded and not Progressing for ever.
    """
    if facts.release.stage not in GOING:
        return release
    return replace(release, verdict=Verdict(False, reason, message), state=StepState.PAUSED, offered=False)


def first_step(facts: Facts, release: Release) -> Release:
    """A release from its beginning. The stable version stays the one it was, as long as that still runs."""
    revision = facts.stable.revision if facts.stable else ""
    known = facts.stable_set
    runs = known is not None and known.wanted > 0 and known.revision != revision
    return Release(
        stage=release.stage,
        step=1,
        next_step=2 if facts.total_steps > 1 else -1,
        state=StepState.UPGRADE,
        stable_revision=release.stable_revision if runs else facts.candidate or release.stable_revision,
        canary_revision=revision,
        plan_hash=facts.rollout.plan_hash,
        since=facts.moment,
        ready=facts.ready_pods,
    )


def next_step(facts: Facts, release: Release) -> Release:
    return _at(facts, release, release.step + 1)


def jump(facts: Facts, release: Release) -> Release:
    """To the step a client wrote into `nextStepIndex`."""
    return _at(facts, release, facts.release.next_step)


def replan(facts: Facts, release: Release) -> Release:
    """Go on at the first step of the new plan that wants at least the canary pods there are, as OpenKruise does."""
    total = facts.stable.replicas if facts.stable else 0
    enough = (
        index
        for index, step in enumerate(facts.rollout.steps, 1)
        if step_replicas(step.replicas, total) >= min(facts.grown, total)
    )
    return replace(_at(facts, release, next(enough, facts.total_steps)), plan_hash=facts.rollout.plan_hash)


def restart_step(facts: Facts, release: Release) -> Release:
    return replace(release, offered=False)


def offer(facts: Facts, release: Release) -> Release:
    """The step pauses: from now on an approval is meant for it."""
    return replace(release, offered=True)


def _at(facts: Facts, release: Release, step: int) -> Release:
    following = step + 1 if step < facts.total_steps else -1
    return replace(release, step=step, next_step=following, offered=False, since=facts.moment)
