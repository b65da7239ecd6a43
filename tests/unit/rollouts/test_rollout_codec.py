"""Rollouts are read narrowly: what is wrong is named by its field, what is not supported by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.errors import Invalid
from graylane.model.patches import merge_patch
from graylane.model.rollout import MetadataPatch, Step, WorkloadRef
from graylane.model.versions.rollout import decode
from graylane.rollouts.replicas import step_replicas, tolerated

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "end-to-end-canary" / "05-rollouts.yaml"
ROUTING = {"service": "web", "ingress": {"name": "web"}}


def manifest(canary: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    base = {
        "apiVersion": "rollouts.kruise.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {
            "objectRef": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
            "strategy": {"canary": {"steps": [{"replicas": 1, "pause": {}}], **(canary or {})}},
        },
    }
    return merge_patch(base, {"spec": spec})


def refusal(obj: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as caught:
        decode(obj)
    return caught.value.message


def steps(*entries: dict[str, Any]) -> dict[str, Any]:
    return manifest({"steps": list(entries)})


def test_the_examples_rollouts_decode() -> None:
    first, second = [decode(obj) for obj in yaml.safe_load_all(EXAMPLES.read_text())]
    assert first.workload == WorkloadRef("apps/v1", "Deployment", "mocka-base")
    assert first.steps == (Step(1),)
    assert first.patch == MetadataPatch({"istio.service.tag": "gray", "version": "canary"})
    assert (first.routing, second.routing) == ("mocka-tr", "mockb-tr")


def test_weight_stands_in_for_replicas() -> None:
    assert decode(steps({"weight": 20})).steps == (Step("20%", 20),)


def test_replicas_200_pass_and_mixed_steps_are_not_compared() -> None:
    assert decode(steps({"replicas": 5}, {"replicas": "10%"}, {"replicas": 200})).steps[2].replicas == 200


REFUSED = {
    "V1": (
        manifest(objectRef={"workloadRef": None}),
        "spec.objectRef.workloadRef: Required",
        "WorkloadRef is required",
    ),
    "V2": (
        manifest(objectRef={"workloadRef": {"apiVersion": "batch/v1", "kind": "Job"}}),
        "spec.objectRef.workloadRef.kind",
        "WorkloadRef kind is not supported",
    ),
    "V2 not yet": (
        manifest(objectRef={"workloadRef": {"kind": "StatefulSet"}}),
        "apps/v1 StatefulSet",
        "not supported by Graylane yet",
    ),
    "V3": (
        manifest() | {"metadata": {"name": "web", "annotations": {"rollouts.kruise.io/rolling-style": "blue"}}},
        "metadata.annotations.rollouts.kruise.io/rolling-style",
        "Rolling style must be 'Canary', 'Partition' or empty",
    ),
    "partition": (
        manifest() | {"metadata": {"name": "web", "annotations": {"rollouts.kruise.io/rolling-style": "Partition"}}},
        "Forbidden",
        "partition is not supported by Graylane yet",
    ),
    "V4": (manifest(strategy={"canary": None}), "spec.strategy.canary: Required", "Canary cannot be empty"),
    "V5": (steps(), "spec.strategy.canary.steps: Required", "The number of Canary.Steps cannot be empty"),
    "V6": (
        steps({"pause": {}}),
        "spec.strategy.canary.steps[0].replicas: Required",
        "weight and replicas cannot be empty at the same time",
    ),
    "V7 above": (steps({"replicas": "101%"}), "steps[0].replicas", '"0%" < canaryReplicas <= "100%"'),
    "V7 zero": (steps({"replicas": "0%"}), "steps[0].replicas", "replicas must be positive number"),
    "V7 below": (steps({"replicas": -1}), "steps[0].replicas", "replicas must be positive number"),
    "V7 text": (steps({"replicas": "many"}), "steps[0].replicas", "replicas must be positive number"),
    "V9": (
        steps({"replicas": "50%"}, {"replicas": "20%"}),
        "steps[1].replicas",
        "Steps.CanaryReplicas must be a non decreasing sequence",
    ),
    "V10": (
        manifest({"trafficRoutings": [ROUTING, ROUTING]}),
        "trafficRoutings",
        "Rollout currently only support single TrafficRouting.",
    ),
    "V11": (
        manifest({"trafficRoutings": [{"ingress": {"name": "x"}}]}),
        "trafficRoutings[0].service",
        "TrafficRouting.Service cannot be empty",
    ),
    "V12": (manifest({"trafficRoutings": [{"service": "web"}]}), "trafficRoutings[0]", "TrafficRoutings are not set"),
    "V13": (
        manifest({"trafficRoutings": [{"service": "web", "ingress": {"name": ""}}]}),
        "ingress.name",
        "TrafficRouting.Ingress.Ingress cannot be empty",
    ),
    "V14": (
        manifest({"trafficRoutings": [{"service": "web", "gateway": {}}]}),
        "gateway.httpRouteName",
        "TrafficRouting.Gateway must set the name of HTTPRoute or HTTPsRoute",
    ),
    "routes twice": (
        manifest({"trafficRoutings": [ROUTING]})
        | {"metadata": {"name": "web", "annotations": {"rollouts.kruise.io/trafficrouting": "tr"}}},
        "trafficRoutings: Forbidden",
        "names TrafficRouting tr",
    ),
    "a weight too large": (
        manifest({"steps": [{"replicas": 1, "weight": 101}], "trafficRoutings": [ROUTING]}),
        "spec.strategy.canary.steps",
        "from 0 to 100",
    ),
    "a wrong grace": (
        manifest({"trafficRoutings": [ROUTING | {"gracePeriodSeconds": -1}]}),
        "trafficRoutings[0].gracePeriodSeconds",
        "cannot be negative",
    ),
    "blue-green": (
        manifest(strategy={"canary": None, "blueGreen": {"steps": []}}),
        "spec.strategy.blueGreen: Forbidden",
        "blue-green releases are not supported by Graylane yet",
    ),
    "a wrong deadline": (
        manifest() | {"metadata": {"name": "web", "annotations": {"graylane.dev/progress-deadline-seconds": "5m"}}},
        "metadata.annotations.graylane.dev/progress-deadline-seconds",
        "a number of seconds above 0",
    ),
    "a wrong reaction": (
        manifest() | {"metadata": {"name": "web", "annotations": {"graylane.dev/on-failure": "retry"}}},
        "metadata.annotations.graylane.dev/on-failure",
        "'hold' or 'abort'",
    ),
    "step matches": (
        steps({"replicas": 1, "matches": [{"headers": []}]}),
        "steps[0].matches: Forbidden",
        "TrafficRouting",
    ),
    "step headers": (
        steps({"replicas": 1, "requestHeaderModifier": {"remove": ["x"]}}),
        "steps[0].requestHeaderModifier: Forbidden",
        "TrafficRouting",
    ),
    "a wrong type": (steps({"replicas": True}), "steps[0].replicas", "must be an integer or a percentage"),
    "a wrong list": (manifest({"steps": "all"}), "spec.strategy.canary.steps", "must be a JSON array"),
    "a wrong threshold": (manifest({"failureThreshold": "some"}), "failureThreshold", "number of pods or a percentage"),
}


@pytest.mark.parametrize(("obj", "where", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_carried_out_is_refused_by_field_and_reason(obj: dict[str, Any], where: str, why: str) -> None:
    message = refusal(obj)
    assert where in message
    assert why in message


def test_routes_of_a_step_that_say_nothing_are_no_routes() -> None:
    assert decode(steps({"replicas": 1, "matches": [], "requestHeaderModifier": {}})).steps == (Step(1),)


def test_every_problem_is_named_at_once() -> None:
    message = refusal(manifest({"steps": [{}]}, objectRef={"workloadRef": None}))
    assert "WorkloadRef is required" in message
    assert "weight and replicas" in message


def test_another_api_version_is_refused_by_name() -> None:
    assert "supported values: rollouts.kruise.io/v1alpha1" in refusal(
        manifest() | {"apiVersion": "rollouts.kruise.io/v1"}
    )


def test_the_plans_hash_ignores_pauses_and_tolerance() -> None:
    plain = decode(steps({"replicas": 1}))
    assert decode(steps({"replicas": 1, "pause": {"duration": 5}})).plan_hash == plain.plan_hash
    assert decode(manifest({"failureThreshold": 1})).plan_hash == plain.plan_hash
    assert decode(steps({"replicas": 2})).plan_hash != plain.plan_hash


@pytest.mark.parametrize(
    ("replicas", "total", "wanted"),
    [("10%", 3, 1), ("50%", 3, 2), (5, 3, 3), ("1%", 1, 1), ("100%", 7, 7), (1, 0, 0)],
)
def test_step_replicas(replicas: int | str, total: int, wanted: int) -> None:
    assert step_replicas(replicas, total) == wanted


@pytest.mark.parametrize(("threshold", "wanted", "pods"), [(0, 4, 0), ("50%", 2, 1), ("100%", 4, 3), (9, 1, 0)])
def test_tolerated_pods_leave_at_least_one(threshold: int | str, wanted: int, pods: int) -> None:
    assert tolerated(threshold, wanted) == pods
