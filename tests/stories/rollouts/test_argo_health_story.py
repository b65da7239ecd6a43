"""What Argo CD makes of a Rollout: the decision table of its health script for this kind, in our own words.

Progressing whatever it does not know; the rest only for a status of the present generation. The script reads
`status.canaryStatus` without looking whether it is there, so it must be.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graylane.kit.effects import Effect
from graylane.model.kinds import DEPLOYMENT, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, finalizers_of
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.releases import BROKEN

TABLE = {  # (phase, currentStepState) → health
    ("Progressing", "StepUpgrade"): "Progressing",
    ("Progressing", "StepPaused"): "Suspended",
    ("Healthy", "Completed"): "Healthy",
    ("Terminating", "StepPaused"): "Degraded",
    ("Disabled", "StepPaused"): "Degraded",
}


def health(rollout: Obj) -> str:
    status = rollout["status"]
    if rollout["metadata"]["generation"] != status.get("observedGeneration"):
        return "Progressing"
    return TABLE.get((status["phase"], status["canaryStatus"]["currentStepState"]), "Progressing")


def shared(stage: ReleaseStage) -> ReleaseStage:
    """Another Rollout holds the TrafficRouting too, so that nothing can be finished yet."""
    routing = stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web") or {}
    held = [*finalizers_of(routing), "progressing.rollouts.kruise.io/other"]
    stage.world.patch(TRAFFIC_ROUTING, NAMESPACE, "web", {"metadata": {"finalizers": held}})
    return stage.settle()


def allowed(stage: ReleaseStage) -> ReleaseStage:
    stage.allowed.add("v2")
    return stage


def paused() -> ReleaseStage:
    return ReleaseStage().begin().push("v2").settle()


def without_workload() -> ReleaseStage:
    stage = paused()
    stage.world.delete(DEPLOYMENT, NAMESPACE, "web")
    return stage.settle()


def failed() -> ReleaseStage:
    stage = ReleaseStage().begin().push(BROKEN).settle()
    stage.world.clock.advance(600)
    return stage.settle()


STORIES: dict[str, tuple[Callable[[], ReleaseStage], str]] = {
    "at rest": (lambda: ReleaseStage().begin(), "Healthy"),
    "its pods start": (lambda: ReleaseStage().begin().push(BROKEN).settle(), "Progressing"),
    "it awaits approval": (paused, "Suspended"),
    "a newer version awaits approval": (lambda: paused().push("v3").settle(), "Suspended"),
    "it is finished": (lambda: allowed(paused()).approve().settle(), "Healthy"),
    "it is being finished": (lambda: allowed(shared(paused())).approve().settle(), "Progressing"),
    "it was rolled back": (lambda: paused().push("v1").settle(), "Healthy"),
    "it was aborted": (lambda: paused().abort().settle(), "Healthy"),
    "it is being aborted": (lambda: shared(paused()).abort().settle(), "Progressing"),
    "it was aborted while its pods started": (
        lambda: ReleaseStage().begin().push(BROKEN).settle().abort().settle(),
        "Healthy",
    ),
    "it was disabled at rest": (lambda: ReleaseStage().begin().edit({"disabled": True}).settle(), "Progressing"),
    "it was disabled in a release": (lambda: paused().edit({"disabled": True}).settle(), "Degraded"),
    "it is being deleted in a release": (lambda: shared(paused()).delete_rollout().settle(), "Degraded"),
    "it has failed": (failed, "Progressing"),
    "its workload is gone": (without_workload, "Progressing"),
    "there never was a workload": (lambda: _alone(), "Progressing"),
}


def _alone() -> ReleaseStage:
    stage = ReleaseStage()
    stage.world.put(ROLLOUT, stage.manifest())
    return stage.settle()


@pytest.mark.parametrize(("story", "wanted"), STORIES.values(), ids=STORIES)
def test_argo_cd_says_of_it(story: Callable[[], ReleaseStage], wanted: str) -> None:
    assert health(story().rollout()) == wanted


def test_its_script_stumbles_over_no_status_on_the_way() -> None:
    stage = ReleaseStage().begin()
    seen: list[str] = []

    def look(effect: Effect) -> None:
        rollout = stage.world.get(ROLLOUT, NAMESPACE, "web")
        if rollout and "status" in rollout:
            seen.append(health(rollout))

    stage.world.after_write = look
    stage.push("v2").settle().push("v3").settle().abort().settle().push("v2").settle()
    allowed(stage).approve().settle()
    runs = [now for before, now in zip(["", *seen], seen, strict=False) if before != now]
    assert runs == [
        *("Progressing", "Suspended"),
        *("Progressing", "Suspended"),
        *("Progressing", "Healthy"),
        *("Progressing", "Suspended"),
        *("Progressing", "Healthy"),
    ]
