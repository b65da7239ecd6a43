"""How things end and what is seen of it: deletion options, finalizers, collections, watches across it all."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import Obj, config_map, deployment, namespace, pod
from graylane.testing.api.rig import MERGE, Rig, expect

HOLD = "example.com/hold"
META = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Background"}, [HOLD]),
        ({"propagationPolicy": "Foreground"}, [HOLD, "foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, [HOLD, "orphan"]),
        ({"orphanDependents": True}, [HOLD, "orphan"]),
        ({"orphanDependents": False}, [HOLD]),
    ],
    ids=lambda part: "-".join(map(str, part.values())) if isinstance(part, dict) else "",
)
@pytest.mark.parametrize("where", ["body", "query"])
async def test_propagation_is_asked_for(api: Rig, ns: str, options: Obj, finalizers: list[str], where: str) -> None:
    await api.create(maps(ns), config_map("a", finalizers=[HOLD]))
    if where == "body":
        answer = await api.call("DELETE", f"{maps(ns)}/a", {"apiVersion": "v1", "kind": "DeleteOptions", **options})
    else:
        answer = await api.call("DELETE", f"{maps(ns)}/a", **{name: str(value) for name, value in options.items()})
    held = expect(answer, 202 if options.get("orphanDependents") is False else 200)
    assert set(held["metadata"]["finalizers"]) == set(finalizers)
    await api.patch(f"{maps(ns)}/a", {"metadata": {"finalizers": None}})


@pytest.mark.parametrize(
    "options",
    [{"propagationPolicy": "Sideways"}, {"dryRun": ["Some"]}, {"gracePeriodSeconds": "soon"}, {"preconditions": "x"}],
    ids=lambda options: next(iter(options)),
)
async def test_options_that_make_no_sense(api: Rig, ns: str, options: Obj) -> None:
    made = await api.create(maps(ns), config_map("a"))
    answer = await api.call("DELETE", f"{maps(ns)}/a", options)
    assert answer.status in (400, 422), answer.body
    assert await api.get(f"{maps(ns)}/a") == made


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"null null"], ids=["truncated", "a list", "a string", "two"])
async def test_options_that_cannot_be_read(api: Rig, ns: str, body: bytes) -> None:
    made = await api.create(maps(ns), config_map("a"))
    assert (await api.call("DELETE", f"{maps(ns)}/a", body)).status == 400
    assert await api.get(f"{maps(ns)}/a") == made


async def test_a_held_object_counts_its_deletion_as_a_change(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    body = deployment("a")
    body["metadata"]["finalizers"] = [HOLD]
    await api.create(path, body)
    held = await api.delete(f"{path}/a")
    assert held["metadata"]["generation"] == 2
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    await api.patch(f"{path}/a", {"metadata": {"finalizers": None}})


async def test_an_ending_object_can_still_be_changed_but_not_saved(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", finalizers=[HOLD]))
    held = await api.delete(f"{maps(ns)}/a")
    change = {"metadata": {"deletionTimestamp": None}, "data": {"a": "2"}}
    after = await api.patch(f"{maps(ns)}/a", change)
    assert after["metadata"]["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    assert after["data"] == {"a": "2"}
    last = await api.patch(f"{maps(ns)}/a", {"metadata": {"finalizers": []}})
    assert last["metadata"]["name"] == "a"
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404


async def test_a_name_is_taken_while_its_object_ends(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", finalizers=[HOLD]))
    await api.delete(f"{maps(ns)}/a")
    again = await api.call("POST", maps(ns), config_map("a"))
    assert (again.status, again.reason) == (409, "AlreadyExists")
    await api.patch(f"{maps(ns)}/a", {"metadata": {"finalizers": None}})
    await api.create(maps(ns), config_map("a"))


@pytest.mark.parametrize("query", [{}, {"labelSelector": "go=yes"}, {"fieldSelector": "metadata.name=a"}], ids=str)
async def test_a_collection_goes(api: Rig, ns: str, query: Any) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    for name, go in (("a", "yes"), ("b", "no")):
        body = deployment(name)
        body["metadata"]["labels"] = {"go": go}
        await api.create(path, body)
    deleted = await api.delete(path, {"propagationPolicy": "Background"}, **query)
    assert deleted["kind"] in ("DeploymentList", "Status")
    left = [item["metadata"]["name"] for item in (await api.get(path))["items"]]
    assert left == (["b"] if query else [])


async def test_a_rehearsed_collection_stays(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", labels={"go": "yes"}))
    await api.delete(maps(ns), labelSelector="go=yes", dryRun="All")
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 200


async def test_deletion_is_told_to_every_kind_of_watcher(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a", labels={"mine": "yes"}))
    version = made["metadata"]["resourceVersion"]
    for accept, kind in (("application/json", "ConfigMap"), (META, "PartialObjectMetadata")):
        async with api.watch(maps(ns), accept=accept, resourceVersion=version, labelSelector="mine") as watch:
            if kind == "ConfigMap":
                await api.delete(f"{maps(ns)}/a")
            event = await watch.next()
        assert (event["type"], event["object"]["kind"]) == ("DELETED", kind)


async def test_one_object_is_watched_by_its_path(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    await api.create(maps(ns), config_map("b"))
    query = {"fieldSelector": "metadata.name=a", "resourceVersion": made["metadata"]["resourceVersion"]}
    async with api.watch(maps(ns), **query) as watch:
        await api.delete(f"{maps(ns)}/b")
        await api.delete(f"{maps(ns)}/a")
        assert await watch.take(1) == [("DELETED", "a")]


async def test_a_watch_from_a_version_long_gone_is_told_so(api: Rig, ns: str) -> None:
    """As an event of the stream or as the answer; either way 410, which means: list again."""
    if api.kind != "in-process":
        pytest.skip("our own store can be asked to forget")
    made = await api.create(maps(ns), config_map("a"))
    history = api.transport.front._api.store._history  # type: ignore[attr-defined]
    history.oldest = int(made["metadata"]["resourceVersion"]) + 1000
    async with api.watch(maps(ns), resourceVersion="1") as watch:
        event = await watch.next()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    listed = await api.call("GET", maps(ns), resourceVersion="1", resourceVersionMatch="Exact", limit=1)
    assert (listed.status, listed.reason) == (410, "Expired")


async def test_an_update_of_what_is_gone_is_not_found(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    await api.delete(f"{maps(ns)}/a")
    for method, content_type in (("PUT", "application/json"), ("PATCH", MERGE)):
        answer = await api.call(method, f"{maps(ns)}/a", made, content_type=content_type)
        assert answer.status in (404, 409)


@pytest.mark.bare("a namespace controller finalizes at once")
async def test_ending_namespaces_refuse_every_kind(api: Rig) -> None:
    await api.create("/api/v1/namespaces", namespace("closing"))
    await api.create(maps("closing"), config_map("a", finalizers=[HOLD]))
    await api.delete("/api/v1/namespaces/closing")
    for path, body in (
        ("/api/v1/namespaces/closing/pods", pod("a")),
        ("/apis/apps/v1/namespaces/closing/deployments", deployment("a")),
        (maps("closing"), config_map("b")),
    ):
        answer = await api.call("POST", path, body)
        assert (answer.status, answer.reason) == (403, "Forbidden")
        assert "because it is being terminated" in answer.message
    await api.patch(f"{maps('closing')}/a", {"data": {"still": "possible"}})


@pytest.mark.parametrize("seconds", [0, 1, 30])
async def test_a_running_pod_ends_in_the_time_it_is_given(api: Rig, ns: str, seconds: int) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await api.create(path, pod("a", nodeName="somewhere", terminationGracePeriodSeconds=7))
    answer = expect(await api.call("DELETE", f"{path}/a", {"gracePeriodSeconds": seconds}), 200)
    if seconds == 0:
        assert (await api.call("GET", f"{path}/a")).status == 404
    else:
        assert answer["metadata"]["deletionGracePeriodSeconds"] == seconds


async def test_a_finished_pod_has_nothing_to_wait_for(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await api.create(path, pod("a", nodeName="somewhere"))
    await api.patch(f"{path}/a/status", {"status": {"phase": "Succeeded"}})
    await api.delete(f"{path}/a")
    assert (await api.call("GET", f"{path}/a")).status == 404


WRONG_TYPES = {
    "an eviction": ("POST", "pods/a/eviction", {"deleteOptions": {"gracePeriodSeconds": "x"}}),
    "an eviction's options": ("POST", "pods/a/eviction", {"deleteOptions": "x"}),
    "a binding": ("POST", "pods/a/binding", {"target": "x"}),
    "a binding's node": ("POST", "pods/a/binding", {"target": {"name": 1}}),
    "metadata": ("POST", "pods/a/eviction", {"metadata": "x"}),
}


@pytest.mark.parametrize("case", WRONG_TYPES)
async def test_a_subresource_of_the_wrong_type(api: Rig, ns: str, case: str) -> None:
    method, path, body = WRONG_TYPES[case]
    made = await api.create(f"/api/v1/namespaces/{ns}/pods", pod("a", schedulerName="nobody"))
    answer = await api.call(method, f"/api/v1/namespaces/{ns}/{path}", body)
    assert answer.status == 400, answer.body
    assert await api.get(f"/api/v1/namespaces/{ns}/pods/a") == made


@pytest.mark.parametrize("spec", ["x", {"replicas": "x"}, {"replicas": 1.5}, [1]], ids=str)
async def test_a_scale_of_the_wrong_type(api: Rig, ns: str, spec: Any) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"))
    for method, content_type in (("PUT", "application/json"), ("PATCH", MERGE)):
        answer = await api.call(method, f"{path}/a/scale", {"spec": spec}, content_type=content_type)
        assert answer.status in (400, 422), (method, answer.body)
    assert (await api.get(f"{path}/a"))["spec"]["replicas"] == 1
