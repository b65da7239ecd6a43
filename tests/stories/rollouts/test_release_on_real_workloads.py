"""The stand-ins do not flatter: with the embedded cluster's own workload controllers a release goes the same way."""

from __future__ import annotations

import pytest

from graylane.cluster.workloads.controllers import controllers as workload_controllers
from graylane.kit.loop import Controller
from graylane.model.kinds import NODE, TRAFFIC_ROUTING
from graylane.model.meta import key_of
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.release_stage import ReleaseStage
from graylane.testing.releases import routing


def real_stage(replicas: int, admission: bool) -> ReleaseStage:
    stage = ReleaseStage(replicas, ({"replicas": "50%", "pause": {}},), admission=admission)
    rollouts = stage.actors[0]
    kubelet = FakeKubelet(start_seconds=1, stop_seconds=1).controller()
    stage.actors = (rollouts, *workload_controllers(), kubelet, Controller("routing", TRAFFIC_ROUTING, routing))
    stage.world.put(NODE, NODE_OBJECT)
    return stage.begin().settle(seconds=60)


@pytest.mark.parametrize("replicas", [1, 4])
def test_released_aborted_released_and_aborted_in_promotion(replicas: int) -> None:
    stage = real_stage(replicas, admission=True)
    canary = f"{(replicas + 1) // 2}×v2"
    stage.push("v2").settle(seconds=60)
    assert stage.row() == f"Progressing 1 StepPaused | canary {canary} | lane on | stable v1 paused"
    stage.abort().settle(seconds=60)
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
    stage.push("v2").settle(seconds=60)
    stage.allowed.add("v2")
    stage.approve().settle(until=lambda world: "v1+v2" in stage.row(), seconds=60)
    stage.abort().settle(seconds=60)
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
    stage.push("v2").settle(seconds=60).approve().settle(seconds=60)
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert stage.harms == []


@pytest.mark.parametrize("replicas", [1, 4])
def test_an_update_that_was_not_admitted_is_caught(replicas: int) -> None:
    stage = real_stage(replicas, admission=False)
    stage.allowed.add("v2")
    deployment = next(actor for actor in stage.actors if actor.name == "deployment-controller")
    stage.push("v2")
    stage.world.apply(deployment.reconcile(stage.world.view(), key_of(stage.deployment()), stage.world.now()))
    stage.settle(seconds=60)
    assert stage.row().endswith("lane on | stable v1 paused")
    stage.abort().settle(seconds=60)
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
