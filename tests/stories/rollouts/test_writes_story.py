"""What a release costs the API server, and that whatever lasts is told all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from graylane.kit.cache import View
from graylane.kit.effects import Effect, Event
from graylane.kit.loop import Controller
from graylane.model.kinds import POD, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Key, dig, name_of
from graylane.testing.joint_stage import JointStage

RELEASE = (
    ("Rollout status", "a release has begun, and from which version: before anything is made for it"),
    ("BatchRelease", "made: the record, and who owns the canary"),
    ("Deployment", "the canary is made"),
    ("TrafficRouting", "our finalizer: routes are asked for, now that the canary serves"),
    ("TrafficRouting status", "Progressing, and which objects will hold routes: before the first of them does"),
    ("DestinationRule", "the subset"),
    ("VirtualService", "the route, once the proxies have the subset"),
    ("TrafficRouting status", "the routes are live, confirmed by the proxies"),
    ("Rollout status", "StepPaused: an approval is open"),
    ("BatchRelease status", "its batch is Ready"),
)
PROMOTION = (
    ("Rollout status", "the approval is taken: what stable may become"),
    ("Deployment", "stable is un-paused and unclaimed"),
    ("Rollout status", "stable serves everything: routes and canary may go"),
    ("TrafficRouting", "our finalizer goes: no routes are asked for"),
    ("VirtualService", "as its owner wrote it"),
    ("DestinationRule", "as its owner wrote it, once no proxy has the route"),
    ("TrafficRouting status", "Healthy: no route is left"),
    ("Deployment", "the canary's finalizer goes"),
    ("BatchRelease", "deleted; the garbage collector takes the canary with it"),
    ("Rollout status", "Completed, and how it ended"),
)


def noted(stage: JointStage) -> list[str]:
    """The writes of the release controllers from now on, events aside, in order."""
    found: list[str] = []
    ours, acting = {actor.name for actor in stage.ours}, [""]
    judge = stage.world.after_write

    def named(actor: Controller) -> Controller:
        def reconcile(view: View, key: Key, now: datetime) -> Any:
            acting[0] = actor.name
            return actor.reconcile(view, key, now)

        return replace(actor, reconcile=reconcile)

    def after(effect: Effect) -> None:
        if judge:
            judge(effect)
        if acting[0] in ours and not isinstance(effect, Event):
            found.append(f"{effect.kind.kind} {getattr(effect, 'subresource', '')}".strip())

    stage.actors = tuple(map(named, stage.actors))
    stage.world.after_write = after
    return found


def test_a_release_of_one_step_costs_twenty_writes_each_with_its_reason() -> None:
    stage = JointStage(real=True).begin().settle(seconds=5)
    writes = noted(stage)
    stage.push("v2").settle(seconds=60)
    assert writes == [what for what, _ in RELEASE]
    stage.approve().settle(seconds=60)
    assert stage.state() == "Healthy Completed"
    assert writes[len(RELEASE) :] == [what for what, _ in PROMOTION]
    assert len(writes) == 20


def test_pods_and_routes_that_take_their_time_are_told_after_two_seconds() -> None:
    stage = JointStage().begin()
    stage.actors = tuple(actor for actor in stage.actors if actor.name != "mesh-DestinationRule")
    stage.push("v2").settle()
    assert stage.state() == "Progressing StepUpgrade"
    stage.settle(seconds=5)
    assert stage.state() == "Progressing StepTrafficRouting"
    assert "DestinationRule dr-web is on its way to the proxies" in message(stage)
    assert "DestinationRule dr-web is on its way to the proxies" in str(stage.get(TRAFFIC_ROUTING, "lane")["status"])


def test_a_controller_that_dies_before_it_told_finds_all_of_it_again() -> None:
    stage = JointStage().begin()
    stage.actors = tuple(actor for actor in stage.actors if actor.name != "mesh-DestinationRule")
    stage.push("v2").settle()
    stage.restart()
    stage.settle()
    assert stage.state() == "Progressing StepPaused"
    assert [event.reason for event in stage.world.events].count("StepPaused") == 1
    assert stage.harms == []


def test_what_somebody_must_mend_is_told_at_once() -> None:
    stage = JointStage().begin().push("v2").settle()
    for pod in stage.world.list(POD, "shop"):
        if "version': 'canary" in str(pod):
            unready = {"conditions": [{"type": "Ready", "status": "False"}]}
            stage.world.patch(POD, "shop", name_of(pod), {"status": unready}, "status")
    stage.settle()
    assert "0 of 1 pods ready" in message(stage)


def message(stage: JointStage) -> str:
    return str(dig(stage.get(ROLLOUT, "web"), "status", "message"))
