"""A change of any object a Rollout depends on leads back to it, and only while it depends on it."""

from __future__ import annotations

from graylane.kit.cache import Change
from graylane.model.kinds import (
    BATCH_RELEASE,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
)
from graylane.model.meta import Key
from graylane.rollouts.controller import controllers, is_somebodys_word
from graylane.rollouts.interest import Interest
from graylane.testing.release_stage import NAMESPACE, ReleaseStage

WEB = Key(NAMESPACE, "web")


def test_every_object_of_a_release_leads_to_its_rollout() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    controller = controllers()[0]
    controller.reconcile(stage.world.view(), WEB, stage.world.now())
    for kind in (BATCH_RELEASE, DEPLOYMENT, REPLICA_SET, POD, TRAFFIC_ROUTING, SERVICE, ENDPOINT_SLICE):
        for obj in stage.world.list(kind, NAMESPACE):
            assert WEB in set(controller.watches[kind](obj)), (kind, obj["metadata"]["name"])


def test_a_users_word_is_urgent_and_our_own_is_not() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    words = {
        "approved": lambda: stage.approve(),
        "aborted": lambda: stage.abort(),
        "edited": lambda: stage.edit({"strategy": {"paused": True}}),
        "stood still": lambda: stage.status_patch({"message": "as before"}),
    }
    urgent = {}
    for word, act in words.items():
        old = stage.rollout()
        stage.status_patch({"currentStepState": "StepPaused"})
        act()
        urgent[word] = is_somebodys_word(Change(WEB, old, stage.rollout()))
    assert urgent == {"approved": True, "aborted": True, "edited": True, "stood still": False}


def test_what_does_not_exist_yet_is_waited_for() -> None:
    stage = ReleaseStage()
    stage.world.put(ROLLOUT, stage.manifest())
    stage.settle()
    controller = controllers()[0]
    controller.reconcile(stage.world.view(), WEB, stage.world.now())
    for kind in (DEPLOYMENT, TRAFFIC_ROUTING):
        unborn = {"metadata": {"name": "web", "namespace": NAMESPACE}}
        assert list(controller.watches[kind](unborn)) == [WEB]


def test_what_is_no_longer_depended_on_is_forgotten() -> None:
    interest = Interest()
    interest.note(WEB, frozenset({(SERVICE, Key(NAMESPACE, "a")), (SERVICE, Key(NAMESPACE, "b"))}))
    interest.note(WEB, frozenset({(SERVICE, Key(NAMESPACE, "b"))}))
    seen = {name: list(interest.of_service({"metadata": {"name": name, "namespace": NAMESPACE}})) for name in "ab"}
    assert seen == {"a": [], "b": [WEB]}
    interest.note(WEB, frozenset())
    assert interest == Interest()
