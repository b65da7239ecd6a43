"""The life of a Rollout on one screen: how it moves, how its steps move, and what each stage means for the world.

Pure. In: `Facts`. Out: the next `Release`, the rows that led there, and the `World` that should exist now. The world
depends on the stage, never on the way into it, so a lost write is found and repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from graylane.model.rollout import StepState
from graylane.rollouts.entering import (
    Enter,
    aborted,
    completed,
    disabled,
    failed,
    first_step,
    forget,
    go_on,
    jump,
    next_step,
    note,
    offer,
    removed,
    replan,
    rest,
    restart_step,
    resumed,
    rolled_back,
    stay,
)
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import GOING, HOLDING, Release, Stage

_S, _T = Stage, StepState

AT_REST = frozenset({_S.INITIAL, _S.HEALTHY})
CHANGEABLE = GOING | {_S.CANCELLING}  # Retiring is not: it finishes first, then the newer revision is a new release
RUNNING = CHANGEABLE | {_S.RETIRING}
OVERDUE = frozenset({_S.FAILED, _S.PROMOTING})
WITH_WORKLOAD = RUNNING | {_S.HEALTHY}
ALIVE = frozenset(_S) - {_S.TERMINATING}
ANY_STATE = frozenset(_T)


@dataclass(frozen=True, slots=True)
class Row:
    """While in (one of) `here`, when the predicate holds, go to `to`. `because` is unique: it names the row."""

    here: frozenset[Stage] | Stage
    when: Callable[[Facts], bool]
    to: Stage
    enter: Enter
    because: str

    def applies(self, facts: Facts) -> bool:
        return _among(facts.release.stage, self.here) and self.when(facts)


@dataclass(frozen=True, slots=True)
class StepRow:
    """The same for the states of a step, while the stage is ROLLING."""

    here: frozenset[StepState] | StepState
    when: Callable[[Facts], bool]
    to: StepState
    enter: Enter
    because: str

    def applies(self, facts: Facts) -> bool:
        return _among(facts.release.state, self.here) and self.when(facts)


# First row that applies wins. Order is meaning: leaving above rolling back, rolling back above moving on.
LIFECYCLE = (
    #   while in         when                      go to            entering with  because
    Row(ALIVE,           Facts.deleted,            _S.TERMINATING,  removed,       "the Rollout is being deleted"),
    Row(RUNNING,         Facts.disabled,           _S.DISABLING,    disabled,      "it was disabled during a release"),
    Row(AT_REST,         Facts.disabled,           _S.DISABLED,     stay,          "it was disabled"),
    Row(_S.DISABLING,    Facts.let_go,             _S.DISABLED,     stay,          "nothing of the release is left"),
    Row(_S.DISABLED,     Facts.enabled,            _S.HEALTHY,      rest,          "it was enabled again"),
    Row(WITH_WORKLOAD,   Facts.workload_missing,   _S.INITIAL,      forget,        "its workload is gone"),
    Row(HOLDING,         Facts.workload_replaced,  _S.INITIAL,      forget,        "another workload took its place"),
    Row(_S.INITIAL,      Facts.workload_found,     _S.HEALTHY,      rest,          "its workload exists"),
    Row(_S.HEALTHY,      Facts.new_revision,       _S.INITIALIZING, first_step,    "a new revision appeared"),
    Row(GOING,           Facts.abort_requested,    _S.CANCELLING,   aborted,       "abort was requested"),
    Row(GOING,           Facts.back_to_stable,     _S.CANCELLING,   rolled_back,   "the template went back to stable"),
    Row(CHANGEABLE,      Facts.newer_revision,     _S.INITIALIZING, first_step,    "a newer revision replaced it"),
    Row(OVERDUE,         Facts.gives_up,           _S.CANCELLING,   failed,        "it failed and is taken back then"),
    Row(_S.FAILED,       Facts.recovered,          _S.ROLLING,      go_on,         "it moves again"),
    Row(_S.ROLLING,      Facts.pause_requested,    _S.PAUSED,       stay,          "pause was requested"),
    Row(_S.PAUSED,       Facts.resumed,            _S.ROLLING,      resumed,       "pause was lifted"),
    Row(_S.INITIALIZING, Facts.stable_held,        _S.ROLLING,      stay,          "the stable workload is held"),
    Row(_S.ROLLING,      Facts.overdue,            _S.FAILED,       stay,          "it stands still past its deadline"),
    Row(_S.ROLLING,      Facts.steps_done,         _S.PROMOTING,    stay,          "every step is approved"),
    Row(_S.PROMOTING,    Facts.promoted,           _S.RETIRING,     stay,          "stable serves the new revision"),
    Row(_S.RETIRING,     Facts.gone,               _S.HEALTHY,      completed,     "routes are back, canary is gone"),
    Row(_S.CANCELLING,   Facts.cancelled,          _S.HEALTHY,      rest,          "everything was taken back"),
)  # fmt: skip

STEPS = (
    #       while in    when                    go to         entering with  because
    StepRow(ANY_STATE,  Facts.plan_changed,     _T.UPGRADE,   replan,        "the plan was edited"),
    StepRow(ANY_STATE,  Facts.jump_asked,       _T.UPGRADE,   jump,          "a jump to another step was asked"),
    StepRow(_T.READY,   Facts.approved_unseen,  _T.UPGRADE,   restart_step,  "it was approved before it had paused"),
    StepRow(_T.UPGRADE, Facts.canary_serves,    _T.TRAFFIC,   stay,          "canary pods are ready and listed"),
    StepRow(_T.UPGRADE, Facts.progressed,       _T.UPGRADE,   note,          "more canary pods are ready"),
    StepRow(_T.TRAFFIC, Facts.lane_live,        _T.METRICS,   stay,          "the proxies have the routes"),
    StepRow(_T.METRICS, Facts.measured,         _T.PAUSED,    offer,         "no metrics are asked for"),
    StepRow(_T.PAUSED,  Facts.pause_over,       _T.READY,     stay,          "its pause is over"),
    StepRow(_T.READY,   Facts.last_step_met,    _T.COMPLETED, stay,          "the last step is approved"),
    StepRow(_T.READY,   Facts.step_met,         _T.UPGRADE,   next_step,     "the step is approved"),
)  # fmt: skip


class Hold(StrEnum):
    """What should be true of the stable Deployment."""

    ALONE = "not touched"
    FREE = "not claimed, not paused by us"
    HELD = "paused at the stable version"
    PROMOTED = "un-paused with the new version"
    RESTORED = "un-paused with the stable version, once the routes are away"
    RELEASED = "not claimed; un-paused only if it holds the stable version"


@dataclass(frozen=True, slots=True)
class World:
    """What should exist in a stage. `plan.py` lowers it to what is safe at this moment."""

    stable: Hold
    canary: bool = False
    lane: bool = False


WORLD = {
    Stage.INITIAL: World(Hold.ALONE),
    Stage.HEALTHY: World(Hold.FREE),
    Stage.INITIALIZING: World(Hold.HELD, canary=True, lane=True),
    Stage.ROLLING: World(Hold.HELD, canary=True, lane=True),
    Stage.PAUSED: World(Hold.HELD, canary=True, lane=True),
    Stage.FAILED: World(Hold.HELD, canary=True, lane=True),
    Stage.PROMOTING: World(Hold.PROMOTED, canary=True, lane=True),
    Stage.RETIRING: World(Hold.ALONE),
    Stage.CANCELLING: World(Hold.RESTORED),
    Stage.DISABLED: World(Hold.RELEASED),
    Stage.DISABLING: World(Hold.RELEASED),
    Stage.TERMINATING: World(Hold.RELEASED),
}

Fired = Row | StepRow
_LIMIT = 3 * len(tuple(StepState)) * 8  # rows one look may take; a plan of zero-second pauses crosses several steps


def decide(facts: Facts) -> tuple[Facts, tuple[tuple[Fired, Facts], ...]]:
    """Take every row that applies now, one after the other.

    Out: the facts with the release it ends in, and each row taken with the facts it was taken on.
    """
    taken: list[tuple[Fired, Facts]] = []
    while len(taken) < _LIMIT and (row := next_row(facts)) is not None:
        taken.append((row, facts))
        facts = replace(facts, release=move(row, facts))
    return facts, tuple(taken)


def next_row(facts: Facts) -> Fired | None:
    """The first row that applies: the stage's before the step's."""
    steps = STEPS if facts.release.stage is Stage.ROLLING else ()
    return next((row for row in (*LIFECYCLE, *steps) if row.applies(facts)), None)


def move(row: Fired, facts: Facts) -> Release:
    """The release after `row`: its target, and whatever entering it sets."""
    if isinstance(row, Row):
        return row.enter(facts, replace(facts.release, stage=row.to))
    entered = replace(facts.release, state=row.to, since=facts.moment)
    return row.enter(facts, entered)


def _among(here: StrEnum, there: frozenset[Stage] | frozenset[StepState] | StrEnum) -> bool:
    return here in there if isinstance(there, frozenset) else here is there
