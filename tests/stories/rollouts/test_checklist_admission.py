"""The checklist's rows about what is admitted: in OpenKruise's words, each as a request to the webhook."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.model.meta import Obj
from graylane.model.patches import merge_patch
from graylane.model.rollout import ROLLING_STYLE
from graylane.model.versions.rollout import convert
from graylane.model.versions.rollout_conversion import V1BETA1
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.webhooks.rollouts import validate_rollout


def asked(stage: ReleaseStage, new: Obj, old: Obj | None = None) -> str:
    """What the webhook answers: "" for yes, else the refusal, which is always HTTP 422."""
    request = {"operation": "UPDATE" if old else "CREATE", "namespace": NAMESPACE, "object": new, "oldObject": old}
    response = validate_rollout(request, stage.world.view())
    if response.error is None:
        return ""
    assert response.error.http_code == 422
    return response.error.message


def created(*steps: Obj, canary: Obj | None = None, **spec: Any) -> str:
    stage = ReleaseStage(steps=steps, routed=False)
    obj = {"apiVersion": "rollouts.kruise.io/v1alpha1"} | stage.manifest()
    return asked(stage, merge_patch(obj, {"spec": spec | {"strategy": {"canary": canary or {}}}}))


def progressing(**changes: Any) -> str:
    stage = ReleaseStage().begin().push("v2").settle()
    return asked(stage, merge_patch(stage.rollout(), changes), stage.rollout())


def test_row_6_without_a_workload() -> None:
    assert "WorkloadRef is required" in created({"replicas": 1}, objectRef={"workloadRef": None})


@pytest.mark.parametrize("kind", ["Job", "StatefulSet", "DaemonSet"])
def test_row_7_another_kind(kind: str) -> None:
    assert "not supported" in created({"replicas": 1}, objectRef={"workloadRef": {"kind": kind}})


def test_row_8_without_steps() -> None:
    assert "The number of Canary.Steps cannot be empty" in created()


def test_row_9_a_step_that_asks_for_nothing() -> None:
    assert "weight and replicas cannot be empty at the same time" in created({"pause": {}})


@pytest.mark.parametrize("replicas", ["101%", "0%", -1])
def test_row_10_replicas_out_of_range(replicas: int | str) -> None:
    assert "replicas must be positive number, or a percentage with" in created({"replicas": replicas})


def test_rows_11_and_13_large_counts_and_mixed_steps_pass() -> None:
    assert created({"replicas": 200}) == ""
    assert created({"replicas": 5}, {"replicas": "10%"}) == ""


def test_row_12_replicas_that_shrink() -> None:
    said = created({"replicas": "50%"}, {"replicas": "20%"})
    assert "Steps.CanaryReplicas must be a non decreasing sequence" in said


def test_row_14_two_traffic_routings() -> None:
    routing = {"service": "web", "ingress": {"name": "web"}}
    said = created({"replicas": 1, "weight": 5}, canary={"trafficRoutings": [routing, routing]})
    assert "Rollout currently only support single TrafficRouting." in said


def test_row_15_an_unknown_rolling_style() -> None:
    stage = ReleaseStage(routed=False)
    styled = merge_patch(stage.manifest(), {"metadata": {"annotations": {ROLLING_STYLE: "blue"}}})
    assert "Rolling style must be 'Canary', 'Partition' or empty" in asked(stage, styled)


def test_row_16_a_second_rollout_of_one_workload() -> None:
    stage = ReleaseStage().begin()
    second = merge_patch(stage.manifest(), {"metadata": {"name": "second"}})
    assert "This rollout conflict with Rollout(shop/web), one workload only have less than one Rollout" in asked(
        stage, second
    )


def test_row_16_holds_across_api_versions_and_spellings() -> None:
    stage = ReleaseStage().begin()
    second = convert(merge_patch(stage.rollout(), {"metadata": {"name": "second", "uid": None}}), V1BETA1)
    second["spec"]["strategy"]["canary"]["trafficRoutingRef"] = "web"
    assert "spec.workloadRef: Invalid value" in asked(stage, second)
    assert "This rollout conflict with Rollout(shop/web)" in asked(stage, second)


def test_row_17_another_workload_in_the_middle() -> None:
    said = progressing(spec={"objectRef": {"workloadRef": {"name": "other"}}})
    assert "Rollout 'ObjectRef' field is immutable" in said


def test_row_18_another_rolling_style_in_the_middle() -> None:
    said = progressing(metadata={"annotations": {ROLLING_STYLE: "partition"}})
    assert "Rollout 'Rolling-Style' annotation is immutable" in said


def test_row_94_in_v1beta1_the_number_of_steps_stays_in_the_middle() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    old = convert(stage.rollout(), V1BETA1)
    more = {"canary": {"steps": [{"replicas": 1}, {"replicas": 2}]}}
    new = merge_patch(old, {"spec": {"strategy": more}})
    assert asked(stage, new, old).endswith("Amount of Rollout steps are immutable")
    assert progressing(spec={"strategy": more}) == "", "v1alpha1 allows it, and the release goes on by the new plan"


def test_routes_cannot_change_in_the_middle() -> None:
    routing = {"service": "web", "ingress": {"name": "web"}}
    said = progressing(spec={"strategy": {"canary": {"trafficRoutings": [routing]}}})
    assert "Rollout 'Strategy.Canary.TrafficRoutings' field is immutable" in said
