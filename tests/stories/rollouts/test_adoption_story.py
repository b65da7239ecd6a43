"""A release that OpenKruise began is finished by us, from wherever it stood, and nothing of OpenKruise's is left."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, ROLLOUT, SERVICE, TRAFFIC_ROUTING, VIRTUAL_SERVICE
from graylane.model.meta import Obj, annotations_of, dig, finalizers_of, name_of, owner_refs
from graylane.model.trafficrouting import ADDED
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from tests.stories.rollouts.routed import RoutedStage, virtual_service

CONTROL_INFO = "batchrelease.rollouts.kruise.io/control-info"
THEIR_FINALIZER = "rollouts.kruise.io/batch-release-finalizer"
THEIR_HASH = "v" * 64
THEIR_REVISION = "6d9b7f8c4x"
TWO: tuple[Obj, ...] = ({"replicas": 1, "pause": {}}, {"replicas": 2, "pause": {}})


def openkruise(state: str = "StepPaused", reason: str = "InRolling", **canary: Any) -> ReleaseStage:
    """What OpenKruise 0.5 leaves when it is scaled to nothing in the first of two steps; we have not looked yet."""
    stage = ReleaseStage(2, TWO).begin().push("v2").settle()
    stage.restart()
    owner = {"apiVersion": "rollouts.kruise.io/v1alpha1", "kind": "Rollout", "name": "web", "controller": True}
    owner["uid"] = stage.rollout()["metadata"]["uid"]
    theirs = {"finalizers": [THEIR_FINALIZER], "ownerReferences": [owner]}
    stage.world.patch(BATCH_RELEASE, NAMESPACE, "web", {"metadata": theirs, "spec": {"releasePlan": {"batches": []}}})
    _make_theirs(stage)
    conditions = [{"type": "Progressing", "status": "True", "reason": reason, "message": "Rollout is in Progressing"}]
    theirs = {"rolloutHash": THEIR_HASH, "canaryRevision": THEIR_REVISION, "currentStepState": state} | canary
    status = {"conditions": conditions, "canaryStatus": theirs | {"nextStepIndex": None}}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"status": status}, "status")
    return stage


def _make_theirs(stage: ReleaseStage) -> None:
    notes = {"graylane.dev/revision": None, "graylane.dev/overlay": None, CONTROL_INFO: "{}"}
    change = {"metadata": {"annotations": notes}}
    stage.world.patch(DEPLOYMENT, NAMESPACE, name_of(stage.canaries()[0]), change)
    stage.world.patch(DEPLOYMENT, NAMESPACE, "web", {"metadata": {"annotations": {CONTROL_INFO: "{}"}}})
    hashed = {"metadata": {"annotations": {"rollouts.kruise.io/hash": THEIR_HASH}}}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", hashed)


def is_clean(stage: ReleaseStage) -> None:
    assert stage.world.get(BATCH_RELEASE, NAMESPACE, "web") is None
    assert stage.canaries() == []
    assert CONTROL_INFO not in annotations_of(stage.deployment())
    assert stage.harms == []


def test_a_paused_release_stays_paused_with_the_same_pods_and_goes_on_when_approved() -> None:
    stage = openkruise()
    before = name_of(stage.canaries()[0])
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    canary = stage.canaries()[0]
    assert name_of(canary) == before
    assert [(ref["kind"], ref["name"]) for ref in owner_refs(canary)] == [("BatchRelease", "web")]
    assert CONTROL_INFO not in annotations_of(canary)
    batch = stage.world.get(BATCH_RELEASE, NAMESPACE, "web") or {}
    assert THEIR_FINALIZER not in finalizers_of(batch)
    assert len(batch["spec"]["releasePlan"]["batches"]) == 2
    stage.approve().settle()
    assert stage.row() == "Progressing 2 StepPaused | canary 2×v2 | lane on | stable v1 paused"
    stage.allowed.add("v2")
    stage.approve().settle()
    assert stage.row() == "Healthy 2 Completed | canary none | lane off | stable v2"
    is_clean(stage)


@pytest.mark.parametrize("way", ["template", "abort", "delete", "disable"])
def test_it_can_be_taken_back(way: str) -> None:
    stage = openkruise()
    match way:
        case "template":
            stage.push("v1")
        case "abort":
            stage.settle().abort()
        case "delete":
            stage.delete_rollout()
        case _:
            stage.edit({"disabled": True})
    stage.settle()
    assert stage.row().endswith("canary none | lane off | stable v1" + (" paused" if way[0] == "d" else ""))
    is_clean(stage)


def test_an_approval_given_to_openkruise_counts() -> None:
    stage = openkruise("StepReady").settle()
    assert stage.row() == "Progressing 2 StepPaused | canary 2×v2 | lane on | stable v1 paused"


@pytest.mark.parametrize("state", ["BeforeStepUpgrade", "StepUpgrade", "StepTrafficRouting", "StepMetricsAnalysis"])
def test_a_step_under_way_goes_on_and_its_past_is_not_held_against_it(state: str) -> None:
    stage = openkruise(state, lastUpdateTime="2025-01-01T00:00:00Z").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_a_template_that_moved_on_while_nobody_looked_is_a_newer_version() -> None:
    stage = openkruise()
    stage.push("v3").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    assert stage.abort().settle().row() == "Healthy 2 Completed | canary none | lane off | stable v1"
    is_clean(stage)


def test_a_release_that_was_being_finished_is_promoted_before_its_routes_go() -> None:
    stage = openkruise("Completed", "Finalising", finalisingStep="FinalisingStepRouteTrafficToStable")
    stage.allowed.add("v2")
    stage.settle()
    assert stage.row() == "Healthy 2 Completed | canary none | lane off | stable v2"
    assert stage.condition("Succeeded")["status"] == "True"
    is_clean(stage)


def test_a_release_that_was_being_cancelled_is_cancelled() -> None:
    stage = openkruise(reason="Cancelling").push("v1").settle()
    assert stage.row() == "Healthy 2 Completed | canary none | lane off | stable v1"
    assert stage.condition("Succeeded")["status"] == "False"
    is_clean(stage)


def test_nothing_of_openkruises_is_left_on_what_was_taken_over() -> None:
    stage = openkruise()
    stage.push("v1").settle()
    is_clean(stage)
    assert dig(stage.rollout(), "metadata", "annotations", "rollouts.kruise.io/hash") != THEIR_HASH
    writes = stage.world.writes
    assert stage.settle().world.writes == writes


def test_a_batch_release_of_openkruise_on_its_way_out_takes_no_canary_along() -> None:
    stage = openkruise()
    stage.world.delete(BATCH_RELEASE, NAMESPACE, "web")
    before = name_of(stage.canaries()[0])
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert [name_of(item) for item in stage.canaries()] == [before]
    stage.abort().settle()
    is_clean(stage)


def test_a_canary_made_before_there_were_batch_releases_is_kept_and_gets_one() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    canary, rollout = stage.canaries()[0], stage.rollout()
    reference = owner_refs(canary)[0] | {"kind": "Rollout", "uid": rollout["metadata"]["uid"]}
    change = {"metadata": {"ownerReferences": [reference]}}
    stage.world.patch(DEPLOYMENT, NAMESPACE, name_of(canary), change)
    stage.world.delete(BATCH_RELEASE, NAMESPACE, "web")
    stage.restart()
    stage.settle()
    assert [name_of(item) for item in stage.canaries()] == [name_of(canary)]
    assert owner_refs(stage.canaries()[0])[0]["kind"] == "BatchRelease"
    stage.allowed.add("v2")
    assert stage.approve().settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    is_clean(stage)


def test_a_weighted_release_of_openkruise_keeps_its_routes_while_it_changes_hands() -> None:
    """OpenKruise routes by itself: the original is noted on the VirtualService, and the Service is pinned."""
    stage = RoutedStage(2, ({"replicas": 1, "weight": 20, "pause": {}},)).begin().push("v2")
    stage.settle()
    stage.world.patch(TRAFFIC_ROUTING, NAMESPACE, "web-routes", {"metadata": {"finalizers": []}})
    stage.world.delete(TRAFFIC_ROUTING, NAMESPACE, "web-routes")
    stage.world.patch(VIRTUAL_SERVICE, NAMESPACE, "web", {"metadata": {"annotations": {ADDED: None}}})
    stage.world.patch(SERVICE, NAMESPACE, "web", {"metadata": {"annotations": {"graylane.dev/pinned-by": None}}})
    theirs = {"rolloutHash": THEIR_HASH, "canaryRevision": THEIR_REVISION}
    stage.status_patch(theirs)
    shares: list[dict[str, int]] = []
    stage.world.after_write = lambda effect: shares.append(stage.shares())
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert {tuple(found.items()) for found in shares} == {(("web", 80), ("web-canary", 20))}, "not for an instant"
    stage.world.after_write = None
    stage.abort().settle()
    assert (stage.selector(), stage.lane(), stage.canaries()) == ({"app": "web"}, False, [])
    assert (stage.get(VIRTUAL_SERVICE) or {})["spec"] == virtual_service()
