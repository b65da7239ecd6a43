"""HorizontalPodAutoscalers as the API keeps them: what is filled in, what is refused, and their size through v1."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.rig import Rig

Obj = dict[str, Any]
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
ALL = {"type": "Percent", "value": 100, "periodSeconds": 15}
FOUR = {"type": "Pods", "value": 4, "periodSeconds": 15}


def autoscaler(**spec: object) -> Obj:
    return {"metadata": {"name": "a"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3} | spec}


def path(ns: str, version: str = "v2") -> str:
    return f"/apis/autoscaling/{version}/namespaces/{ns}/horizontalpodautoscalers"


@pytest.mark.parametrize(
    ("said", "filled"),
    [
        (None, None),
        (
            {},
            {
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [FOUR, ALL]},
                "scaleDown": {"selectPolicy": "Max", "policies": [ALL]},
            },
        ),
        (
            {"scaleDown": {"stabilizationWindowSeconds": 0, "policies": [FOUR]}},
            {
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [FOUR, ALL]},
                "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [FOUR]},
            },
        ),
    ],
)
async def test_a_behavior_is_written_out(api: Rig, ns: str, said: Obj | None, filled: Obj | None) -> None:
    made = await api.create(path(ns), autoscaler(**({} if said is None else {"behavior": said})))
    assert made["spec"].get("behavior") == filled


def resource(**target: object) -> Obj:
    return {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"} | target}}]}


def source(kind: str, field: str, **more: object) -> Obj:
    return {"metrics": [{"type": kind, field: {"target": {"type": "Value"}} | more}]}


def down(**rules: object) -> Obj:
    return {"behavior": {"scaleDown": rules}}


WRONG: list[tuple[Obj, set[str]]] = [
    ({"minReplicas": 4}, {"spec.maxReplicas"}),
    ({"minReplicas": 0}, {"spec.minReplicas", "spec.metrics"}),
    ({"metrics": [{"type": ""}]}, {"spec.metrics[0].type"}),
    ({"metrics": [{"type": "Pigeons"}]}, {"spec.metrics[0].type"}),
    ({"metrics": [{"type": "Resource"}]}, {"spec.metrics[0].resource"}),
    (resource(), {"spec.metrics[0].resource.target.averageUtilization"}),
    (resource(averageUtilization=0), {"spec.metrics[0].resource.target.averageUtilization"}),
    (resource(averageUtilization=5, averageValue="1"), {"spec.metrics[0].resource.target.averageValue"}),
    (resource(averageValue="-1"), {"spec.metrics[0].resource.target.averageValue"}),
    (resource(averageUtilization=5, type="Pigeons"), {"spec.metrics[0].resource.target.type"}),
    (source("Pods", "pods", metric={"name": "a"}), {"spec.metrics[0].pods.target.averageValue"}),
    (source("External", "external", metric={"name": "a"}), {"spec.metrics[0].external.target.averageValue"}),
    (
        source("Object", "object", metric={"name": ""}, describedObject={"kind": "a", "name": "", "apiVersion": "v1"}),
        {
            "spec.metrics[0].object.metric.name",
            "spec.metrics[0].object.describedObject.name",
            "spec.metrics[0].object.target.averageValue",
        },
    ),
    (down(stabilizationWindowSeconds=-1), {"spec.behavior.scaleDown.stabilizationWindowSeconds"}),
    (down(stabilizationWindowSeconds=3601), {"spec.behavior.scaleDown.stabilizationWindowSeconds"}),
    (down(selectPolicy="Mean"), {"spec.behavior.scaleDown.selectPolicy"}),
    (down(policies=[]), {"spec.behavior.scaleDown.policies"}),
    (
        down(policies=[{"type": "Pigeons", "value": 0, "periodSeconds": 0}]),
        {f"spec.behavior.scaleDown.policies[0].{name}" for name in ("type", "value", "periodSeconds")},
    ),
    (
        down(policies=[{"type": "Pods", "value": 1, "periodSeconds": 1801}]),
        {"spec.behavior.scaleDown.policies[0].periodSeconds"},
    ),
]


async def test_every_mistake_is_named_by_its_field(api: Rig, ns: str) -> None:
    for change, fields in WRONG:
        answer = await api.call("POST", path(ns), autoscaler(**change))
        assert (answer.status, answer.reason) == (422, "Invalid"), (change, answer.body)
        assert {cause["field"] for cause in answer.json["details"]["causes"]} == fields, answer.message


async def test_v1_shows_the_use_of_the_cpu_and_no_conditions(api: Rig, ns: str) -> None:
    await api.create(path(ns), autoscaler(metrics=resource(averageUtilization=60)["metrics"]))
    status = {
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "currentMetrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": 70, "averageValue": "7m"}},
            }
        ],
        "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    await api.patch(f"{path(ns)}/a/status", {"status": status})
    assert (await api.get(f"{path(ns)}/a"))["status"] == status
    older = await api.get(f"{path(ns, 'v1')}/a")
    assert older["spec"]["targetCPUUtilizationPercentage"] == 60
    assert older["status"] == {"currentReplicas": 2, "desiredReplicas": 3, "currentCPUUtilizationPercentage": 70}


OTHERS: list[Obj] = [
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "15Mi"}}},
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "x",
            "target": {"type": "Utilization", "averageUtilization": 70},
        },
    },
    {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "9"}}},
    {
        "type": "Object",
        "object": {
            "describedObject": {"kind": "Ingress", "name": "m", "apiVersion": "networking.k8s.io/v1"},
            "metric": {"name": "q"},
            "target": {"type": "Value", "value": "9"},
        },
    },
    {
        "type": "External",
        "external": {
            "metric": {"name": "e", "selector": {"matchLabels": {"a": "b"}}},
            "target": {"type": "AverageValue", "averageValue": "3"},
        },
    },
]
CURRENT: list[Obj] = [
    {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 70, "averageValue": "7m"}}},
    {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "7Mi"}}},
]
CONDITION: Obj = {
    "type": "AbleToScale",
    "status": "True",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "reason": "a",
    "message": "b",
}
NOTES = {
    "autoscaling.alpha.kubernetes.io/behavior": (
        '{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,'
        '"PeriodSeconds":15},{"Type":"Percent","Value":100,"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":'
        '{"StabilizationWindowSeconds":7,"SelectPolicy":"Max","Policies":[{"Type":"Percent","Value":100,'
        '"PeriodSeconds":15}],"Tolerance":null}}'
    ),
    "autoscaling.alpha.kubernetes.io/conditions": (
        '[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z","reason":"a","message":"b"}]'
    ),
    "autoscaling.alpha.kubernetes.io/current-metrics": (
        '[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":70,"currentAverageValue":"7m"}},'
        '{"type":"Resource","resource":{"name":"memory","currentAverageValue":"7Mi"}}]'
    ),
    "autoscaling.alpha.kubernetes.io/metrics": (
        '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"15Mi"}},'
        '{"type":"ContainerResource","containerResource":{"name":"cpu","targetAverageUtilization":70,"container":"x"}},'
        '{"type":"Pods","pods":{"metricName":"hits","targetAverageValue":"9"}},'
        '{"type":"Object","object":{"target":{"kind":"Ingress","name":"m","apiVersion":"networking.k8s.io/v1"},'
        '"metricName":"q","targetValue":"9"}},'
        '{"type":"External","external":{"metricName":"e","metricSelector":{"matchLabels":{"a":"b"}},'
        '"targetAverageValue":"3"}}]'
    ),
}


async def test_what_v1_has_no_field_for_survives_its_clients(api: Rig, ns: str) -> None:
    metrics = [*resource(averageUtilization=60)["metrics"], *OTHERS]
    wanted = autoscaler(metrics=metrics, behavior={"scaleDown": {"stabilizationWindowSeconds": 7}})
    wanted["metadata"]["annotations"] = {"mine": "kept"}
    made = await api.create(path(ns), wanted)
    status = {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": CURRENT, "conditions": [CONDITION]}
    await api.patch(f"{path(ns)}/a/status", {"status": status})
    older = await api.get(f"{path(ns, 'v1')}/a")
    assert older["metadata"]["annotations"] == {"mine": "kept", **NOTES}
    older["spec"]["maxReplicas"] = 9
    await api.replace(f"{path(ns, 'v1')}/a", older)
    newer = await api.get(f"{path(ns)}/a")
    assert newer["metadata"]["annotations"] == {"mine": "kept"}
    assert newer["spec"] == made["spec"] | {"maxReplicas": 9, "metrics": [*OTHERS, metrics[0]]}
    assert newer["status"] == status


WRONG_NOTES = (
    {"autoscaling.alpha.kubernetes.io/metrics": '[{"type":"Pigeons"}]'},
    {"autoscaling.alpha.kubernetes.io/metrics": '[{"type":"Resource","resource":{"name":"memory"}}]'},
    {"autoscaling.alpha.kubernetes.io/behavior": '{"ScaleDown":{"Policies":[{"Type":"Pods","Value":0}]}}'},
)


async def test_what_stands_in_annotations_of_v1_is_checked_too(api: Rig, ns: str) -> None:
    for note in WRONG_NOTES:
        wanted = autoscaler(targetCPUUtilizationPercentage=50)
        wanted["metadata"]["annotations"] = note
        answer = await api.call("POST", path(ns, "v1"), wanted)
        assert answer.status == 422, (note, answer.body)
    assert (await api.get(path(ns)))["items"] == []


@pytest.mark.parametrize("text", ['["memory"]', "memory", '{"type":"Resource"}'])
async def test_what_cannot_be_read_there_is_ignored(api: Rig, ns: str, text: str) -> None:
    wanted = autoscaler(targetCPUUtilizationPercentage=50)
    wanted["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": text}
    await api.create(path(ns, "v1"), wanted)
    newer = await api.get(f"{path(ns)}/a")
    assert newer["spec"]["metrics"] == resource(averageUtilization=50)["metrics"]
    assert "annotations" not in newer["metadata"]
