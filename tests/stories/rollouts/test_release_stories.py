"""Releases told as tables: what happens ‖ what can be seen then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graylane.errors import Conflict
from graylane.model.kinds import DEPLOYMENT, POD, ROLLOUT, TRAFFIC_ROUTING, VIRTUAL_SERVICE
from graylane.model.meta import Key, Obj, dig, name_of
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.releases import BROKEN

Act = Callable[[ReleaseStage], object]


def tell(stage: ReleaseStage, story: str, acts: dict[str, Act]) -> None:
    """Perform the acts in the story's order; the whole table is compared, so that a failure prints the new one."""
    lines = [line for line in story.strip().splitlines() if "‖" in line][1:]
    width = max(len(line.split("‖")[0].rstrip()) for line in lines)
    actual, expected = [], []
    for line in lines:
        what, seen = (part.strip() for part in line.split("‖"))
        acts[what](stage)
        stage.settle()
        actual.append(f"{what:{width}} ‖ {stage.row()}")
        expected.append(f"{what:{width}} ‖ {seen}")
    assert "\n".join(actual) == "\n".join(expected)
    assert stage.harms == []
    writes = stage.world.writes
    stage.settle()
    assert stage.world.writes == writes, "one more look changes nothing"


def allow(version: str) -> Act:
    return lambda stage: stage.allowed.add(version)


def push(version: str) -> Act:
    return lambda stage: stage.push(version)


def approve(version: str) -> Act:
    def act(stage: ReleaseStage) -> None:
        stage.allowed.add(version)
        stage.approve()

    return act


def wait(seconds: float) -> Act:
    def act(stage: ReleaseStage) -> None:
        stage.world.clock.advance(seconds)

    return act


def test_a_release_is_approved_promoted_and_tidied() -> None:
    tell(
        ReleaseStage().begin(),
        """
        what happens ‖ what is seen
        image v2     ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        approve v2   ‖ Healthy 1 Completed | canary none | lane off | stable v2
        image v3     ‖ Progressing 1 StepPaused | canary 1×v3 | lane on | stable v2 paused
        """,
        {"image v2": push("v2"), "approve v2": approve("v2"), "image v3": push("v3")},
    )


def test_steps_grow_the_canary_and_a_duration_ends_by_itself() -> None:
    steps = ({"replicas": "25%", "pause": {}}, {"replicas": 3, "pause": {"duration": 10}}, {"replicas": "100%"})
    tell(
        ReleaseStage(4, steps).begin(),
        """
        what happens ‖ what is seen
        image v2     ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        approve      ‖ Progressing 2 StepPaused | canary 3×v2 | lane on | stable v1 paused
        9 s pass     ‖ Progressing 2 StepPaused | canary 3×v2 | lane on | stable v1 paused
        2 s pass     ‖ Healthy 3 Completed | canary none | lane off | stable v2
        """,
        {
            "image v2": push("v2"),
            "approve": approve("v2"),
            "9 s pass": wait(9),
            "2 s pass": wait(2),
        },
    )


def test_a_rollback_an_abort_and_a_newer_version() -> None:
    tell(
        ReleaseStage().begin(),
        """
        what happens ‖ what is seen
        image v2     ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        image v1     ‖ Healthy 1 Completed | canary none | lane off | stable v1
        image v3     ‖ Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused
        image v4     ‖ Progressing 1 StepPaused | canary 1×v4 | lane on | stable v1 paused
        abort        ‖ Healthy 1 Completed | canary none | lane off | stable v1
        """,
        {
            "image v2": push("v2"),
            "image v1": push("v1"),
            "image v3": push("v3"),
            "image v4": push("v4"),
            "abort": lambda stage: stage.abort(),
        },
    )


def test_pause_holds_a_release_but_not_its_rollback() -> None:
    tell(
        ReleaseStage().begin(),
        """
        what happens ‖ what is seen
        pause        ‖ Healthy 1 Completed | canary none | lane off | stable v1
        image v2     ‖ Progressing 1 StepUpgrade | canary none | lane off | stable v1 paused
        resume       ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        pause        ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        approve      ‖ Progressing 1 StepReady | canary 1×v2 | lane on | stable v1 paused
        resume       ‖ Healthy 1 Completed | canary none | lane off | stable v2
        pause        ‖ Healthy 1 Completed | canary none | lane off | stable v2
        image v3     ‖ Progressing 1 StepUpgrade | canary none | lane off | stable v2 paused
        back to v2   ‖ Healthy 1 Completed | canary none | lane off | stable v2
        """,
        {
            "pause": lambda stage: stage.edit({"strategy": {"paused": True}}),
            "resume": lambda stage: stage.edit({"strategy": {"paused": False}}),
            "image v2": push("v2"),
            "approve": approve("v2"),
            "image v3": push("v3"),
            "back to v2": push("v2"),
        },
    )


def test_deleted_or_disabled_mid_release_stable_keeps_its_version() -> None:
    tell(
        ReleaseStage().begin(),
        """
        what happens ‖ what is seen
        image v2     ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        disable      ‖ Disabled 1 StepPaused | canary none | lane off | stable v1 paused
        enable       ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        delete       ‖ gone | canary none | lane off | stable v1 paused
        """,
        {
            "image v2": push("v2"),
            "disable": lambda stage: stage.edit({"disabled": True}),
            "enable": lambda stage: stage.edit({"disabled": False}),
            "delete": lambda stage: stage.delete_rollout(),
        },
    )


def test_admission_was_down_and_the_controller_holds_the_deployment_itself() -> None:
    stage = ReleaseStage(4, admission=False).begin()
    stage.allowed.add("v2")  # its own rolling update may have begun before anybody noticed
    tell(
        stage,
        """
        what happens ‖ what is seen
        image v2     ‖ Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused
        abort        ‖ Healthy 1 Completed | canary none | lane off | stable v1
        """,
        {"image v2": push("v2"), "abort": lambda stage: stage.abort()},
    )


def test_caught_in_the_middle_of_its_own_update_stable_takes_its_new_pods_back() -> None:
    stage = ReleaseStage(4, admission=False).begin()
    stage.allowed.add("v2")
    deployment = next(actor for actor in stage.actors if actor.name == "deployment")
    stage.push("v2")
    stage.world.apply(deployment.reconcile(stage.world.view(), Key(NAMESPACE, "web"), stage.world.now()))
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_an_abort_in_the_middle_of_the_promotion_goes_back_to_stable() -> None:
    stage = ReleaseStage(4).begin().push("v2").settle()
    stage.allowed.add("v2")
    stage.approve().settle(until=lambda world: "v2" in stage.row().split("stable")[1])
    assert "v1+v2" in stage.row()
    stage.abort().settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
    assert stage.condition("Succeeded")["reason"] == "Aborted"
    assert stage.harms == []


def test_a_newer_version_in_the_middle_of_the_promotion_starts_over_from_the_old_stable() -> None:
    stage = ReleaseStage(4).begin().push("v2").settle()
    stage.allowed.add("v2")
    stage.approve().settle(until=lambda world: "v2" in stage.row().split("stable")[1])
    stage.push("v3").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    stage.push("v1").settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
    assert stage.harms == []


def test_a_newer_version_while_routes_are_given_back_waits_for_that_and_then_starts() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    stage.allowed.add("v2")
    stage.approve().settle(until=lambda world: _finalising(stage) == "FinalisingStepRouteTrafficToStable")
    stage.push("v3").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v2 paused"
    assert [event.reason for event in stage.world.events].count("Completed") == 1
    assert stage.harms == []


def test_a_canary_that_never_starts_says_which_pod_and_why_and_can_be_aborted() -> None:
    stage = ReleaseStage().begin().push(BROKEN).settle()
    assert "CrashLoopBackOff: it never starts" in stage.status("message")
    assert stage.condition("graylane.dev/Waiting")["reason"] == "CanaryNotReady"
    assert not stage.lane()
    stage.approve().settle()
    assert stage.status("canaryStatus", "currentStepState") == "StepUpgrade", "approved before it paused: ignored"
    assert "ApprovalIgnored" in [event.reason for event in stage.world.events]
    stage.abort().settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_a_broken_version_is_replaced_by_a_good_one() -> None:
    stage = ReleaseStage().begin().push(BROKEN).settle().push("v3").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"


def test_routes_wait_for_every_pod_of_the_step() -> None:
    stage = ReleaseStage(4, ({"replicas": 2, "pause": {}},)).begin().push("v2")
    half_ready = _stop_one_pod_from_getting_ready(stage)
    assert not stage.lane()
    stage.settle(seconds=3)
    assert "1 of 2 pods ready" in stage.status("message")
    half_ready(stage)
    stage.settle()
    assert stage.lane()


def test_a_missing_traffic_routing_is_named_and_taken_up_once_it_exists() -> None:
    stage = ReleaseStage().begin()
    stage.world.delete(TRAFFIC_ROUTING, NAMESPACE, "web")
    stage.settle().push("v2").settle()
    wanted = "TrafficRouting shop/web not found; create it or correct the annotation rollouts.kruise.io/trafficrouting"
    assert wanted in stage.status("message")
    assert wanted in [event.message for event in stage.world.events if event.type == "Warning"]
    assert stage.status("canaryStatus", "currentStepState") == "StepTrafficRouting"
    stage.add_routing(route=False)
    assert stage.settle().row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_what_the_traffic_routing_lacks_is_repeated_in_the_rollout() -> None:
    stage = ReleaseStage().begin().push("v2")
    stage.world.delete(VIRTUAL_SERVICE, NAMESPACE, "vs-web")
    stage.settle()
    assert "TrafficRouting shop/web: VirtualService vs-web not found" in stage.status("message")
    stage.add_routing()
    assert stage.settle().row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_a_deleted_canary_is_replaced_before_it_goes() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    before = name_of(stage.canaries()[0])
    stage.world.delete(DEPLOYMENT, NAMESPACE, before)
    stage.settle()
    assert [name_of(item) == before for item in stage.canaries()] == [False]
    assert stage.lane()
    assert stage.harms == []


def test_a_changed_overlay_reaches_the_canary_pods() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    patch = {"labels": {"lane": "blue", "extra": "yes"}}
    stage.edit({"strategy": {"canary": {"patchPodTemplateMetadata": patch}}}).settle()
    labels = dig(stage.canaries()[0], "spec", "template", "metadata", "labels")
    assert labels == {"app": "web", "lane": "blue", "extra": "yes"}
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_row_19_improve_another_traffic_routing_mid_release_takes_over_and_the_old_one_is_let_go() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    stage.world.put(VIRTUAL_SERVICE, {"metadata": {"name": "vs-new", "namespace": NAMESPACE}, "spec": {"lane": False}})
    new = {"metadata": {"name": "new", "namespace": NAMESPACE}, "spec": {"objectRef": [{"service": "web"}]}}
    stage.world.put(TRAFFIC_ROUTING, new)
    annotations = {"metadata": {"annotations": {"rollouts.kruise.io/trafficrouting": "new"}}}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", annotations)
    stage.settle()
    assert (_finalizers(stage, "web"), _finalizers(stage, "new")) == (0, 1)
    assert not stage.lane()


def test_a_rollout_removed_by_force_leaves_no_finalizer_behind() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"metadata": {"finalizers": []}})
    stage.world.delete(ROLLOUT, NAMESPACE, "web")
    for _ in range(4):  # the key of an object that is gone is looked at when what it left changes
        stage.world.apply(stage.actors[0].reconcile(stage.world.view(), Key(NAMESPACE, "web"), stage.world.now()))
        stage.settle()
    assert (stage.canaries(), _finalizers(stage, "web"), stage.lane()) == ([], 0, False)


def test_an_abort_of_another_revision_is_refused_aloud() -> None:
    stage = ReleaseStage().begin().push("v2").settle().abort("somethingelse").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert [event.reason for event in stage.world.events][-1] == "AbortIgnored"
    assert dig(stage.rollout(), "metadata", "annotations", "graylane.dev/abort") is None


def test_a_spec_that_is_refused_touches_nothing_and_can_be_deleted() -> None:
    stage = ReleaseStage().begin()
    stage.edit({"strategy": {"canary": {"trafficRoutings": [{"service": "web"}]}}}).push("v2").settle()
    assert "spec.strategy.canary.trafficRoutings: Forbidden" in stage.status("message")
    stage.delete_rollout().settle()
    assert stage.world.get(ROLLOUT, NAMESPACE, "web") is None


def test_an_approval_that_lands_between_reading_and_writing_is_kept() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    look = stage.actors[0]
    stage.edit({"strategy": {"canary": {"failureThreshold": 1}}})  # something to write a status about
    outcome = look.reconcile(stage.world.view(), Key(NAMESPACE, "web"), stage.world.now())
    stage.allowed.add("v2")
    stage.approve()
    with pytest.raises(Conflict):
        stage.world.apply(outcome)
    assert stage.settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"


def _finalising(stage: ReleaseStage) -> str:
    return str(stage.status("canaryStatus", "finalisingStep"))


def _finalizers(stage: ReleaseStage, name: str) -> int:
    obj: Obj = stage.world.get(TRAFFIC_ROUTING, NAMESPACE, name) or {}
    return sum("progressing" in item for item in dig(obj, "metadata", "finalizers", default=[]))


def _stop_one_pod_from_getting_ready(stage: ReleaseStage) -> Act:
    """Marks the first canary pod unready before the kubelet sees it; the answer heals it."""
    stuck: list[str] = []

    def say(ready: str) -> None:
        status = {"conditions": [{"type": "Ready", "status": ready}]}
        stage.world.patch(POD, NAMESPACE, stuck[0], {"status": status}, "status")

    def first_canary_pod(_: object) -> bool:
        canaries = tuple(f"{name_of(item)}-" for item in stage.canaries())
        stuck.extend(name_of(pod) for pod in stage.world.list(POD, NAMESPACE) if name_of(pod).startswith(canaries))
        return bool(stuck)

    stage.settle(until=first_canary_pod)
    say("False")
    stage.settle()
    return lambda _: say("True")
