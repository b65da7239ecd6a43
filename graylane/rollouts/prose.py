"""Which changes of a status may wait a moment, because they only tell how something passes that will be over at once.

Pure. In: facts after the decision, the status that says so. Out: until when it need not be written, or None. With a
thousand releases at once, telling every breath of a restored route was two thirds of all writes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from graylane.model.meta import Obj, dig, find_condition, parse_time
from graylane.model.rollout import StepState
from graylane.rollouts import status as wire
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import Stage
from graylane.rollouts.waiting import Wait

PATIENCE = timedelta(seconds=2)  # times in a status are whole seconds: at least one passes
_PASSING = frozenset({Stage.PROMOTING, Stage.RETIRING, Stage.CANCELLING, Stage.DISABLING, Stage.TERMINATING})


def untold_until(facts: Facts, status: Obj, wait: Wait | None) -> datetime | None:
    """None when it must be told now: somebody has to act, or the release itself is not where it was."""
    old = dig(facts.obj, "status", default={})
    if not _is_passing(facts) or wait is None or wait.trouble or _remembered(old, facts) != _remembered(status, facts):
        return None
    told = _told_at(old)
    return told + PATIENCE if told and facts.now < told + PATIENCE else None


def _is_passing(facts: Facts) -> bool:
    release = facts.release
    routing = release.stage is Stage.ROLLING and release.state is StepState.TRAFFIC
    return routing or release.stage in _PASSING


def _remembered(status: Obj, facts: Facts) -> tuple[object, ...]:
    release = wire.read({"status": status}, facts.rollout.plan_hash)
    return release, status.get("observedGeneration"), status.get("phase")


def _told_at(status: Obj) -> datetime | None:
    """When something was last worth telling: a state, or another reason to wait."""
    waiting = find_condition(status.get("conditions") or [], wire.WAITING) or {}
    texts = waiting.get("lastUpdateTime"), dig(status, "canaryStatus", "lastUpdateTime")
    return max((parse_time(str(text)) for text in texts if text), default=None)
