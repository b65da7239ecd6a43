"""Versions of a custom kind that differ in shape, and the webhook that turns one into another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graylane.testing.api.kinds import CRDS, established
from graylane.testing.api.objects import Obj
from graylane.testing.api.peer import Peer
from graylane.testing.api.rig import MERGE, Rig, expect

pytestmark = pytest.mark.bare("a cluster elsewhere cannot reach a webhook on this machine")

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def version(name: str, stored: bool, **properties: Obj) -> Obj:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    return {"name": name, "served": True, "storage": stored, "schema": {"openAPIV3Schema": schema}}


async def boxes(api: Rig, ns: str, peer: Peer, convert: Callable[[Obj, str], Obj] | None = None) -> tuple[str, str]:
    """Kind Box: v1 says `spec.size: "2x3"` and is stored, v2 says `spec.width` and `spec.height`. Both paths."""
    change = convert or resized

    def answer(request: Obj) -> Obj:
        objs = [change(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        return {"result": {"status": "Success"}, "convertedObjects": objs}

    peer.reply(answer)
    group = f"{ns}.example.com"
    webhook = {"clientConfig": peer.client, "conversionReviewVersions": ["v1"]}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "boxes", "kind": "Box"},
        "versions": [version("v1", True, size=TEXT), version("v2", False, width=NUMBER, height=NUMBER)],
        "conversion": {"strategy": "Webhook", "webhook": webhook},
    }
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    await established(api, {**kind, "metadata": {"name": f"boxes.{group}"}, "spec": spec})
    return f"/apis/{group}/v1/namespaces/{ns}/boxes", f"/apis/{group}/v2/namespaces/{ns}/boxes"


def resized(obj: Obj, wanted: str) -> Obj:
    spec = obj.get("spec") or {}
    if wanted.endswith("/v1"):
        shaped: Obj = {"size": f"{spec.get('width')}x{spec.get('height')}"}
    else:
        width, _, height = spec.get("size", "").partition("x")
        shaped = {"width": int(width), "height": int(height)}
    return {**obj, "apiVersion": wanted, "spec": shaped}


def box(path: str, name: str = "a", **spec: Any) -> Obj:
    group, kind_version = path.split("/")[2:4]
    return {"apiVersion": f"{group}/{kind_version}", "kind": "Box", "metadata": {"name": name}, "spec": spec}


async def test_an_object_is_read_in_the_version_that_is_asked_for(api: Rig, ns: str, peer: Peer) -> None:
    one, two = await boxes(api, ns, peer)
    made = await api.create(two, box(two, width=2, height=3))
    assert (made["apiVersion"].rpartition("/")[2], made["spec"]) == ("v2", {"width": 2, "height": 3})
    old = await api.get(f"{one}/a")
    assert (old["apiVersion"].rpartition("/")[2], old["spec"]) == ("v1", {"size": "2x3"})
    assert old["metadata"]["uid"] == made["metadata"]["uid"]
    assert old["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_write_in_one_version_is_a_change_in_the_other(api: Rig, ns: str, peer: Peer) -> None:
    one, two = await boxes(api, ns, peer)
    await api.create(one, box(one, size="2x3"))
    patched = await api.patch(f"{two}/a", {"spec": {"height": 9}})
    assert (patched["spec"], patched["metadata"]["generation"]) == ({"width": 2, "height": 9}, 2)
    assert (await api.get(f"{one}/a"))["spec"] == {"size": "2x9"}
    replaced = await api.replace(f"{one}/a", {**await api.get(f"{one}/a"), "spec": {"size": "1x1"}})
    assert replaced["spec"] == {"size": "1x1"}
    stale = await api.call("PUT", f"{two}/a", patched)
    assert (stale.status, stale.reason) == (409, "Conflict")


async def test_lists_and_watches_speak_one_version(api: Rig, ns: str, peer: Peer) -> None:
    one, two = await boxes(api, ns, peer)
    await api.create(one, box(one, "a", size="2x3"))
    await api.create(two, box(two, "b", width=4, height=5))
    listed = await api.get(two)
    assert [item["spec"] for item in listed["items"]] == [{"width": 2, "height": 3}, {"width": 4, "height": 5}]
    async with api.watch(two) as watch:
        first = {event["object"]["metadata"]["name"]: event["object"]["spec"] for event in await _next(watch, 2)}
        assert first == {"a": {"width": 2, "height": 3}, "b": {"width": 4, "height": 5}}
        await api.patch(f"{one}/a", {"spec": {"size": "7x8"}})
        (event,) = await _next(watch, 1)
        assert (event["type"], event["object"]["spec"]) == ("MODIFIED", {"width": 7, "height": 8})
        await api.delete(f"{one}/a")
        (event,) = await _next(watch, 1)
        assert (event["type"], event["object"]["apiVersion"].rpartition("/")[2]) == ("DELETED", "v2")


async def _next(watch: Any, count: int) -> list[Obj]:
    return [await watch.next() for _ in range(count)]


async def test_a_deletion_answers_for_the_version_it_was_sent_to(api: Rig, ns: str, peer: Peer) -> None:
    one, two = await boxes(api, ns, peer)
    await api.create(one, {**box(one, size="2x3"), "metadata": {"name": "a", "finalizers": ["example.com/hold"]}})
    held = await api.delete(f"{two}/a")
    assert (held["spec"], "deletionTimestamp" in held["metadata"]) == ({"width": 2, "height": 3}, True)
    await api.patch(f"{two}/a", {"metadata": {"finalizers": None}})
    assert (await api.call("GET", f"{one}/a")).status == 404


async def test_an_object_is_stored_anew_when_another_version_is_to_be_stored(api: Rig, ns: str, peer: Peer) -> None:
    one, two = await boxes(api, ns, peer)
    await api.create(one, box(one, size="2x3"))
    crd = await api.get(f"{CRDS}/boxes.{ns}.example.com")
    for each in crd["spec"]["versions"]:
        each["storage"] = each["name"] == "v2"
    await api.replace(f"{CRDS}/boxes.{ns}.example.com", crd)
    after = await api.patch(f"{one}/a", {"metadata": {"labels": {"x": "y"}}})
    assert (after["spec"], after["metadata"]["labels"]) == ({"size": "2x3"}, {"x": "y"})
    assert (await api.get(f"{two}/a"))["spec"] == {"width": 2, "height": 3}


async def test_a_webhook_may_change_labels_and_nothing_else_of_the_metadata(api: Rig, ns: str, peer: Peer) -> None:
    def labelled(obj: Obj, wanted: str) -> Obj:
        metadata = {**obj["metadata"], "labels": {"from": "webhook"}, "finalizers": ["example.com/x"]}
        return {**resized(obj, wanted), "metadata": metadata}

    one, two = await boxes(api, ns, peer, labelled)
    await api.create(one, box(one, size="2x3"))
    shown = await api.get(f"{two}/a")
    assert shown["metadata"]["labels"] == {"from": "webhook"}
    assert "finalizers" not in shown["metadata"]


WRONG: dict[str, Callable[[Obj, str], Obj]] = {
    "another name": lambda obj, wanted: {**resized(obj, wanted), "metadata": {**obj["metadata"], "name": "other"}},
    "another version": lambda obj, wanted: {**resized(obj, wanted), "apiVersion": obj["apiVersion"]},
    "another kind": lambda obj, wanted: {**resized(obj, wanted), "kind": "Crate"},
    "no metadata": lambda obj, wanted: {**resized(obj, wanted), "metadata": None},
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_webhook_that_answers_wrongly_is_named(api: Rig, ns: str, peer: Peer, case: str) -> None:
    one, two = await boxes(api, ns, peer, WRONG[case])
    await api.create(one, box(one, size="2x3"))
    answer = await api.call("GET", f"{two}/a")
    assert answer.status == 500
    assert "conversion webhook for" in answer.message
    assert (await api.get(f"{one}/a"))["spec"] == {"size": "2x3"}, "what needs no conversion is not disturbed"


async def test_a_webhook_that_fails_keeps_the_object_from_being_written(api: Rig, ns: str, peer: Peer) -> None:
    one, two = await boxes(api, ns, peer)
    made = await api.create(one, box(one, size="2x3"))
    peer.reply(lambda request: {"result": {"status": "Failed", "message": "no way"}})
    for method, body in (("POST", box(two, "b", width=1, height=1)), ("GET", None)):
        answer = await api.call(method, two, body)
        assert (answer.status, "no way" in answer.message) == (500, True), answer.body
    patched = await api.call("PATCH", f"{two}/a", {"spec": {"width": 1}}, content_type=MERGE)
    assert patched.status == 500
    assert await api.get(f"{one}/a") == made
    assert (await api.call("GET", f"{one}/b")).status == 404


INCOMPLETE = {
    "no webhook": {"strategy": "Webhook"},
    "no client": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}},
    "no versions": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://127.0.0.1:1/x"}}},
    "no known version": {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"url": "https://127.0.0.1:1/x"}, "conversionReviewVersions": ["v7"]},
    },
    "plain HTTP": {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"url": "http://127.0.0.1:1/x"}, "conversionReviewVersions": ["v1"]},
    },
    "a webhook of nobody": {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}},
}


@pytest.mark.parametrize("case", INCOMPLETE)
async def test_a_conversion_that_cannot_work_is_refused(api: Rig, ns: str, case: str) -> None:
    group = f"{ns}.example.com"
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "boxes", "kind": "Box"},
        "versions": [version("v1", True, size=TEXT)],
        "conversion": INCOMPLETE[case],
    }
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    answer = await api.call("POST", CRDS, {**kind, "metadata": {"name": f"boxes.{group}"}, "spec": spec})
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert all(cause["field"].startswith("spec.conversion") for cause in answer.json["details"]["causes"])
    expect(await api.call("GET", f"{CRDS}/boxes.{group}"), 404)
