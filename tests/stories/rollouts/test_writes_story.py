"""What a release costs the API server, and that whatever lasts is told all the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

from graylane.kit.cache import View
from graylane.kit.effects import Effect, Event
from graylane.kit.loop import Controller
from graylane.model.kinds import POD, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Key, dig, name_of
from graylane.testing.joint_stage import JointStage


def counted(stage: JointStage) -> Counter[str]:
    """The writes of the release controllers, events aside, by kind."""
    found: Counter[str] = Counter()
    ours, acting = {actor.name for actor in stage.ours}, [""]
    judge = stage.world.after_write

    def noted(actor: Controller) -> Controller:
        def reconcile(view: View, key: Key, now: datetime) -> Any:
            acting[0] = actor.name
            return actor.reconcile(view, key, now)

        return replace(actor, reconcile=reconcile)

    def after(effect: Effect) -> None:
        if judge:
            judge(effect)
        if acting[0] in ours and not isinstance(effect, Event):
            found[effect.kind.kind] += 1

    stage.actors = tuple(map(noted, stage.actors))
    stage.world.after_write = after
    return found


def test_a_release_of_one_step_costs_twenty_four_writes() -> None:
    stage = JointStage(real=True).begin().settle(seconds=5)
    writes = counted(stage)
    stage.push("v2").settle(seconds=60).approve().settle(seconds=60)
    assert stage.state() == "Healthy Completed"
    routes = {"TrafficRouting": 6, "DestinationRule": 2, "VirtualService": 2}
    assert writes == {"Rollout": 8, "BatchRelease": 3, "Deployment": 3} | routes


def test_routes_that_take_their_time_are_told_after_two_seconds() -> None:
    stage = JointStage().begin()
    stage.actors = tuple(actor for actor in stage.actors if actor.name != "mesh-DestinationRule")
    stage.push("v2").settle()
    assert "is on its way" not in message(stage)
    stage.settle(seconds=3)
    assert "DestinationRule dr-web is on its way to the proxies" in message(stage)
    assert "DestinationRule dr-web is on its way to the proxies" in str(stage.get(TRAFFIC_ROUTING, "lane")["status"])


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
