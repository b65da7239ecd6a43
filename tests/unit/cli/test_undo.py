"""`graylane undo`: what it goes back to from every state of a release, and where that ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from cli.conftest import Server
from graylane.cli.exits import Exit, Refused
from graylane.cli.root import run
from graylane.cli.undoing import Undo, number_of, undo
from graylane.model.kinds import DEPLOYMENT, REPLICA_SET, ROLLOUT
from graylane.model.meta import dig, uid_of
from graylane.testing.joint_stage import JointStage, deployment_spec, named, restored
from graylane.testing.release_stage import image
from graylane.testing.world import World


def staged() -> JointStage:
    stage = JointStage(real=True).begin()
    return later(stage)


def later(stage: JointStage) -> JointStage:
    stage.world.clock.advance(60)
    return stage.settle(seconds=60)


def asked(stage: JointStage, to_revision: int = 0) -> Undo:
    sets = stage.world.list(REPLICA_SET, "shop")
    return undo(stage.get(ROLLOUT, "web"), stage.get(DEPLOYMENT, "web"), sets, to_revision)


def undone(stage: JointStage, to_revision: int = 0) -> JointStage:
    answer = asked(stage, to_revision)
    if answer.patch:
        stage.edit_deployment(answer.patch)
    return later(stage)


def runs(stage: JointStage) -> str:
    return image(stage.get(DEPLOYMENT, "web"))


def begun(world: World) -> bool:
    return dig(world.get(ROLLOUT, "shop", "web"), "status", "canaryStatus", "currentStepState") == "StepUpgrade"


def in_promotion(stage: JointStage) -> None:
    later(stage.push("v2"))
    stage.approve().settle(until=lambda world: not dig(world.get(DEPLOYMENT, "shop", "web"), "spec", "paused"))


def aborting(stage: JointStage) -> None:
    later(stage.push("v2"))
    stage.abort().settle(until=lambda world: "Cancelling" in str(world.get(ROLLOUT, "shop", "web")))


STATES: dict[str, Callable[[JointStage], object]] = {
    "at its start": lambda stage: stage.push("v2").settle(until=begun),
    "while it waits": lambda stage: later(stage.push("v2")),
    "while it is paused": lambda stage: later(stage.push("v2")).edit({"strategy": {"paused": True}}).settle(),
    "after a newer version": lambda stage: later(later(stage.push("v2")).push("v3")),
    "in promotion": in_promotion,
    "while it is aborted": aborting,
}


@pytest.mark.parametrize("state", STATES)
def test_row_91_a_release_is_taken_back_from_every_state(state: str) -> None:
    stage = staged()
    STATES[state](stage)
    undone(stage)
    assert (runs(stage), stage.state(), stage.canaries()) == ("v1", "Healthy Completed", [])
    assert restored(stage)
    assert stage.harms == []


def test_at_rest_the_version_before_is_released_step_by_step() -> None:
    stage = staged()
    later(stage.push("v2"))
    later(stage.approve())
    undone(stage)
    assert stage.state() == "Progressing StepPaused"
    later(stage.approve())
    assert (runs(stage), stage.state(), stage.harms) == ("v1", "Healthy Completed", [])


def test_a_revision_may_be_named_and_the_present_one_is_left_alone() -> None:
    stage = staged()
    for version in ("v2", "v3"):
        later(stage.push(version))
        later(stage.approve())
    later(undone(stage, 1).approve())
    assert runs(stage) == "v1"
    present = number_of(next(item for item in stage.world.list(REPLICA_SET, "shop") if image(item) == "v1"))
    assert asked(stage, present).patch is None
    assert "skipped rollback" in asked(stage, present).says


def test_what_cannot_be_gone_back_to_is_said() -> None:
    stage = staged()
    with pytest.raises(Refused, match='deployment "web" of rollout "web" has no earlier revision'):
        asked(stage)
    with pytest.raises(Refused, match='deployment "web" has no revision 7; there are: 1'):
        asked(stage, 7)


def test_a_deployment_that_a_disabled_rollout_left_paused_is_pointed_at() -> None:
    stage = staged()
    later(stage.push("v2"))
    later(stage.edit({"disabled": True}))
    assert asked(stage).patch is not None
    assert "`kubectl rollout resume deployment/web` lets it roll" in asked(stage).afterwards


async def test_several_are_undone_at_once_or_none(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Against a real API server; what runs is written as the workload controllers would."""
    stage = JointStage(names=("web", "api"))
    for name in stage.names:
        await server.client.create(ROLLOUT, _here(stage.rollout_manifest(name)))
        deployment = await server.client.create(DEPLOYMENT, _here(named(name, deployment_spec(name, "v2", 1))))
        for number in (1, 2) if name == "web" else (2,):
            await server.client.create(REPLICA_SET, _replica_set(deployment, number))
    options = ["--kubeconfig", str(server.kubeconfig)]
    assert await asyncio.to_thread(run, ["undo", "web", "api", *options]) == Exit.REFUSED
    assert 'rollout "api" has no earlier revision' in capsys.readouterr().err
    assert image(await server.client.get(DEPLOYMENT, "web", "default")) == "v2"
    deployment = await server.client.get(DEPLOYMENT, "api", "default")
    await server.client.create(REPLICA_SET, _replica_set(deployment, 1))
    assert await asyncio.to_thread(run, ["undo", "web", "rollout/api", "--dry-run", *options]) == 0
    assert await asyncio.to_thread(run, ["undo", "web", "--dry-run", "-o", "json", *options]) == 0
    dry = capsys.readouterr().out.split("\n", 2)
    assert dry[1] == "deployment.apps/api rolled back to revision 1 (dry run)"
    assert image(json.loads(dry[2])) == "v1", "what it would be"
    assert image(await server.client.get(DEPLOYMENT, "web", "default")) == "v2"
    assert await asyncio.to_thread(run, ["undo", "web", "rollout/api", *options]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "deployment.apps/web rolled back to revision 1",
        "deployment.apps/api rolled back to revision 1",
    ]
    for name in stage.names:
        assert image(await server.client.get(DEPLOYMENT, name, "default")) == "v1"


def _here(obj: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    return obj | {"metadata": obj["metadata"] | {"namespace": "default"}}


def _replica_set(deployment: dict[str, dict[str, object]], number: int) -> dict[str, object]:
    name = str(deployment["metadata"]["name"])
    labels = {"app": "web", "part": name, "pod-template-hash": f"h{number}"}
    spec = deployment_spec(name, f"v{number}", 1)
    template = spec["template"] | {"metadata": {"labels": labels | {"version": "base"}}}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid_of(deployment), "controller": True}
    return {
        "metadata": {
            "name": f"{name}-h{number}",
            "namespace": "default",
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [owner],
        },
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
