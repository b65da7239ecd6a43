"""Whatever users do, whenever they do it, nobody is sent where nothing serves, and the next good release succeeds."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from graylane.errors import ApiError
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, ROLLOUT
from graylane.model.meta import key_of, name_of
from graylane.testing.release_stage import NAMESPACE, ReleaseStage, image
from graylane.testing.releases import BROKEN

WALKS, ACTS = 40, 14
PLANS = (
    [{"replicas": 1}],
    [{"replicas": 1}, {"replicas": "50%", "pause": {"duration": 5}}],
    [{"replicas": "50%"}, {"replicas": "100%"}],
)
Act = Callable[[ReleaseStage, random.Random], object]


def push(stage: ReleaseStage, chance: random.Random) -> None:
    stage.push(chance.choice(("v1", "v2", "v3", BROKEN)))


def approve(stage: ReleaseStage, chance: random.Random) -> None:
    """As the CLI does: only a step that has paused; the user means the version they see."""
    if stage.status("canaryStatus", "currentStepState") == "StepPaused":
        stage.allowed.add(image(stage.deployment()))
        stage.approve()


def abort(stage: ReleaseStage, chance: random.Random) -> None:
    if stage.status("canaryStatus", "canaryRevision"):
        stage.abort()


def pause_or_resume(stage: ReleaseStage, chance: random.Random) -> None:
    stage.edit({"strategy": {"paused": chance.random() < 0.5}})


def replan(stage: ReleaseStage, chance: random.Random) -> None:
    stage.edit({"strategy": {"canary": {"steps": chance.choice(PLANS)}}})


def relabel(stage: ReleaseStage, chance: random.Random) -> None:
    labels = {"lane": chance.choice(("gray", "blue"))}
    stage.edit({"strategy": {"canary": {"patchPodTemplateMetadata": {"labels": labels}}}})


def scale(stage: ReleaseStage, chance: random.Random) -> None:
    stage.edit_deployment({"spec": {"replicas": chance.randint(1, 4)}})


def delete_a_canary(stage: ReleaseStage, chance: random.Random) -> None:
    for canary in stage.canaries()[:1]:
        stage.world.delete(DEPLOYMENT, NAMESPACE, name_of(canary))


def delete_the_record(stage: ReleaseStage, chance: random.Random) -> None:
    """Whether its canaries are collected before it is made again is a matter of luck."""
    if stage.world.get(BATCH_RELEASE, NAMESPACE, "web"):
        stage.world.delete(BATCH_RELEASE, NAMESPACE, "web")
    if chance.random() < 0.5:
        stage.world.collect_garbage()


def edit_the_record(stage: ReleaseStage, chance: random.Random) -> None:
    if stage.world.get(BATCH_RELEASE, NAMESPACE, "web"):
        plan = {"batchPartition": chance.choice((0, 7, None)), "batches": []}
        patch = {"spec": {"releasePlan": plan}} if chance.random() < 0.5 else {"metadata": {"ownerReferences": []}}
        stage.world.patch(BATCH_RELEASE, NAMESPACE, "web", patch)


def time_passes(stage: ReleaseStage, chance: random.Random) -> None:
    stage.world.clock.advance(chance.choice((0.3, 4, 20)))


ACTIONS: tuple[tuple[Act, int], ...] = (
    (push, 5),
    (approve, 5),
    (abort, 2),
    (pause_or_resume, 2),
    (replan, 1),
    (relabel, 1),
    (scale, 1),
    (delete_a_canary, 1),
    (delete_the_record, 1),
    (edit_the_record, 1),
    (time_passes, 3),
)


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_random_walk_harms_nobody_and_leaves_a_rollout_that_works(seed: int) -> None:
    chance = random.Random(seed)
    stage = ReleaseStage(chance.randint(1, 3)).begin()
    acts, weights = zip(*ACTIONS, strict=True)
    for act in chance.choices(acts, weights, k=ACTS):
        act(stage, chance)
        stumble(stage, chance, chance.choice((0, 3, 30)))
        if chance.random() < 0.4:
            stage.settle()
        assert stage.harms == [], act.__name__
    succeed(stage)
    assert stage.harms == []


def succeed(stage: ReleaseStage) -> None:
    """A last good version goes out, and nothing of all that happened before stays."""
    stage.edit({"strategy": {"paused": False}, "disabled": False})
    stage.settle(seconds=60).push("final").settle(seconds=60)
    stage.allowed.add("final")
    for _ in range(4):
        if stage.status("phase") == "Progressing":
            stage.approve().settle(seconds=60)
    assert stage.row().split(" | ", 1)[1] == "canary none | lane off | stable final"
    assert (stage.status("phase"), stage.condition("Succeeded")["status"]) == ("Healthy", "True")
    assert stage.world.get(BATCH_RELEASE, NAMESPACE, "web") is None
    assert stage.world.get(ROLLOUT, NAMESPACE, "web") is not None


def stumble(stage: ReleaseStage, chance: random.Random, looks: int) -> None:
    """Actors look in random order, and only a part of what they want lands."""
    for _ in range(looks):
        actor = chance.choice(stage.actors)
        keys = [key_of(obj) for obj in stage.world.list(actor.primary)]
        if not keys:
            continue
        outcome = actor.reconcile(stage.world.view(), chance.choice(keys), stage.world.now())
        for effect in outcome.effects:
            if chance.random() < 0.8:
                try:
                    stage.world.apply([effect])
                except ApiError:
                    break
