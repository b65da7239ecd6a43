"""The Rollout and TrafficRouting controllers together: killed, refused or late to know, they end where a calm run ends.

More seeds than `make test` takes: GRAYLANE_FAULT_SEEDS=100 (each is one bad day for each flow).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import cache

import pytest

from graylane.model.kinds import TRAFFIC_ROUTING, Kind
from graylane.model.meta import Obj, annotations_of, finalizers_of, is_deleting, name_of, namespace_of
from graylane.model.patches import merge_patch
from graylane.testing.crashes import Flow, deaths, go_on, points_of, settle
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


UNTOUCHED = [flow for flow in ADMITTED if flow.stage().routed and not flow.hurts and "edited" not in flow.name]
FEW = ("finished", "rolled back", "deleted", "shared, one aborted", "finished by gateway")
TRIED = UNTOUCHED if SEEDS > 2 else [flow for flow in UNTOUCHED if flow.name in FEW]


@pytest.mark.parametrize("flow", TRIED, ids=str)
def test_manifests_applied_at_any_moment_take_no_route_away_and_bring_none_back(
    flow: Flow, record_property: Record
) -> None:
    """Between any two writes of a release, by a tool whose repository has nothing new: it ends as without one."""
    end, points = points_of(flow)
    for number, (where, stage, left) in enumerate(points.worlds):
        before = routes_of(stage)
        apply_everything(stage, in_place=number % 2 == 0)
        assert routes_of(stage) == before, where
        settle(stage)
        go_on(stage, left)
        assert (stage.harms, tidy(stage.rest())) == ([], tidy(end.rest())), where
    record_property("proof: moments at which manifests were applied, to the same end", len(points.worlds))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("flow", TRIED, ids=str)
def test_a_tool_that_keeps_applying_on_a_bad_day_changes_nothing(
    flow: Flow, seed: int, record_property: Record
) -> None:
    chance = random.Random(f"tool {flow.name} {seed}")
    stage = flow.stage().begin()
    for act in flow.acts:
        act(stage)
        tool = Trouble(stage, chance, meanwhile=lambda: apply_everything(stage, in_place=chance.random() < 0.5))
        tool.happens(150)
        settle(stage)
    assert stage.harms == []
    assert tidy(stage.rest()) == tidy(calm(flow).rest())
    record_property("proof: looks, deliveries, mishaps and manifests applied among them", 150 * len(flow.acts))


def apply_everything(stage: JointStage, *, in_place: bool) -> None:
    """As server-side apply does, or annotations and all, as `kubectl replace` does."""
    for kind, obj in manifests_of(stage):
        stage.change(kind, name_of(obj), obj) if in_place else stage.write(kind, obj)


def routes_of(stage: JointStage) -> list[object]:
    found = [stage.find(kind, name_of(obj)) for kind, obj in manifests_of(stage)]
    return [(obj.get("spec"), annotations_of(obj), sorted(finalizers_of(obj))) for obj in found]


def manifests_of(stage: JointStage) -> list[tuple[Kind, Obj]]:
    """The routes', and the TrafficRouting's unless somebody has just deleted it."""
    lane = stage.find(TRAFFIC_ROUTING, "lane")
    more = [(TRAFFIC_ROUTING, stage.routing_manifest())] if lane and not is_deleting(lane) else []
    return [(kind, obj) for kind, obj in (*stage.route_manifests(), *more) if namespace_of(obj)]


def tidy(rest: Obj) -> Obj:
    """Without annotations that are there and empty, which no API server keeps."""
    return {
        key: merge_patch(obj, {"metadata": {"annotations": annotations_of(obj) or None}}) for key, obj in rest.items()
    }


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
