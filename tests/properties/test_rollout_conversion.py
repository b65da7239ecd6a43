"""A Rollout or a BatchRelease read in the other API version and written back is what it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graylane.errors import Invalid
from graylane.model.rollout import ROLLING_STYLE, TRAFFIC_ROUTING_NAME
from graylane.model.versions import batchrelease
from graylane.model.versions.rollout import convert, decode
from graylane.model.versions.rollout_conversion import V1ALPHA1, V1BETA1

PERCENT = st.integers(1, 100)
REPLICAS = st.one_of(st.integers(1, 9), PERCENT.map(lambda number: f"{number}%"))
HEADER = {"type": "Exact", "name": "x-lane", "value": "blue"}
REQUESTS = {
    "matches": st.just([{"headers": [HEADER], "path": {"type": "PathPrefix", "value": "/p"}}]),
    "requestHeaderModifier": st.just({"set": [{"name": "x", "value": "1"}]}),
    "pause": st.sampled_from([{}, {"duration": 5}]),
}
CANARY = {
    "failureThreshold": st.just("25%"),
    "patchPodTemplateMetadata": st.just({"labels": {"lane": "gray"}}),
    "trafficRoutings": st.just([{"service": "web", "ingress": {"name": "web"}}]),
    "disableGenerateCanaryService": st.booleans(),
}
STATUS = st.sampled_from(
    [
        {"phase": "Healthy"},
        {"phase": "Progressing", "canaryStatus": {"currentStepIndex": 2, "currentStepState": "StepPaused"}},
        {"phase": "Progressing", "blueGreenStatus": {"updatedReplicas": 1}},
    ]
)
WORKLOAD = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        ROLLING_STYLE: st.sampled_from(["canary", "Canary", "partition", "Partition"]),
        TRAFFIC_ROUTING_NAME: st.just("tr"),
        "team": st.just("a"),
    },
)


def optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


@st.composite
def alphas(draw: st.DrawFn) -> dict[str, Any]:
    def step() -> dict[str, Any]:
        asked = draw(optional(weight=PERCENT, replicas=REPLICAS, **REQUESTS))
        if asked.get("replicas") == f"{asked.get('weight')}%":
            del asked["replicas"]  # says the same twice; it comes back said once
        return asked

    canary = {"steps": [step() for _ in range(draw(st.integers(1, 3)))]} | draw(optional(**CANARY))
    spec = draw(optional(rolloutID=st.just("7"), disabled=st.booleans()))
    spec |= {"objectRef": {"workloadRef": WORKLOAD}, "strategy": {"canary": canary}}
    return whole(draw, V1ALPHA1, spec)


@st.composite
def betas(draw: st.DrawFn) -> dict[str, Any]:
    percent = PERCENT.map(lambda number: f"{number}%")
    steps = draw(st.lists(st.fixed_dictionaries({"replicas": REPLICAS}, optional={"traffic": percent} | REQUESTS)))
    canary = {"steps": steps, "enableExtraWorkloadForCanary": draw(st.booleans())} | draw(optional(**CANARY))
    canary |= draw(optional(trafficRoutingRef=st.just("tr")))
    strategy = draw(st.sampled_from([{"canary": canary}, {"blueGreen": {"steps": [{"replicas": "100%"}]}}]))
    return whole(draw, V1BETA1, {"workloadRef": WORKLOAD, "strategy": strategy})


def whole(draw: st.DrawFn, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    annotations = draw(ANNOTATIONS)
    metadata = {"name": "web", "namespace": "shop"} | ({"annotations": annotations} if annotations else {})
    return {"apiVersion": version, "kind": "Rollout", "metadata": metadata, "spec": spec, "status": draw(STATUS)}


@given(alphas())
def test_v1alpha1_comes_back_from_v1beta1_as_it_was(obj: dict[str, Any]) -> None:
    assert convert(convert(obj, V1BETA1), V1ALPHA1) == obj


@given(betas())
def test_v1beta1_comes_back_from_v1alpha1_as_it_was(obj: dict[str, Any]) -> None:
    """Where an annotation contradicts the field the field wins; where the field is absent the annotation fills it."""
    canary = obj["spec"]["strategy"].get("canary")
    annotations = dict(obj["metadata"].get("annotations") or {})
    if canary is not None:
        if TRAFFIC_ROUTING_NAME in annotations:
            canary["trafficRoutingRef"] = annotations[TRAFFIC_ROUTING_NAME]
        style = "partition" if not canary["enableExtraWorkloadForCanary"] else "canary"
        if ROLLING_STYLE in annotations and annotations[ROLLING_STYLE].lower() != style:
            obj["metadata"]["annotations"] = annotations | {ROLLING_STYLE: style}
    status = obj["status"]
    status |= {k: v for k, v in status.get("canaryStatus", {}).items() if k.startswith("currentStep")}
    assert convert(convert(obj, V1ALPHA1), V1BETA1) == obj


@given(st.one_of(alphas(), betas()))
def test_both_versions_mean_the_same_rollout(obj: dict[str, Any]) -> None:
    """What one version accepts the other accepts, except that v1beta1 is stricter about a traffic of 0%."""
    other = convert(obj, V1BETA1 if obj["apiVersion"] == V1ALPHA1 else V1ALPHA1)
    assert meaning(obj) == meaning(other)


def meaning(obj: dict[str, Any]) -> object:
    try:
        return decode(obj)
    except Invalid:
        return "refused"


PLANS = optional(
    batches=st.just([{"canaryReplicas": "20%"}]),
    batchPartition=st.integers(0, 3),
    enableExtraWorkloadForCanary=st.booleans(),
    rollingStyle=st.sampled_from(["Canary", "Partition"]),
)
PLACES = {V1ALPHA1: {"targetReference": {"workloadRef": WORKLOAD}}, V1BETA1: {"workloadRef": WORKLOAD}}


@given(st.sampled_from([V1ALPHA1, V1BETA1]), PLANS, STATUS)
def test_a_batch_release_comes_back_from_the_other_version_as_it_was(
    version: str, plan: dict[str, Any], status: dict[str, Any]
) -> None:
    spec = PLACES[version] | {"releasePlan": plan}
    obj = {"apiVersion": version, "kind": "BatchRelease", "metadata": {"name": "web"}, "spec": spec, "status": status}
    other = V1BETA1 if version == V1ALPHA1 else V1ALPHA1
    seen = batchrelease.convert(obj, other)
    assert seen["spec"] == PLACES[other] | {"releasePlan": plan}
    assert batchrelease.convert(seen, version) == obj


def test_the_style_that_openkruise_annotates_is_the_field_of_v1beta1() -> None:
    metadata = {"name": "web", "annotations": {ROLLING_STYLE: "Partition"}}
    obj = {"apiVersion": V1ALPHA1, "kind": "BatchRelease", "metadata": metadata, "spec": {"releasePlan": {}}}
    seen = batchrelease.convert(obj, V1BETA1)
    assert seen["spec"]["releasePlan"] == {"enableExtraWorkloadForCanary": False}
