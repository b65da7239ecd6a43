"""What Argo CD makes of a Rollout: by the health script it has built in, and by ours, which is run as Argo CD runs it.

Of the built-in one there is the decision table, in our own words: Progressing whatever it does not know; the rest only
for a status of the present generation. It reads `status.canaryStatus` without looking whether it is there: it must be.
Of what is being deleted no script is asked. `tests/golden/argo-cd.json` holds the words of Argo CD's own code (v2.14.21
and v3.5.7 give the same) for each story, in both API versions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graylane.kit.effects import Effect
from graylane.model.kinds import DEPLOYMENT, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, finalizers_of
from graylane.model.rollout import ON_FAILURE
from graylane.model.versions.rollout_conversion import to_v1beta1
from graylane.rollouts import status as wire
from graylane.rollouts.release import Stage
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.releases import BROKEN

from . import argo

GOLDEN = Path(__file__).parents[2] / "golden" / "argo-cd.json"
TABLE = {  # (phase, currentStepState) → health
    ("Progressing", "StepUpgrade"): "Progressing",
    ("Progressing", "StepPaused"): "Suspended",
    ("Healthy", "Completed"): "Healthy",
    ("Terminating", "StepPaused"): "Degraded",
    ("Disabled", "StepPaused"): "Degraded",
}


def built_in(rollout: Obj) -> str:
    if "deletionTimestamp" in rollout["metadata"]:
        return "Progressing"
    if "status" not in rollout:
        return "Unknown"
    status = rollout["status"]
    if rollout["metadata"]["generation"] != status.get("observedGeneration"):
        return "Progressing"
    return TABLE.get((status.get("phase", ""), status["canaryStatus"]["currentStepState"]), "Progressing")


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


def held() -> ReleaseStage:
    return paused().edit({"strategy": {"paused": True}}).settle()


def taken_back() -> ReleaseStage:
    stage = ReleaseStage().begin()
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"metadata": {"annotations": {ON_FAILURE: "abort"}}})
    stage.push(BROKEN).settle()
    stage.world.clock.advance(600)
    return stage.settle()


STORIES: dict[str, tuple[Callable[[], ReleaseStage], str, str]] = {
    #                                                                                        built in, ours
    "at rest": (lambda: ReleaseStage().begin(), "Healthy", "Healthy"),
    "its pods start": (lambda: ReleaseStage().begin().push(BROKEN).settle(), "Progressing", "Progressing"),
    "it awaits approval": (paused, "Suspended", "Suspended"),
    "it is held": (held, "Suspended", "Suspended"),
    "it is held while its pods start": (
        lambda: ReleaseStage().begin().push(BROKEN).settle().edit({"strategy": {"paused": True}}).settle(),
        "Progressing",
        "Suspended",
    ),
    "a newer version awaits approval": (lambda: paused().push("v3").settle(), "Suspended", "Suspended"),
    "it is finished": (lambda: allowed(paused()).approve().settle(), "Healthy", "Healthy"),
    "it waits for another release": (
        lambda: allowed(shared(paused())).approve().settle(seconds=10),
        "Progressing",
        "Suspended",
    ),
    "it was rolled back": (lambda: paused().push("v1").settle(), "Healthy", "Healthy"),
    "it was aborted": (lambda: paused().abort().settle(), "Healthy", "Healthy"),
    "it is being aborted": (lambda: shared(paused()).abort().settle(seconds=10), "Progressing", "Suspended"),
    "it was aborted while its pods started": (
        lambda: ReleaseStage().begin().push(BROKEN).settle().abort().settle(),
        "Healthy",
        "Healthy",
    ),
    "it was disabled at rest": (
        lambda: ReleaseStage().begin().edit({"disabled": True}).settle(),
        "Progressing",
        "Suspended",
    ),
    "it was disabled in a release": (lambda: paused().edit({"disabled": True}).settle(), "Degraded", "Degraded"),
    "it is being deleted in a release": (
        lambda: shared(paused()).delete_rollout().settle(),
        "Progressing",
        "Progressing",
    ),
    "it has failed": (failed, "Progressing", "Degraded"),
    "it failed and was taken back": (taken_back, "Healthy", "Healthy"),
    "its workload is gone": (without_workload, "Progressing", "Progressing"),
    "there never was a workload": (lambda: _alone(), "Progressing", "Progressing"),
    "its spec is refused": (lambda: refused(ReleaseStage()), "Progressing", "Degraded"),
    "its spec is refused at rest": (lambda: refused(ReleaseStage().begin()), "Progressing", "Degraded"),
    "nobody has looked at it": (lambda: unseen(), "Unknown", "Progressing"),
}


def _alone() -> ReleaseStage:
    stage = ReleaseStage()
    stage.world.put(ROLLOUT, stage.manifest())
    return stage.settle()


def refused(stage: ReleaseStage) -> ReleaseStage:
    """Admission was not asked, else nobody would see it."""
    manifest = stage.manifest()
    manifest["spec"]["strategy"]["canary"]["steps"] = [{"pause": {}}]
    stage.world.put(ROLLOUT, manifest)
    return stage.settle()


def unseen() -> ReleaseStage:
    stage = ReleaseStage()
    stage.world.put(ROLLOUT, stage.manifest())
    return stage


@pytest.mark.parametrize(("story", "built", "ours"), STORIES.values(), ids=STORIES)
def test_argo_cd_says_of_it(story: Callable[[], ReleaseStage], built: str, ours: str) -> None:
    rollout = story().rollout()
    assert built_in(rollout) == built
    assert argo.health(rollout) == (ours, _says(rollout))


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
def test_argo_cd_itself_has_said_the_same(name: str, version: str) -> None:
    said = json.loads(GOLDEN.read_text())[version][name]
    story, built, ours = STORIES[name]
    rollout = story().rollout()
    shown = to_v1beta1(rollout | {"apiVersion": "rollouts.kruise.io/v1alpha1"}) if version == "v1beta1" else rollout
    assert (said["built in"], said["ours"]) == (built, ours)
    assert argo.health(shown)[0] == ours or "deletionTimestamp" in shown["metadata"]
    assert sorted(name for name, may in argo.actions(shown).items() if may) == said["actions"]


def _says(rollout: Obj) -> str:
    """The status' own sentence, but for what it does not say."""
    if "status" not in rollout:
        return "no controller has looked at the present version of it yet"
    disabled_in_release = rollout["status"].get("phase") == "Disabled" and "Succeeded" in str(rollout["status"])
    if disabled_in_release:
        return "disabled during a release, whose version nobody approved; its Deployment stays paused"
    return str(rollout["status"]["message"])


ALLOWED = {  # what ours may say in a stage
    Stage.INITIAL: {"Progressing"},
    Stage.HEALTHY: {"Healthy"},
    Stage.INITIALIZING: {"Progressing"},
    Stage.ROLLING: {"Progressing", "Suspended"},
    Stage.PAUSED: {"Suspended"},
    Stage.FAILED: {"Degraded"},
    Stage.PROMOTING: {"Progressing"},
    Stage.RETIRING: {"Progressing", "Suspended"},
    Stage.CANCELLING: {"Progressing", "Suspended"},
    Stage.DISABLED: {"Suspended", "Degraded"},
    Stage.DISABLING: {"Progressing"},
    Stage.TERMINATING: {"Progressing"},
}


def test_ours_knows_every_stage_of_the_lifecycle_also_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[Stage, set[str]] = {stage: set() for stage in Stage}
    watch = ReleaseStage._watch

    def look(stage: ReleaseStage, effect: Effect) -> None:
        watch(stage, effect)
        rollout = stage.world.get(ROLLOUT, NAMESPACE, "web")
        if rollout and "the spec is refused" not in str(rollout.get("status", "the spec is refused")):
            seen[wire.read(rollout, "").stage].add(argo.health(rollout)[0])

    monkeypatch.setattr(ReleaseStage, "_watch", look)
    for story, _, _ in STORIES.values():
        story()
    assert {stage: found - ALLOWED[stage] for stage, found in seen.items() if found - ALLOWED[stage]} == {}
    assert {stage for stage, found in seen.items() if not found} == set()


REQUIRED = {  # by the CRD of OpenKruise 0.6.2, which may be installed still: without them no status could be written
    *("canaryReadyReplicas", "canaryReplicas", "canaryRevision", "podTemplateHash"),
    *("currentStepState", "finalisingStep", "nextStepIndex"),
}


def test_every_status_could_be_written_under_openkruises_own_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: set[str] = set()
    watch = ReleaseStage._watch

    def look(stage: ReleaseStage, effect: Effect) -> None:
        watch(stage, effect)
        rollout = stage.world.get(ROLLOUT, NAMESPACE, "web")
        if rollout and "status" in rollout:
            lacking.update(REQUIRED - rollout["status"]["canaryStatus"].keys())

    monkeypatch.setattr(ReleaseStage, "_watch", look)
    for story, _, _ in STORIES.values():
        story()
    assert lacking == set()


def test_a_status_of_another_generation_tells_nothing() -> None:
    rollout = paused().rollout()
    rollout["metadata"]["generation"] += 1
    assert (built_in(rollout), argo.health(rollout)[0]) == ("Progressing", "Progressing")
    del rollout["status"]
    assert argo.health(rollout)[0] == "Progressing"


def test_the_built_in_script_stumbles_over_no_status_on_the_way() -> None:
    stage = ReleaseStage().begin()
    seen: list[str] = []

    def look(effect: Effect) -> None:
        rollout = stage.world.get(ROLLOUT, NAMESPACE, "web")
        if rollout and "status" in rollout:
            seen.append(built_in(rollout))

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


def test_each_action_does_what_the_verb_of_its_name_does_and_is_offered_when_that_is_possible() -> None:
    stage = ReleaseStage().begin()
    assert allowed_actions(stage) == {"pause"}
    stage.push("v2").settle()
    assert allowed_actions(stage) == {"approve", "abort", "pause"}
    taken(stage, "pause").settle()
    assert allowed_actions(stage) == {"abort", "resume"}
    assert stage.row().startswith("Progressing 1 StepPaused")
    taken(stage, "resume").settle()
    taken(allowed(stage), "approve").settle()
    assert (stage.status("phase"), stage.condition("Succeeded")["reason"]) == ("Healthy", "Completed")
    stage.push("v3").settle()
    taken(stage, "abort").settle()
    assert (stage.status("phase"), stage.condition("Succeeded")["reason"]) == ("Healthy", "Aborted")


def test_an_abort_is_not_offered_twice() -> None:
    stage = shared(paused())
    taken(stage, "abort")
    assert allowed_actions(stage) == {"approve", "pause"}
    assert allowed_actions(stage.settle()) == {"pause"}


def allowed_actions(stage: ReleaseStage) -> set[str]:
    return {name for name, may in argo.actions(stage.rollout()).items() if may}


def taken(stage: ReleaseStage, name: str) -> ReleaseStage:
    """Argo CD patches the status and the rest each by itself, with what the action has changed."""
    after = argo.act(name, stage.rollout())
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"status": after["status"]}, "status")
    rest = {"metadata": {"annotations": after["metadata"].get("annotations", {})}, "spec": after["spec"]}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", rest)
    return stage


ROUTINGS = {  # phase, Accepted, RoutesConfirmed → health
    ("Initial", "True", "True"): "Healthy",
    ("Healthy", "True", "True"): "Healthy",
    ("Healthy", "False", "True"): "Progressing",
    ("Progressing", "True", "True"): "Healthy",
    ("Progressing", "True", "False"): "Progressing",
    ("Progressing", "True", "Unknown"): "Healthy",
    ("Progressing", "False", "False"): "Degraded",
    ("Finalizing", "True", "False"): "Progressing",
    ("Finalizing", "True", "True"): "Progressing",
    ("Terminating", "True", "True"): "Progressing",
}


@pytest.mark.parametrize(("state", "wanted"), ROUTINGS.items(), ids=str)
def test_argo_cd_says_of_a_traffic_routing(state: tuple[str, str, str], wanted: str) -> None:
    phase, accepted, confirmed = state
    conditions = [
        {"type": "Accepted", "status": accepted, "message": "it names nothing"},
        {"type": "RoutesConfirmed", "status": confirmed, "message": "a proxy lags"},
    ]
    status = {
        "observedGeneration": 2,
        "phase": phase,
        "message": f"TrafficRouting is {phase}",
        "conditions": conditions,
    }
    found, said = argo.health({"metadata": {"generation": 2}, "status": status}, "TrafficRouting")
    told = "it names nothing" if accepted == "False" else "a proxy lags" if confirmed == "False" else status["message"]
    assert (found, said) == (wanted, told)
    assert argo.health({"metadata": {"generation": 3}, "status": status}, "TrafficRouting")[0] == "Progressing"
