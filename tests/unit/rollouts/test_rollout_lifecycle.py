"""The tables of a release hold over their whole input space: total, without loops, every row of use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, product

import pytest

from graylane.model.meta import Key
from graylane.model.rollout import Deadline, Rollout, Step, StepState, WorkloadRef
from graylane.rollouts.batch import told_at
from graylane.rollouts.facts import Facts
from graylane.rollouts.lifecycle import CHANGEABLE, LIFECYCLE, STEPS, WORLD, Fired, Hold, decide, next_row
from graylane.rollouts.parts import Canary, Lane, RevisionSet, Stable
from graylane.rollouts.plan import lane_wanted, plan
from graylane.rollouts.release import ROLLED_BACK, Release, Stage, Verdict
from graylane.rollouts.status import read, write
from graylane.rollouts.waiting import waits_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OBJ = {"metadata": {"namespace": "shop", "name": "web", "uid": "u1", "generation": 3, "resourceVersion": "7"}}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "v"}]}}
STEPS_OF_PLAN = (Step(1), Step("100%", pause_seconds=30))
ABORTS = Deadline(aborts=True)
FLAGS = (
    *({}, {"deleting": True}, {"disabled": True}, {"paused": True}, {"abort": "v2"}, {"abort": "v9"}),
    {"deadline": ABORTS},
)


def stable(revision: str, *, held: bool, running: str) -> Stable:
    """`running` is the version of all its pods; "v1" is the stable one."""
    sets = tuple(
        RevisionSet(f"web-{name}", name, name, *((1, 1, 1) if name == running else (0, 0, 0)), TEMPLATE)
        for name in ("v1", "v2")
    )
    workload = {
        "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "5"},
        "spec": {"selector": {}, "template": TEMPLATE},
    }
    claimed_by = "web" if held else ""
    return Stable(workload, "web", 1, held, revision, claimed_by, "v1", True, True, 0, sets)


def canary(revision: str, ready: bool) -> Canary:
    obj = {"metadata": {"namespace": "shop", "name": f"web-{revision}", "uid": "u2", "finalizers": []}}
    count = int(ready)
    return Canary(obj, f"web-{revision}", revision, "o", 1, count, count, True, False, True, count, revision, "")


def lane(*, held: bool, live: bool, clear: bool, trouble: str = "") -> Lane:
    return Lane("web", {"metadata": {"namespace": "shop", "name": "web"}}, False, held, live, clear, trouble, "")


STABLES = (
    None,
    stable("v1", held=False, running="v1"),
    stable("v1", held=True, running="v1"),
    stable("v2", held=False, running="v1"),
    stable("v2", held=True, running="v1"),
    stable("v2", held=False, running="v2"),
    stable("v3", held=True, running="v1"),
    replace(stable("v2", held=False, running="v1"), stalled=True),
)
CANARIES = ((), (canary("v2", True),), (canary("v2", False),), (canary("v3", True), canary("v2", True)))
HALF = (replace(canary("v2", True), updated=0),)  # more ready than was noted, and not all
LANES = (
    None,
    lane(held=False, live=False, clear=True),
    lane(held=True, live=False, clear=False),
    lane(held=True, live=True, clear=False),
    lane(held=False, live=False, clear=False),
    Lane("web", None, False, False, False, True, "TrafficRouting shop/web not found", ""),
)


LATE = {StepState.PAUSED: (0, 60), StepState.UPGRADE: (0, 700), StepState.TRAFFIC: (0, 700)}


def releases() -> Iterator[Release]:
    for stage, state, offered, step in product(Stage, StepState, (False, True), (1, 2)):
        if stage is not Stage.ROLLING and (state is not StepState.UPGRADE or step == 2):
            continue
        verdict = Verdict(False, ROLLED_BACK, "why") if stage is Stage.CANCELLING and offered else None
        yield Release(stage, step, state, 2 if step == 1 else -1, offered, "v1", "v2", PLAN, NOW, verdict)
    yield Release(Stage.ROLLING, 1, StepState.PAUSED, 1, True, "v1", "v2", PLAN, NOW)  # a jump back to step 1
    yield Release(Stage.ROLLING, 2, StepState.PAUSED, 1, True, "v1", "v2", PLAN, NOW)
    yield Release(Stage.ROLLING, 1, StepState.PAUSED, 2, True, "v1", "v2", "another plan", NOW)
    yield Release(Stage.ROLLING, 1, StepState.PAUSED, 2, True, "gone", "v2", PLAN, NOW)


def rollout(**flags: object) -> Rollout:
    workload = WorkloadRef("apps/v1", "Deployment", "web")
    return Rollout(Key("shop", "web"), "u1", 3, workload, STEPS_OF_PLAN, named_routing="web", **flags)  # type: ignore[arg-type]


PLAN = rollout().plan_hash


def matters(stage: Stage, workload: Stable | None, flags: dict[str, object], late: int) -> bool:
    """What only some stages look at is not tried in all of them."""
    if late and (stage not in (Stage.ROLLING, Stage.FAILED) or flags.get("abort")):
        return False
    if workload is not None and workload.stalled and stage is not Stage.PROMOTING:
        return False
    return "deadline" not in flags or stage in (Stage.FAILED, Stage.PROMOTING)


@cache
def everything() -> tuple[Facts, ...]:
    space = (
        (*case, late)
        for case in chain(
            product(releases(), STABLES, CANARIES, LANES, FLAGS),
            product(releases(), STABLES, (HALF,), LANES[2:3], FLAGS[:1]),
        )
        for late in LATE.get(case[0].state, (0,))
        if matters(case[0].stage, case[1], case[4], late)
    )
    return tuple(
        Facts(
            now=NOW + timedelta(seconds=late),
            obj=OBJ,
            rollout=rollout(**flags),
            release=release,
            stable=workload,
            canaries=canaries,
            lane=routing,
            candidate=_candidate(workload),
            overlay="o",
            free_name="web-new",
        )
        for release, workload, canaries, routing, flags, late in space
    )


@cache
def decided() -> tuple[tuple[Facts, tuple[Fired, ...]], ...]:
    """Where every combination comes to rest, and the rows taken on the way."""
    answers = (decide(facts) for facts in everything())
    return tuple((after, tuple(row for row, _ in taken)) for after, taken in answers)


def _candidate(workload: Stable | None) -> str:
    """The oldest version with pods that is not the template's, as `observe` finds it."""
    running = [item for item in workload.sets if item.wanted] if workload else []
    return next((item.hash for item in running if workload and item.revision != workload.revision), "")


def test_every_combination_comes_to_rest_without_turning_in_circles() -> None:
    for after, taken in decided():
        assert next_row(after) is None, after
        assert len(taken) < 20, [row.because for row in taken]


def test_every_row_is_reached() -> None:
    reached = {row.because for _, taken in decided() for row in taken}
    assert {row.because for row in (*LIFECYCLE, *STEPS)} - reached == set()


def test_every_stage_can_be_rested_in_and_every_stage_has_a_world() -> None:
    assert {after.release.stage for after, _ in decided()} == set(Stage)
    assert set(WORLD) == set(Stage)


def test_each_because_names_one_row() -> None:
    rows = [row.because for row in (*LIFECYCLE, *STEPS)]
    assert len(rows) == len(set(rows))


def test_nothing_that_does_not_move_is_silent() -> None:
    done = {Stage.INITIAL, Stage.HEALTHY, Stage.DISABLED}
    for after, _ in decided():
        finished = after.gone() and (after.restored() or after.release.stage not in CHANGEABLE)
        if after.release.stage not in done and not finished:
            wait = waits_for(after)
            assert wait is not None, (after.release, after.lane)
            assert wait.reason, after.release
            assert wait.text, after.release


def test_a_resting_stage_wants_neither_canary_nor_routes() -> None:
    for stage in (Stage.INITIAL, Stage.HEALTHY, Stage.DISABLED, Stage.RETIRING, Stage.CANCELLING, Stage.TERMINATING):
        assert (WORLD[stage].canary, WORLD[stage].lane) == (False, False)


def test_routes_are_never_wanted_without_a_ready_canary_and_never_by_a_stage_that_gives_back() -> None:
    for after, _ in decided():
        if lane_wanted(after):
            assert after.listed >= 1
            assert WORLD[after.release.stage].lane


def test_no_plan_unpauses_stable_for_a_version_that_was_not_approved() -> None:
    for after, _ in decided():
        for effect in plan(after, told_at(after)):
            patch = getattr(effect, "patch", {})
            if (
                "paused" in patch.get("spec", {})
                and patch["spec"]["paused"] is None
                and "template" not in patch["spec"]
            ):
                promoted = WORLD[after.release.stage].stable is Hold.PROMOTED
                assert promoted or after.holds_stable(), after.release


@pytest.mark.parametrize("offered", [False, True])
def test_reading_what_was_written_gives_the_same_release(offered: bool) -> None:
    for facts in everything():
        if facts.release.offered is not offered or facts.release.stage in (
            Stage.INITIAL,
            Stage.HEALTHY,
            Stage.DISABLED,
        ):
            continue
        release = facts.release
        written = OBJ | {"status": write(facts, waits_for(facts))}
        again = read(written, facts.rollout.plan_hash)
        assert (again.stage, again.step, again.state, again.offered) == (
            release.stage,
            release.step,
            release.state,
            release.offered,
        )
        assert (again.stable_revision, again.canary_revision, again.since, again.verdict) == (
            release.stable_revision,
            release.canary_revision,
            release.since,
            release.verdict,
        )
