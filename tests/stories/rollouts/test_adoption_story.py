"""What becomes of a release that OpenKruise began, by where it stood: each state is one that its real manager left."""

from __future__ import annotations

import pytest

from graylane.kit.effects import Effect
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, ROLLOUT, VIRTUAL_SERVICE
from graylane.model.meta import annotations_of, condition, dig, finalizers_of, name_of, owner_refs
from graylane.testing.release_stage import NAMESPACE, ReleaseStage, image

from .recorded import Recording, Takeover

CONTROL_INFO = "batchrelease.rollouts.kruise.io/control-info"
THEIR_FINALIZER = "rollouts.kruise.io/batch-release-finalizer"
LANE = "tr-istio-full-0.5.0"  # two steps, lane by headers in a TrafficRouting


def left_at(state: str, name: str = LANE, step: int = 1, reason: str = "InRolling") -> Takeover:
    """The first write of the recording after which the Rollout says so; we have not looked yet."""
    recording = Recording.of(name)
    for count in recording.points():
        rollout = recording.after(count).get("rollouts/web", {})
        canary = dig(rollout, "status", "canaryStatus", default={})
        told = (condition(rollout, "Progressing") or {}).get("reason")
        if (canary.get("currentStepState"), canary.get("currentStepIndex"), told) == (state, step, reason):
            return Takeover.of(recording, count)
    raise LookupError(f"{name} has no {reason} {state} in step {step}")


def where(stage: Takeover) -> str:
    canaries = " ".join(f"{dig(item, 'spec', 'replicas')}×{image(item)}" for item in stage.canaries()) or "none"
    paused = " paused" if dig(stage.find(DEPLOYMENT, "web"), "spec", "paused") else ""
    return f"{stage.state()} {stage.step} | canary {canaries} | lane {'on' if stage.diverted() else 'off'} |{paused}"


def is_clean(stage: Takeover) -> None:
    assert (stage.harms, stage.left()) == ([], [])


def test_a_paused_release_stays_paused_with_the_same_pods_and_goes_on_when_approved() -> None:
    stage = left_at("StepPaused")
    before = stage.serving()
    stage.settle(seconds=30)
    assert where(stage) == "Progressing StepPaused 1 | canary 1×v2 | lane on | paused"
    canary = stage.canaries()[0]
    assert {name_of(canary)} == before
    assert [(ref["kind"], ref["name"]) for ref in owner_refs(canary)] == [("BatchRelease", "web")]
    assert CONTROL_INFO not in annotations_of(canary)
    batch = stage.get(BATCH_RELEASE, "web")
    assert THEIR_FINALIZER not in finalizers_of(batch)
    assert len(batch["spec"]["releasePlan"]["batches"]) == 2
    stage.approve_step()
    stage.settle(seconds=30)
    assert where(stage) == "Progressing StepPaused 2 | canary 2×v2 | lane on | paused"
    stage.approve_step()
    stage.settle(seconds=30)
    assert where(stage) == "Healthy Completed 2 | canary none | lane off |"
    assert image(stage.get(DEPLOYMENT, "web")) == "v2"
    is_clean(stage)


@pytest.mark.parametrize("name", [LANE, "emb-vs-full-0.5.0", "emb-ing-full-0.5.0", "emb-hr-full-0.6.2"])
@pytest.mark.parametrize("way", ["template", "abort", "delete", "disable"])
def test_it_can_be_taken_back(name: str, way: str) -> None:
    stage = left_at("StepPaused", name)
    match way:
        case "template":
            push(stage, "v1")
        case "abort":
            stage.settle(seconds=30).abort()
        case "delete":
            stage.delete(ROLLOUT)
        case _:
            stage.edit({"disabled": True})
    stage.settle(seconds=30)
    deployment = stage.get(DEPLOYMENT, "web")
    stays = way in ("delete", "disable")  # nobody may roll out what nobody approved
    assert (dig(deployment, "spec", "paused"), image(deployment)) == ((True, "v2") if stays else (None, "v1"))
    assert {image(pod) for pod in stage.pods()} == {"v1"}
    is_clean(stage)


def push(stage: Takeover, version: str) -> None:
    """`kubectl set image`."""
    template = dig(stage.get(DEPLOYMENT, "web"), "spec", "template")
    containers = [template["spec"]["containers"][0] | {"image": version}]
    stage.edit_deployment({"spec": {"template": {"spec": {"containers": containers}}}})


def test_an_approval_given_to_openkruise_counts() -> None:
    stage = left_at("StepReady").settle(seconds=30)
    assert where(stage) == "Progressing StepPaused 2 | canary 2×v2 | lane on | paused"


def test_an_approval_of_a_release_that_openkruise_held_is_open_still() -> None:
    stage = left_at("StepPaused", "pods-hold-0.5.0", reason="Paused").settle(seconds=30)
    stage.edit({"strategy": {"paused": None}})
    stage.settle(seconds=30)
    stage.approve_step()
    stage.settle(seconds=30)
    assert (stage.state(), stage.step) == ("Progressing StepPaused", 2)


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("BeforeStepUpgrade", "emb-hr-full-0.6.2"),
        ("StepUpgrade", LANE),
        ("StepTrafficRouting", "emb-vs-full-0.5.0"),
        ("StepMetricsAnalysis", LANE),
    ],
)
def test_a_step_under_way_goes_on_and_its_past_is_not_held_against_it(state: str, name: str) -> None:
    stage = left_at(state, name)
    stage.world.clock.advance(7200)
    stage.settle(seconds=30)
    assert (stage.state(), stage.step) == ("Progressing StepPaused", 1)
    assert [(dig(item, "spec", "replicas"), image(item)) for item in stage.canaries()] == [(1, "v2")]
    assert stage.harms == []


def test_a_release_begun_just_now_does_not_count_as_approved() -> None:
    """Its status still tells the steps of the last one, all of them done."""
    stage = left_at("Completed", step=2, reason="Initializing").settle(seconds=30)
    assert where(stage) == "Progressing StepPaused 1 | canary 1×v2 | lane on | paused"
    assert stage.harms == []


def test_a_template_that_moved_on_while_nobody_looked_is_a_newer_version() -> None:
    stage = left_at("StepPaused")
    push(stage, "v3")
    stage.settle(seconds=30)
    assert where(stage) == "Progressing StepPaused 1 | canary 1×v3 | lane on | paused"
    stage.abort().settle(seconds=30)
    assert where(stage) == "Healthy Completed 2 | canary none | lane off |"
    is_clean(stage)


@pytest.mark.parametrize(("name", "step"), [(LANE, 2), ("emb-ing-full-0.5.0", 3), ("emb-hr-full-0.6.2", 3)])
def test_a_release_that_was_being_finished_is_promoted_and_cleaned_up(name: str, step: int) -> None:
    stage = left_at("Completed", name, step, "Finalising").settle(seconds=30)
    assert where(stage) == f"Healthy Completed {step} | canary none | lane off |"
    assert (condition(stage.get(ROLLOUT, "web"), "Succeeded") or {})["status"] == "True"
    is_clean(stage)


@pytest.mark.parametrize("name", ["tr-beta-rollback-0.6.2", "emb-vs-rollback-0.6.2", "emb-ing-rollback-0.6.2"])
def test_a_release_that_was_being_cancelled_is_cancelled(name: str) -> None:
    stage = left_at("StepPaused", name, 2, "Cancelling").settle(seconds=30)
    assert stage.state() == "Healthy Completed"
    assert (condition(stage.get(ROLLOUT, "web"), "Succeeded") or {})["status"] == "False"
    assert image(stage.get(DEPLOYMENT, "web")) == "v1"
    is_clean(stage)


def test_a_batch_release_of_openkruise_on_its_way_out_takes_no_canary_along() -> None:
    stage = left_at("StepPaused")
    before = stage.serving()
    stage.delete(BATCH_RELEASE)
    stage.settle(seconds=30)
    assert where(stage) == "Progressing StepPaused 1 | canary 1×v2 | lane on | paused"
    assert stage.serving() == before
    stage.abort().settle(seconds=30)
    is_clean(stage)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_weighted_release_keeps_its_shares_while_it_changes_hands(step: int) -> None:
    stage = left_at("StepPaused", "emb-vs-full-0.5.0", step)
    shares: list[list[int]] = []

    def look(effect: Effect) -> None:
        rule = stage.get(VIRTUAL_SERVICE, "vs-web")["spec"]["http"][0]
        shares.append([route.get("weight", 100) for route in rule["route"]])

    stage.world.after_write = look
    stage.settle(seconds=30)
    wanted = {1: [80, 20], 2: [50, 50], 3: [20, 80]}[step]
    assert [found for found in shares if found != wanted] == [], "not for an instant"
    assert (stage.state(), stage.step) == ("Progressing StepPaused", step)


def test_a_canary_made_before_there_were_batch_releases_is_kept_and_gets_one() -> None:
    """One of ours: the first versions had none."""
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
    assert (stage.world.get(BATCH_RELEASE, NAMESPACE, "web"), stage.harms) == (None, [])
