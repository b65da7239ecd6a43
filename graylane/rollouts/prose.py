"""Which changes of a status may wait a moment, because they only tell how something passes that will be over at once.

Pure. In: facts after the decision, the status that says so. Out: until when it need not be written, or None. With a
thousand releases at once, telling every breath of a restored route was two thirds of all writes.

What a crash would lose must be found again from what is stored, and the world must be the same in both: so a canary
that becomes ready and gets its routes is told when the step pauses, but the end of a promotion at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from graylane.model.meta import Obj, dig
from graylane.model.rollout import StepState
from graylane.rollouts import status as wire
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import Release, Stage
from graylane.rollouts.waiting import Wait

_BEGINNING = frozenset({Stage.INITIALIZING, Stage.ROLLING})
_ON_ITS_WAY = frozenset({StepState.UPGRADE, StepState.TRAFFIC})
_PASSING = frozenset({Stage.PROMOTING, Stage.RETIRING, Stage.CANCELLING, Stage.DISABLING, Stage.TERMINATING})


def untold_until(facts: Facts, status: Obj, wait: Wait | None, patience: datetime) -> datetime | None:
    """None when it must be told now: somebody has to act, or the release itself is not where it was.

    `patience`: until when what passes may be left untold.
    """
    old = dig(facts.obj, "status", default={})
    passing = facts.release.stage in _PASSING or _is_on_its_way(facts.release)
    if old == status or not passing or wait is None or wait.trouble:
        return None
    untold = facts.now < patience and _remembered(old, facts) == _remembered(status, facts)
    return patience if untold else None


def _is_on_its_way(release: Release) -> bool:
    return release.stage in _BEGINNING and release.state in _ON_ITS_WAY and not release.offered


def _remembered(status: Obj, facts: Facts) -> tuple[object, ...]:
    """What has to be stored. On its way to a pause a step's pods and routes are found again by looking."""
    release = wire.read({"status": status}, facts.rollout.plan_hash)
    if _is_on_its_way(release):
        release = replace(release, stage=Stage.ROLLING, state=StepState.UPGRADE, since=None, ready=0)
    return release, status.get("observedGeneration"), status.get("phase")
