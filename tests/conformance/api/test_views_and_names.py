"""One event under two groups, and a definition that gets the name it had to wait for."""

from __future__ import annotations

import uuid

from graylane.testing.api.kinds import established
from graylane.testing.api.objects import Obj, widget_crd
from graylane.testing.api.rig import Rig, expect
from graylane.testing.waiting import eventually

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def old(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/events"


def new(ns: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{ns}/events"


def subject(ns: str) -> Obj:
    return {"kind": "Pod", "namespace": ns, "name": "web", "apiVersion": "v1"}


def modern(ns: str, **more: object) -> Obj:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/robot",
        "reportingInstance": "robot-1",
        "action": "Watching",
        "reason": "Seen",
        "regarding": subject(ns),
        "note": "hello",
        "type": "Normal",
        **more,
    }


async def test_an_event_of_the_new_group_is_an_event_of_the_old_one(api: Rig, ns: str) -> None:
    made = await api.create(new(ns), modern(ns))
    assert (made["apiVersion"], made["note"]) == ("events.k8s.io/v1", "hello")
    seen = await api.get(f"{old(ns)}/e")
    assert (seen["apiVersion"], seen["message"], seen["involvedObject"]["name"]) == ("v1", "hello", "web")
    assert seen["reportingComponent"] == "example.com/robot"
    assert seen["metadata"]["uid"] == made["metadata"]["uid"]


async def test_an_event_of_the_old_group_is_shown_in_the_new_one(api: Rig, ns: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "o"},
        "involvedObject": subject(ns),
        "reason": "Seen",
        "message": "hello",
        "type": "Normal",
        "count": 3,
        "source": {"component": "robot"},
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    await api.create(old(ns), body)
    async with api.watch(new(ns), resourceVersion="0") as watch:
        shown = (await watch.next())["object"]
    assert (shown["note"], shown["deprecatedCount"], shown["deprecatedSource"]) == ("hello", 3, {"component": "robot"})
    listed = await api.get(new(ns), fieldSelector="regarding.name=web")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["o"]
    assert (await api.get(new(ns), fieldSelector="regarding.name=other"))["items"] == []


async def test_a_series_goes_on_by_patch(api: Rig, ns: str) -> None:
    await api.create(new(ns), modern(ns))
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    after = await api.patch(f"{new(ns)}/e", series)
    assert after["series"]["count"] == 2
    assert (await api.get(f"{old(ns)}/e"))["series"]["count"] == 2


async def test_an_event_of_the_new_group_must_be_complete(api: Rig, ns: str) -> None:
    body = {name: value for name, value in modern(ns).items() if name not in ("action", "reportingController")}
    answer = await api.call("POST", new(ns), body)
    assert answer.status == 422
    fields = {cause["field"] for cause in answer.json["details"]["causes"]}
    assert {"action", "reportingController"} <= fields


async def test_a_definition_gets_the_name_it_waited_for(api: Rig, ns: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    await established(api, widget_crd(group))
    rival = widget_crd(group)
    rival["metadata"]["name"] = f"gadgets.{group}"
    rival["spec"]["names"] = {"plural": "gadgets", "kind": "Gadget", "shortNames": ["wd"]}
    expect(await api.call("POST", CRDS, rival), 201)
    await eventually(lambda: _accepted(api, f"gadgets.{group}", "False"))
    assert (await api.call("GET", f"/apis/{group}/v1/gadgets")).status == 404
    await api.delete(f"{CRDS}/widgets.{group}")
    await eventually(lambda: _accepted(api, f"gadgets.{group}", "True"), timeout=30)
    await eventually(lambda: _served(api, f"/apis/{group}/v1/gadgets"), timeout=30)
    await api.delete(f"{CRDS}/gadgets.{group}")


async def _accepted(api: Rig, name: str, wanted: str) -> bool:
    conditions = (await api.get(f"{CRDS}/{name}")).get("status", {}).get("conditions") or []
    return any(found["type"] == "NamesAccepted" and found["status"] == wanted for found in conditions)


async def _served(api: Rig, path: str) -> bool:
    return (await api.call("GET", path)).status == 200
