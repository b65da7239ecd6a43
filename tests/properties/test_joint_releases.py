"""The Rollout and TrafficRouting controllers together: killed, refused or late to know, they end where a calm run ends.

More seeds than `make test` takes: GRAYLANE_FAULT_SEEDS=100 (each is one bad day for each flow).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import cache

import pytest

from graylane.testing.crashes import Flow, deaths, points_of, settle
from graylane.testing.faults import Trouble
from graylane.testing.joint_stage import JointStage
from tests.properties.release_flows import FLOWS, unadmitted

Record = Callable[[str, object], None]
SEEDS = int(os.environ.get("GRAYLANE_FAULT_SEEDS", "2"))
EVERY_FLOW = pytest.mark.parametrize("flow", FLOWS, ids=str)


@cache
def calm(flow: Flow) -> JointStage:
    """The end of the flow with nothing going wrong; to be compared with and forked, not to be changed."""
    return flow.play()


@EVERY_FLOW
def test_killed_before_or_after_any_write_a_release_ends_as_if_nothing_had_happened(
    flow: Flow, record_property: Record
) -> None:
    end, points = points_of(flow)
    assert flow.harms(end) == []
    for where, stage, same in deaths(points):
        assert flow.harms(stage) == [], where
        assert same, (where, stage.rest())
    assert points.count > 40
    record_property("proof: crash points, each to the same end", points.count)
    record_property("proof: different worlds after a crash", len(points.worlds))


ADMITTED = [flow for flow in FLOWS if flow.stage is not unadmitted]  # else luck decides how far stable rolls


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("flow", ADMITTED, ids=str)
def test_whatever_the_api_refuses_loses_or_tells_late_the_end_is_the_same(
    flow: Flow, seed: int, record_property: Record
) -> None:
    chance = random.Random(f"{flow.name} {seed}")
    stage = flow.stage().begin()
    for act in flow.acts:
        act(stage)
        Trouble(stage, chance).happens(150)
        settle(stage)
    assert flow.harms(stage) == []
    assert stage.rest() == calm(flow).rest()
    record_property("proof: looks, deliveries and mishaps with a faulty API", 150 * len(flow.acts))


@EVERY_FLOW
def test_once_settled_nothing_is_written(flow: Flow) -> None:
    stage = calm(flow).fork()
    settle(stage)
    assert stage.world.writes == 0


def test_a_stage_notices_a_dyed_request_that_meets_nobody() -> None:
    """The judge itself can fail: without the canary's pods the lane leads nowhere."""
    stage = JointStage().begin().push("v2").settle()
    assert (stage.state(), stage.harms, stage.diverted()) == ("Progressing StepPaused", [], True)
    for pod in [pod for item in stage.dyed().destinations for pod in item.pods]:
        stage.lose(pod)
    stage.settle()
    assert "a dyed request gets 503" in stage.harms[0]
