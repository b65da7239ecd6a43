"""An edit of the annotation that names a TrafficRouting, made through v1beta1, counts or is told not to."""

from __future__ import annotations

from graylane.kit.cache import View
from graylane.model.meta import Obj, dig
from graylane.model.patches import json_patch
from graylane.model.rollout import TRAFFIC_ROUTING_NAME
from graylane.webhooks.naming import follow_name
from graylane.webhooks.review import ALLOWED

PATH = ("spec", "strategy", "canary", "trafficRoutingRef")
WRITTEN = {"f:spec": {"f:strategy": {"f:canary": {"f:trafficRoutingRef": {}}}}}


def rollout(annotation: str | None, field: str | None, *, written: bool = False) -> Obj:
    metadata: Obj = {"name": "web", "annotations": {TRAFFIC_ROUTING_NAME: annotation} if annotation else {}}
    if written:
        metadata["managedFields"] = [{"manager": "kubectl", "fieldsV1": WRITTEN}]
    return {"metadata": metadata, "spec": {"strategy": {"canary": {"trafficRoutingRef": field} if field else {}}}}


def update(old: Obj, new: Obj, **more: str) -> Obj:
    return {"operation": "UPDATE", "oldObject": old, "object": new} | more


def test_the_field_that_only_stands_for_the_annotation_follows_it() -> None:
    new = rollout("lane-2", "lane")
    answer = follow_name(update(rollout("lane", "lane"), new), View({}))
    assert dig(json_patch(new, list(answer.patch)), *PATH) == "lane-2"
    assert answer.warnings == ()


def test_a_field_that_somebody_wrote_stays_and_the_editor_is_told() -> None:
    new = rollout("lane-2", "lane", written=True)
    answer = follow_name(update(rollout("lane", "lane"), new), View({}))
    assert answer.patch == ()
    assert answer.warnings == (
        "Rollout web goes on with TrafficRouting lane, which spec.strategy.canary.trafficRoutingRef names; "
        f"edit that in place of the annotation {TRAFFIC_ROUTING_NAME}",
    )


def test_an_annotation_that_is_taken_away_leaves_the_field_and_the_editor_is_told() -> None:
    answer = follow_name(update(rollout("lane", "lane"), rollout(None, "lane")), View({}))
    assert (answer.patch, len(answer.warnings)) == ((), 1)


def test_other_edits_are_let_be() -> None:
    old = rollout("lane", "lane")
    for new in (old, rollout("lane", "lane-2"), rollout("lane-2", "lane-2"), rollout("lane-2", None)):
        assert follow_name(update(old, new), View({})) == ALLOWED
    assert follow_name(update(old, rollout("lane-2", "lane"), subResource="status"), View({})) == ALLOWED
