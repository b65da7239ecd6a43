"""`graylane status --until`: when it ends, and with what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graylane.chain.releases import Ending, Release
from graylane.chain.view import ChainView
from graylane.cli.exits import CheckFailed, Exit, ReleaseEnded, code_of
from graylane.cli.goals import Goal, missing, parse
from graylane.errors import UserError
from graylane.testing.joint_stage import JointStage

STEPS = tuple({"replicas": number, "pause": {}} for number in (1, 2, 3))


def viewed(stage: JointStage) -> ChainView:
    from graylane.chain.view import chain_view

    return chain_view(stage.world.view(), "shop")


def staged() -> JointStage:
    return JointStage(replicas=3, steps=STEPS).begin()


@pytest.mark.parametrize(
    ("until", "moments"),
    [
        ("paused", [False, True, True, True, False]),
        ("step=1", [True, True, True, True, True]),
        ("step=2", [True, False, True, True, True]),
        ("step=3", [True, False, False, True, True]),
        ("done", [True, False, False, False, True]),
    ],
)
def test_each_goal_is_reached_at_its_moment(until: str, moments: list[bool]) -> None:
    """At rest, paused in each of three steps, at rest again."""
    stage, goal = staged(), parse(until)
    found = [goal.reached(viewed(stage))]
    stage.push("v2").settle()
    for _ in range(4):
        found.append(goal.reached(viewed(stage)))
        if stage.state() == "Progressing StepPaused":
            stage.approve().settle(seconds=30)
    assert found == moments


def test_a_release_that_was_taken_back_fails_what_waits_for_its_end() -> None:
    stage = staged().push("v2").settle()
    stage.abort().settle(seconds=30)
    for until in ("done", "step=2"):
        with pytest.raises(CheckFailed, match="rollout web: last release did not succeed"):
            parse(until).reached(viewed(stage))


def test_what_was_over_before_the_wait_began_is_told_to_be_so() -> None:
    stage = staged().push("v2").settle()
    stage.abort().settle(seconds=30)
    before = viewed(stage)
    with pytest.raises(ReleaseEnded, match="web is at rest, nothing is being released; its last release did") as found:
        parse("done").reached(before, before)
    assert found.value.code == Exit.RELEASE_ABORTED
    assert missing(before).startswith("web is at rest, and no release has begun; its last release did not succeed")
    stage.push("v3").settle()
    assert not parse("done").reached(viewed(stage), before)
    stage.abort().settle(seconds=30)
    with pytest.raises(ReleaseEnded, match=r"^rollout web: last release did not succeed"):
        parse("done").reached(viewed(stage), before)


def test_a_wait_for_a_pause_ends_with_the_release_that_will_not_come_to_it() -> None:
    stage = staged().push("v2").settle()
    stage.abort().settle(seconds=30)
    before = viewed(stage)
    assert not parse("paused").reached(before, before)
    stage.push("v3").settle()
    assert parse("paused").reached(viewed(stage), before)
    stage.abort().settle(seconds=30)
    with pytest.raises(ReleaseEnded, match=r"^rollout web: last release did not succeed") as found:
        parse("paused").reached(viewed(stage), before)
    assert found.value.code == Exit.RELEASE_ABORTED
    stage.push("v4").settle()
    for _ in range(3):
        stage.approve().settle(seconds=30)
    assert not parse("paused").reached(viewed(stage), before)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (lambda stage: stage.abort(), Exit.RELEASE_ABORTED),
        (lambda stage: stage.push("v1"), Exit.RELEASE_ROLLED_BACK),
        (lambda stage: stage.edit({"disabled": True}), Exit.RELEASE_DROPPED),
    ],
)
def test_each_kind_of_failure_has_an_exit_code_of_its_own(ends: Callable[[JointStage], JointStage], code: Exit) -> None:
    stage = staged().push("v2").settle()
    ends(stage).settle(seconds=30)
    with pytest.raises(ReleaseEnded) as found:
        parse("done").reached(viewed(stage))
    assert found.value.code == code
    assert code_of(found.value) == code


def test_of_several_failures_the_gravest_gives_the_code() -> None:
    def over(name: str, ended: Ending) -> Release:
        outcome = f"last release did not succeed: {ended}"
        return Release(name, "shop", "", "", "Healthy", "-", "-", "", "", None, (), outcome, ended=ended)

    view = ChainView("shop", (), (), (over("a", Ending.ROLLED_BACK), over("b", Ending.FAILED)), ())
    with pytest.raises(ReleaseEnded, match=r"rollout a: .*RolledBack; rollout b: .*ProgressDeadline") as found:
        parse("done").reached(view)
    assert found.value.code == Exit.RELEASE_FAILED


def test_nothing_is_reached_where_there_is_no_release() -> None:
    assert not Goal().reached(ChainView("shop", (), (), (), ()))


@pytest.mark.parametrize("text", ["over", "step=0", "step=", "step=two"])
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(UserError, match="not one of paused, done, step=N"):
        parse(text)
