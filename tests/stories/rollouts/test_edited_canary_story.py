"""A canary whose template somebody edits shows a version that nobody releases: one as planned takes over."""

from __future__ import annotations

from graylane.model.kinds import DEPLOYMENT
from graylane.model.meta import dig, labels_of, name_of
from graylane.model.rollout import CANARY_DEPLOYMENT
from graylane.testing.joint_stage import JointStage


def images(stage: JointStage) -> dict[str, str]:
    found = [item for item in stage.world.list(DEPLOYMENT, "shop") if CANARY_DEPLOYMENT in labels_of(item)]
    return {name_of(item): dig(item, "spec", "template", "spec", "containers")[0]["image"] for item in found}


def edit(stage: JointStage, name: str, image: str) -> None:
    containers = [{"name": "default", "image": image}]
    stage.world.patch(DEPLOYMENT, "shop", name, {"spec": {"template": {"spec": {"containers": containers}}}})
    stage.settle(seconds=30)


def test_an_approval_is_of_the_version_that_was_seen_also_when_the_canary_was_edited() -> None:
    stage = JointStage(real=True).begin().push("v2").settle(seconds=30)
    assert stage.state() == "Progressing StepPaused"
    ((first, image),) = images(stage).items()
    assert image == "v2"
    edit(stage, first, "v9")
    ((second, image),) = images(stage).items()
    assert (image, second != first) == ("v2", True)
    assert stage.state() == "Progressing StepPaused"
    assert stage.harms == []
    stage.allowed.add("v2")
    stage.approve().settle(seconds=60)
    assert images(stage) == {}
    assert stage.state() == "Healthy Completed"
