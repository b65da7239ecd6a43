"""Deletion: at once, held by finalizers, with grace, with conditions; whole collections; whole namespaces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graylane.testing.api.objects import config_map, namespace, pod
from graylane.testing.api.rig import Rig


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


async def test_a_plain_object_goes_at_once_and_a_status_says_which(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    status = await api.delete(f"{maps(ns)}/a")
    assert (status["kind"], status["status"]) == ("Status", "Success")
    assert status["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await api.call("DELETE", f"{maps(ns)}/a")).status == 404


async def test_who_is_refused_sees_why_at_once(api: Rig, ns: str) -> None:
    """The second of two who create or delete the same object at the same time, as soon as it has its answer."""

    async def refused(method: str, path: str, status: int, body: Any = None) -> int:
        if (await api.call(method, path, body)).status != status:
            return 0
        return (await api.call("GET", f"{maps(ns)}/a")).status

    for _ in range(5):
        creations = [refused("POST", maps(ns), 409, config_map("a")) for _ in range(3)]
        assert sorted(await asyncio.gather(*creations)) == [0, 200, 200]
        deletions = [refused("DELETE", f"{maps(ns)}/a", 404) for _ in range(3)]
        assert sorted(await asyncio.gather(*deletions)) == [0, 404, 404]


async def test_a_finalizer_holds_an_object_until_it_is_taken_away(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", finalizers=["example.com/hold"]))
    held = await api.delete(f"{maps(ns)}/a")
    assert held["metadata"]["deletionTimestamp"]
    again = await api.delete(f"{maps(ns)}/a")
    assert again["metadata"]["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    added = await api.call(
        "PATCH",
        f"{maps(ns)}/a",
        {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}},
        content_type="application/merge-patch+json",
    )
    assert added.status == 422
    assert "no new finalizers can be added if the object is being deleted" in added.message
    await api.patch(f"{maps(ns)}/a", {"metadata": {"finalizers": None}})
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404


async def test_the_last_finalizer_ends_a_watchers_object_with_deleted(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a", finalizers=["example.com/hold"]))
    async with api.watch(maps(ns), resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await api.delete(f"{maps(ns)}/a")
        await api.patch(f"{maps(ns)}/a", {"metadata": {"finalizers": []}})
        assert await watch.take(2) == [("MODIFIED", "a"), ("DELETED", "a")]


@pytest.mark.parametrize(("policy", "finalizers"), [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])])
async def test_propagation_is_written_as_a_finalizer(api: Rig, ns: str, policy: str, finalizers: list[str]) -> None:
    await api.create(maps(ns), config_map("a", finalizers=["example.com/hold"]))
    held = await api.delete(f"{maps(ns)}/a", {"propagationPolicy": policy})
    assert set(finalizers) <= set(held["metadata"]["finalizers"])


async def test_conditions_on_uid_and_version_are_kept(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await api.call("DELETE", f"{maps(ns)}/a", {"preconditions": wrong})
        assert (answer.status, answer.reason) == (409, "Conflict")
    await api.delete(f"{maps(ns)}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})


async def test_a_scheduled_pod_has_its_grace_period(api: Rig, ns: str) -> None:
    pods = f"/api/v1/namespaces/{ns}/pods"
    await api.create(pods, pod("a", nodeName="somewhere", terminationGracePeriodSeconds=7))
    ending = await api.delete(f"{pods}/a")
    assert ending["metadata"]["deletionGracePeriodSeconds"] == 7
    shorter = await api.delete(f"{pods}/a", {"gracePeriodSeconds": 3})
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 3
    await api.delete(f"{pods}/a", {"gracePeriodSeconds": 0})
    assert (await api.call("GET", f"{pods}/a")).status == 404


async def test_a_pod_without_a_node_goes_at_once(api: Rig, ns: str) -> None:
    pods = f"/api/v1/namespaces/{ns}/pods"
    await api.create(pods, pod("a", schedulerName="nobody"))
    assert (await api.delete(f"{pods}/a"))["kind"] == "Pod"
    assert (await api.call("GET", f"{pods}/a")).status == 404


async def test_a_collection_is_deleted_by_selector(api: Rig, ns: str) -> None:
    for name in "abc":
        await api.create(maps(ns), config_map(name, labels={"go": "no" if name == "c" else "yes"}))
    deleted = await api.delete(maps(ns), labelSelector="go=yes")
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "b"]
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404
    assert (await api.call("GET", f"{maps(ns)}/c")).status == 200


@pytest.mark.bare("a namespace controller finalizes at once")
async def test_an_ending_namespace_takes_nothing_new_and_goes_when_it_is_finalized(api: Rig) -> None:
    made = await api.create("/api/v1/namespaces", namespace("ending"))
    await api.create(maps("ending"), config_map("a"))
    held = await api.delete("/api/v1/namespaces/ending")
    assert held["status"]["phase"] == "Terminating"
    refused = await api.call("POST", maps("ending"), config_map("b"))
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    await api.delete(f"{maps('ending')}/a")
    empty = {**made, "spec": {"finalizers": []}, "metadata": {"name": "ending"}}
    await api.replace("/api/v1/namespaces/ending/finalize", empty)
    assert (await api.call("GET", "/api/v1/namespaces/ending")).status == 404


async def test_system_namespaces_cannot_be_deleted(api: Rig) -> None:
    answer = await api.call("DELETE", "/api/v1/namespaces/kube-system")
    assert (answer.status, answer.message) == (
        403,
        'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    )


async def test_eviction_deletes(api: Rig, ns: str) -> None:
    pods = f"/api/v1/namespaces/{ns}/pods"
    await api.create(pods, pod("a", schedulerName="nobody"))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": ns}}
    await api.create(f"{pods}/a/eviction", body)
    assert (await api.call("GET", f"{pods}/a")).status == 404


async def test_a_recreated_object_is_another_object(api: Rig, ns: str) -> None:
    first = await api.create(maps(ns), config_map("a"))
    await api.delete(f"{maps(ns)}/a")
    second = await api.create(maps(ns), config_map("a"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    stale = await api.call("PUT", f"{maps(ns)}/a", first)
    assert stale.status == 409
