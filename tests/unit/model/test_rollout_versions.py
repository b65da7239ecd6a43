"""v1beta1 beside v1alpha1: what a client of the one sees of what a client of the other wrote."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.errors import Invalid
from graylane.model.patches import merge_patch
from graylane.model.rollout import ROLLING_STYLE, TRAFFIC_ROUTING_NAME, Step
from graylane.model.versions.rollout import convert, decode
from graylane.model.versions.rollout_conversion import V1ALPHA1, V1BETA1

STEPS = [{"replicas": 1, "pause": {}}]
HEADER = {"type": "Exact", "name": "x-lane", "value": "blue"}


def beta(canary: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    base = {
        "apiVersion": V1BETA1,
        "kind": "Rollout",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "strategy": {"canary": {"steps": STEPS, "enableExtraWorkloadForCanary": True} | (canary or {})},
        },
    }
    return merge_patch(base, {"spec": spec})


def alpha(step: dict[str, Any], **annotations: str) -> dict[str, Any]:
    target = {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
    named = {TRAFFIC_ROUTING_NAME if key == "routing" else ROLLING_STYLE: text for key, text in annotations.items()}
    metadata = {"namespace": "shop", "name": "web"} | ({"annotations": named} if named else {})
    spec = {"objectRef": target, "strategy": {"canary": {"steps": [step]}}}
    return {"apiVersion": V1ALPHA1, "kind": "Rollout", "metadata": metadata, "spec": spec}


def test_row_20_a_weight_alone_is_traffic_and_replicas() -> None:
    canary = convert(alpha({"weight": 20}), V1BETA1)["spec"]["strategy"]["canary"]
    assert canary["steps"] == [{"traffic": "20%", "replicas": "20%"}]


def test_row_21_the_annotation_shows_as_the_field_and_stays() -> None:
    obj = convert(alpha({"replicas": 1}, routing="T"), V1BETA1)
    assert obj["spec"]["strategy"]["canary"]["trafficRoutingRef"] == "T"
    assert obj["metadata"]["annotations"] == {TRAFFIC_ROUTING_NAME: "T"}


def test_row_22_improve_the_field_alone_names_the_traffic_routing() -> None:
    obj = beta({"trafficRoutingRef": "T"})
    assert decode(obj).routing == decode(convert(obj, V1ALPHA1)).routing == "T"
    assert "annotations" not in convert(convert(obj, V1ALPHA1), V1BETA1)["metadata"], "nobody wrote one"


def test_row_23_improve_partition_in_any_spelling_is_refused_and_never_runs_as_canary() -> None:
    for style in ("partition", "Partition"):
        obj = alpha({"replicas": 1}, style=style)
        assert convert(obj, V1BETA1)["spec"]["strategy"]["canary"]["enableExtraWorkloadForCanary"] is False
        for seen in (obj, convert(obj, V1BETA1)):
            with pytest.raises(Invalid, match="partition is not supported by Graylane yet"):
                decode(seen)


def test_a_changed_field_wins_over_the_annotation_it_came_with() -> None:
    obj = convert(alpha({"replicas": 1}, routing="T", style="partition"), V1BETA1)
    obj["spec"]["strategy"]["canary"] |= {"trafficRoutingRef": "U", "enableExtraWorkloadForCanary": True}
    annotations = convert(obj, V1ALPHA1)["metadata"]["annotations"]
    assert annotations == {TRAFFIC_ROUTING_NAME: "U", ROLLING_STYLE: "canary"}


def test_a_step_keeps_path_query_and_headers() -> None:
    match = {"headers": [HEADER], "path": {"value": "/p"}, "queryParams": [{"name": "a", "value": "b"}]}
    step = {"replicas": 1, "traffic": "5%", "matches": [match]}
    obj = beta({"steps": [step], "trafficRoutings": [{"service": "web", "ingress": {"name": "web"}}]})
    assert convert(obj, V1ALPHA1)["spec"]["strategy"]["canary"]["steps"][0]["matches"] == [match]
    assert decode(obj).steps == (Step(1, 5, None, (match,)),)


REFUSED = {
    "V1": (beta(workloadRef=None), "spec.workloadRef: Required", "WorkloadRef is required"),
    "V2": (beta(workloadRef={"kind": "StatefulSet"}), "spec.workloadRef.kind", "not supported by Graylane yet"),
    "a DaemonSet": (beta(workloadRef={"kind": "DaemonSet"}), "apps/v1 DaemonSet", "not supported by Graylane yet"),
    "a CloneSet": (
        beta(workloadRef={"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet"}),
        "apps.kruise.io/v1alpha1 CloneSet",
        "not supported by Graylane yet",
    ),
    "partition": (
        beta({"enableExtraWorkloadForCanary": False}),
        "spec.strategy.canary.enableExtraWorkloadForCanary: Forbidden",
        "partition is not supported by Graylane yet",
    ),
    "blue-green": (
        beta(strategy={"canary": None, "blueGreen": {"steps": STEPS}}),
        "spec.strategy.blueGreen: Forbidden",
        "blue-green releases are not supported by Graylane yet",
    ),
    "both": (beta(strategy={"blueGreen": {}}), "spec.strategy.blueGreen", "cannot both be set"),
    "neither": (beta(strategy={"canary": None}), "spec.strategy.canary: Required", "cannot both be empty"),
    "no replicas": (beta({"steps": [{"traffic": "5%"}]}), "steps[0].replicas: Required", "replicas cannot be empty"),
    "no traffic": (
        beta({"steps": [{"replicas": 1, "traffic": "0%"}]}),
        "spec.strategy.canary.steps[0].traffic",
        'traffic must be percentage with "0%" < traffic <= "100%"',
    ),
}


@pytest.mark.parametrize(("obj", "where", "why"), REFUSED.values(), ids=REFUSED)
def test_what_v1beta1_cannot_have_is_refused_in_its_own_field_names(obj: dict[str, Any], where: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode(obj)
    assert where in caught.value.message
    assert why in caught.value.message


def test_traffic_that_is_no_percentage_has_no_v1alpha1_form() -> None:
    with pytest.raises(Invalid, match=r'steps\[0\].traffic: Invalid value: "much"'):
        convert(beta({"steps": [{"replicas": 1, "traffic": "much"}]}), V1ALPHA1)


def test_a_version_that_is_not_served_is_named() -> None:
    with pytest.raises(Invalid, match=r"cannot be had as 'rollouts.kruise.io/v1'"):
        convert(beta(), "rollouts.kruise.io/v1")
