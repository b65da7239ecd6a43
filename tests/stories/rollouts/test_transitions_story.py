"""What people and machines do to a release while it goes on, told one by one."""

from __future__ import annotations

import random

import pytest

from graylane.errors import Forbidden
from graylane.kit.effects import Create, Effect
from graylane.model.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
)
from graylane.model.meta import Key, dig, name_of
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.releases import BROKEN

HALF = ({"replicas": "50%", "pause": {}},)
THREE = ({"replicas": 1, "pause": {}}, {"replicas": 2, "pause": {}}, {"replicas": 3, "pause": {}})
PAUSED = "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def paused(replicas: int = 1, steps: tuple[dict[str, object], ...] = ({"replicas": 1, "pause": {}},)) -> ReleaseStage:
    return ReleaseStage(replicas, steps).begin().push("v2").settle()


def scaled(stage: ReleaseStage, replicas: int) -> ReleaseStage:
    """As a person, or a HorizontalPodAutoscaler, does it."""
    return stage.edit_deployment({"spec": {"replicas": replicas}}).settle()


# -- paused by spec.strategy.paused


def test_a_pause_lets_pods_come_up_and_moves_no_route() -> None:
    """As with OpenKruise, whose manager finishes the batch that is on its way and looks at nothing else."""
    stage = ReleaseStage().begin().push(BROKEN).settle().edit({"strategy": {"paused": True}}).settle()
    for pod in stage.world.list(POD, NAMESPACE):
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        stage.world.patch(POD, NAMESPACE, name_of(pod), {"status": status}, "status")
    assert stage.settle().row() == f"Progressing 1 StepUpgrade | canary 1×{BROKEN} | lane off | stable v1 paused"
    stage.edit({"strategy": {"paused": False}}).settle()
    assert stage.row() == f"Progressing 1 StepPaused | canary 1×{BROKEN} | lane on | stable v1 paused"


def test_a_newer_version_waits_for_the_end_of_a_pause_behind_the_one_that_serves() -> None:
    stage = paused().edit({"strategy": {"paused": True}}).settle().push("v3").settle()
    assert stage.row() == "Progressing 1 StepUpgrade | canary 1×v2 | lane on | stable v1 paused"
    stage.edit({"strategy": {"paused": False}}).settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    assert stage.harms == []


# -- scale


def test_an_autoscaler_moves_the_workload_and_a_share_follows_upwards_only() -> None:
    stage = paused(2, HALF)
    assert scaled(stage, 6).row() == "Progressing 1 StepPaused | canary 3×v2 | lane on | stable v1 paused"
    assert len(list(stage._stable_pods())) == 6
    assert scaled(stage, 2).row() == "Progressing 1 StepPaused | canary 3×v2 | lane on | stable v1 paused"
    stage.allowed.add("v2")
    assert stage.approve().settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert stage.harms == []


def test_a_workload_scaled_to_nothing_keeps_its_release_and_can_be_finished() -> None:
    stage = scaled(paused(2, HALF), 0)
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable nothing paused"
    stage.allowed.add("v2")
    stage.approve().settle()
    assert scaled(stage, 2).row() == "Healthy 1 Completed | canary none | lane off | stable v2"


def test_a_canary_scaled_down_by_hand_comes_back() -> None:
    stage = paused()
    stage.world.patch(DEPLOYMENT, NAMESPACE, name_of(stage.canaries()[0]), {"spec": {"replicas": 0}})
    stage.settle()
    assert stage.row() == PAUSED


# -- approval


def test_an_approval_meant_for_one_version_never_reaches_the_next() -> None:
    stage = paused()
    stage.push("v3")
    stage.approve()  # the approver saw v2; nobody has looked at v3 yet
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    assert stage.harms == []


def test_an_approval_given_twice_does_not_approve_the_next_step() -> None:
    stage = paused(3, THREE)
    look = stage.actors[0]
    stage.approve()
    stage.world.apply(look.reconcile(stage.world.view(), Key(NAMESPACE, "web"), stage.world.now()))
    assert stage.status("canaryStatus", "currentStepIndex") == 2
    stage.approve().settle()
    assert stage.row() == "Progressing 2 StepPaused | canary 2×v2 | lane on | stable v1 paused"
    assert "ApprovalIgnored" in [event.reason for event in stage.world.events]


def test_an_approval_and_an_edited_plan_ask_again() -> None:
    stage = paused(3, THREE)
    stage.approve()
    stage.edit({"strategy": {"canary": {"steps": [{"replicas": 2, "pause": {}}, {"replicas": 3, "pause": {}}]}}})
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 2×v2 | lane on | stable v1 paused"


# -- the plan


@pytest.mark.parametrize(
    ("steps", "row"),
    [
        ([1], "Progressing 1 StepPaused | canary 3×v2"),
        ([1, 3], "Progressing 2 StepPaused | canary 3×v2"),
        ([3, "100%"], "Progressing 1 StepPaused | canary 3×v2"),
        (["25%", "75%", 4, "100%"], "Progressing 2 StepPaused | canary 3×v2"),
    ],
    ids=str,
)
def test_a_plan_edited_at_its_last_step_goes_on_where_the_canary_is(steps: list[object], row: str) -> None:
    stage = paused(4, THREE)
    stage.approve().settle().approve().settle()
    assert stage.row().startswith("Progressing 3 StepPaused | canary 3×v2")
    stage.edit({"strategy": {"canary": {"steps": [{"replicas": count, "pause": {}} for count in steps]}}}).settle()
    assert stage.row().startswith(row)
    assert stage.harms == []


# -- what is deleted, and created again


def test_a_rollout_deleted_and_created_again_takes_its_release_up() -> None:
    stage = paused().delete_rollout().settle()
    assert stage.row() == "gone | canary none | lane off | stable v1 paused"
    stage.world.put(ROLLOUT, stage.manifest())
    assert stage.settle().row() == PAUSED
    assert stage.abort().settle().row() == "Healthy 1 Completed | canary none | lane off | stable v1"


@pytest.mark.parametrize("kind", [SERVICE, VIRTUAL_SERVICE, TRAFFIC_ROUTING], ids=str)
def test_what_routes_stand_on_may_go_and_come_back(kind: object) -> None:
    stage = paused()
    name = {SERVICE: "web", VIRTUAL_SERVICE: "vs-web", TRAFFIC_ROUTING: "web"}[kind]  # type: ignore[index]
    obj = stage.world.get(kind, NAMESPACE, name) or {}  # type: ignore[arg-type]
    stage.world.delete(kind, NAMESPACE, name)  # type: ignore[arg-type]
    stage.settle()
    said = {SERVICE: "lists 0 of 1 canary pods", VIRTUAL_SERVICE: "vs-web not found", TRAFFIC_ROUTING: "web not found"}
    assert said[kind] in stage.status("message")  # type: ignore[index]
    spec = obj["spec"] | ({"lane": False} if kind is VIRTUAL_SERVICE else {})
    stage.world.put(kind, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})  # type: ignore[arg-type]
    assert stage.settle().row() == PAUSED
    stage.allowed.add("v2")
    assert stage.approve().settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"


def test_a_workload_deleted_and_created_with_the_new_version_is_simply_that() -> None:
    stage = paused()
    spec = stage.deployment()["spec"]
    stage.world.delete(DEPLOYMENT, NAMESPACE, "web")
    stage.settle()
    stage.allowed.add("v2")
    fresh = {name: value for name, value in spec.items() if name != "paused"}
    stage.world.put(DEPLOYMENT, {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": fresh})
    assert stage.settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"


@pytest.mark.parametrize("seed", range(6))
def test_a_namespace_can_be_deleted_in_the_middle_in_whatever_order_its_objects_go(seed: int) -> None:
    stage = paused(2)
    kinds = [DEPLOYMENT, REPLICA_SET, POD, SERVICE, ENDPOINT_SLICE, ROLLOUT, TRAFFIC_ROUTING, VIRTUAL_SERVICE]
    chance = random.Random(seed)

    def terminating(effect: Effect) -> None:
        if isinstance(effect, Create):
            raise Forbidden("unable to create new content in namespace shop because it is being terminated")

    stage.world.before_write = terminating
    for _ in range(4):
        for kind in chance.sample(kinds, len(kinds)):
            for obj in stage.world.list(kind, NAMESPACE):
                if not dig(obj, "metadata", "deletionTimestamp"):
                    stage.world.delete(kind, NAMESPACE, name_of(obj))
        for _ in range(30):  # refused writes are tried again for ever, so this world never settles
            actor = chance.choice(stage.actors)
            for obj in stage.world.list(actor.primary):
                _look(stage, actor, Key(NAMESPACE, name_of(obj)))
            stage.world.collect_garbage()
    assert {
        kind.kind: [name_of(obj) for obj in stage.world.list(kind)] for kind in kinds if stage.world.list(kind)
    } == {}


def _look(stage: ReleaseStage, actor: object, key: Key) -> None:
    try:
        stage.world.apply(actor.reconcile(stage.world.view(), key, stage.world.now()))  # type: ignore[attr-defined]
    except Forbidden:
        return
