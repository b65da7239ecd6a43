"""A release without progress fails in the open, goes on when it moves again, and is taken back if that was asked."""

from __future__ import annotations

import pytest

from graylane.model.kinds import DEPLOYMENT, POD, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, dig, is_true, name_of
from graylane.rollouts.controller import controllers
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.releases import BROKEN, stand_ins

FAILED = "ProgressDeadlineExceeded"


def broken(**annotations: str) -> ReleaseStage:
    return annotated(ReleaseStage().begin(), **annotations).push(BROKEN).settle()


def annotated(stage: ReleaseStage, **annotations: str) -> ReleaseStage:
    names = {"seconds": "graylane.dev/progress-deadline-seconds", "reaction": "graylane.dev/on-failure"}
    found = {names[key]: text for key, text in annotations.items()}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"metadata": {"annotations": found}})
    return stage.settle()


def reason(stage: ReleaseStage) -> str:
    return str(stage.condition("Progressing")["reason"])


def test_row_42_improve_a_crash_loop_fails_after_the_workloads_own_deadline() -> None:
    stage = broken().settle(seconds=599)
    assert reason(stage) == "InRolling"
    stage.world.clock.advance(600)
    stage.settle()
    assert (reason(stage), stage.condition("Progressing")["status"]) == (FAILED, "False")
    assert stage.row() == f"Progressing 1 StepUpgrade | canary 1×{BROKEN} | lane off | stable v1 paused"
    said = stage.status("message")
    assert said.startswith("Rollout failed in step(1/1), no progress in 600 s: canary Deployment shop/web-")
    assert "CrashLoopBackOff: it never starts; mend it, or graylane abort web -n shop" in said
    assert [event.type for event in stage.world.events if event.reason == FAILED] == ["Warning"]
    stage.abort().settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_the_rollouts_own_deadline_wakes_the_controller_by_itself() -> None:
    stage = broken(seconds="30").settle(seconds=31)
    assert reason(stage) == FAILED


def test_a_failed_release_is_taken_back_by_itself_when_that_was_asked() -> None:
    stage = broken(seconds="30", reaction="abort").settle(seconds=31)
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
    assert stage.condition("Succeeded")["reason"] == FAILED
    assert "made no progress within 30 s" in stage.status("message")
    assert stage.harms == []


@pytest.mark.parametrize("way", ["pods", "newer", "template", "deadline", "delete"])
def test_a_failed_release_goes_on_or_ends_as_any_other(way: str) -> None:
    stage = broken(seconds="30").settle(seconds=31)
    moved_on = "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    match way:
        case "pods":
            heal(stage)
            assert stage.settle().row() == moved_on.replace("v3", BROKEN)
        case "newer":
            assert stage.push("v3").settle().row() == moved_on
        case "template":
            assert stage.push("v1").settle().row() == "Healthy 1 Completed | canary none | lane off | stable v1"
        case "deadline":
            assert reason(annotated(stage, seconds="90")) == "InRolling"
            assert reason(stage.settle(seconds=91)) == FAILED
        case _:
            assert stage.delete_rollout().settle().row() == "gone | canary none | lane off | stable v1 paused"
    assert stage.harms == []


def test_every_pod_that_gets_ready_begins_the_time_anew() -> None:
    stage = annotated(ReleaseStage(3, ({"replicas": 3, "pause": {}},)).begin(), seconds="30").push(BROKEN).settle()
    for _ in range(2):
        stage.world.clock.advance(20)
        heal(stage, only=1)
        stage.settle()
    assert reason(stage) == "InRolling", "40 s, but never 30 s without progress"
    assert reason(stage.settle(seconds=31)) == FAILED


def test_time_in_which_nobody_looked_or_it_was_paused_does_not_count() -> None:
    stage = broken(seconds="30", reaction="abort")
    stage.world.clock.advance(3600)
    stage.actors = (*controllers(), *stand_ins())  # the controller, or the whole cluster, was down for an hour
    assert reason(stage.settle()) == "InRolling"
    stage.edit({"strategy": {"paused": True}}).settle()
    stage.world.clock.advance(3600)
    assert reason(stage.edit({"strategy": {"paused": False}}).settle()) == "InRolling"
    assert stage.settle(seconds=31).row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_routes_that_are_never_confirmed_fail_too() -> None:
    stage = annotated(ReleaseStage().begin(), seconds="30")
    stage.world.delete(TRAFFIC_ROUTING, NAMESPACE, "web")
    stage.settle().push("v2").settle(seconds=31)
    assert reason(stage) == FAILED
    assert "TrafficRouting shop/web not found" in stage.status("message")
    stage.add_routing(route=False)
    assert stage.settle().row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_a_person_may_think_as_long_as_they_like() -> None:
    stage = annotated(ReleaseStage().begin(), seconds="30", reaction="abort").push("v2").settle(seconds=3600)
    stage.world.clock.advance(3600)
    assert stage.settle().row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_a_promotion_past_the_deployments_own_deadline_is_said_or_taken_back() -> None:
    for reaction, row in (("hold", "Finalising"), ("abort", "Completed")):
        stage = annotated(ReleaseStage(2).begin(), reaction=reaction).push("v2").settle()
        stage.allowed.add("v2")
        stage.approve().settle(until=lambda world, stage=stage: "v1+v2" in stage.row())
        entry = {"type": "Progressing", "status": "False", "reason": FAILED}
        generation = dig(stage.deployment(), "metadata", "generation")
        status = {"conditions": [entry], "observedGeneration": generation}
        stage.world.patch(DEPLOYMENT, NAMESPACE, "web", {"status": status}, "status")
        stage.settle(until=lambda world, stage=stage: "deadline has passed" in stage.status("message"))
        if reaction == "abort":
            stage.settle()
            assert stage.condition("Succeeded")["reason"] == FAILED
        assert stage.condition("Progressing")["reason"] == row


def heal(stage: ReleaseStage, only: int = 99) -> None:
    """Somebody mends what kept pods from starting."""
    unready: list[Obj] = [pod for pod in stage.world.list(POD, NAMESPACE) if not is_true(pod, "Ready")]
    for pod in unready[:only]:
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        stage.world.patch(POD, NAMESPACE, name_of(pod), {"status": status}, "status")
