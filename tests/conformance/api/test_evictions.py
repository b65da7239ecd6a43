"""Evictions ask the disruption budget's status, which a scenario writes in a controller's place."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import pod
from graylane.testing.api.rig import Result, Rig

Obj = dict[str, Any]
pytestmark = pytest.mark.bare("the controllers of a cluster count for themselves")


def budget(name: str = "b", labels: Obj | None = None, **spec: object) -> Obj:
    selector = {"matchLabels": {"app": "a"} if labels is None else labels}
    return {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": selector} | spec}


async def protected(api: Rig, ns: str, allowed: int, *, ready: bool = True, healthy: int = 1, **spec: object) -> None:
    """Pod `a`, which runs, and its budget `b`, which has been counted."""
    pods, budgets = f"/api/v1/namespaces/{ns}/pods", f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"
    await api.create(pods, pod("a", schedulerName="nobody"))
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    await api.patch(f"{pods}/a/status", {"status": {"phase": "Running", "conditions": conditions}})
    made = await api.create(budgets, budget(**spec))
    counts = {"currentHealthy": healthy, "desiredHealthy": 1, "expectedPods": 2, "disruptionsAllowed": allowed}
    status = counts | {"observedGeneration": made["metadata"]["generation"], "conditions": []}
    await api.patch(f"{budgets}/b/status", {"status": status})


async def evict(api: Rig, ns: str, **options: object) -> Result:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": ns}}
    path = f"/api/v1/namespaces/{ns}/pods/a/eviction"
    return await api.call("POST", path, body | ({"deleteOptions": options} if options else {}))


async def is_there(api: Rig, ns: str) -> bool:
    return (await api.call("GET", f"/api/v1/namespaces/{ns}/pods/a")).status == 200


async def counted(api: Rig, ns: str) -> Obj:
    found: Obj = (await api.get(f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/b"))["status"]
    return found


async def test_an_allowed_eviction_is_counted(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=1)
    assert (await evict(api, ns)).status == 201
    assert not await is_there(api, ns)
    status = await counted(api, ns)
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["a"])
    (told,) = status["conditions"]
    assert (told["type"], told["status"], told["reason"]) == ("DisruptionAllowed", "False", "InsufficientPods")


async def test_one_too_many_is_told_to_wait(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=0)
    answer = await evict(api, ns)
    assert (answer.status, answer.reason) == (429, "TooManyRequests")
    assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
    (cause,) = answer.json["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget b needs 1 healthy pods and has 1 currently"
    assert await is_there(api, ns)


async def test_a_budget_that_was_edited_is_counted_first(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=1)
    await api.patch(f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/b", {"spec": {"minAvailable": 2}})
    answer = await evict(api, ns)
    assert (answer.status, answer.json["details"]["retryAfterSeconds"]) == (429, 10)
    assert "still being processed by the server" in answer.json["details"]["causes"][0]["message"]
    assert await is_there(api, ns)


async def test_a_rehearsed_eviction_changes_nothing(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=1)
    assert (await evict(api, ns, dryRun=["All"])).status == 201
    assert await is_there(api, ns)
    assert (await counted(api, ns))["disruptionsAllowed"] == 1


@pytest.mark.parametrize(
    ("spec", "healthy", "goes"),
    [({}, 1, True), ({}, 0, False), ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, 0, True)],
)
async def test_a_pod_that_is_not_ready(api: Rig, ns: str, spec: Obj, healthy: int, goes: bool) -> None:
    await protected(api, ns, allowed=0, ready=False, healthy=healthy, **spec)
    assert (await evict(api, ns)).status == (201 if goes else 429)
    assert await is_there(api, ns) is not goes
    assert "disruptedPods" not in await counted(api, ns)


async def test_two_budgets_for_one_pod_are_too_many(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=1)
    await api.create(f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets", budget("c"))
    answer = await evict(api, ns)
    assert answer.status == 500
    assert "more than one PodDisruptionBudget" in answer.message
    assert await is_there(api, ns)


@pytest.mark.parametrize(("labels", "goes"), [({}, False), ({"app": "b"}, True)])
async def test_whose_budget_it_is(api: Rig, ns: str, labels: Obj, goes: bool) -> None:
    await protected(api, ns, allowed=0, labels=labels)
    assert (await evict(api, ns)).status == (201 if goes else 429)


async def test_an_eviction_names_its_pod(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=1)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "z", "namespace": ns}}
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/pods/a/eviction", body)
    assert (answer.status, answer.message) == (400, "name in URL does not match name in Eviction object")


async def test_a_used_up_budget_names_no_time_to_try_again(api: Rig, ns: str) -> None:
    await protected(api, ns, allowed=0)
    assert "retryAfterSeconds" not in (await evict(api, ns)).json["details"]
