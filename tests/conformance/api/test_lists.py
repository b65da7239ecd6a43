"""Lists: selected, paged, consistent."""

from __future__ import annotations

import pytest

from graylane.testing.api.objects import config_map, pod
from graylane.testing.api.rig import Rig

MINE = "mine=yes"


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


async def fill(api: Rig, ns: str, *names: str) -> None:
    for name in names:
        await api.create(maps(ns), config_map(name, labels={"mine": "yes", "name": name}))


def names(listed: dict) -> list[str]:  # type: ignore[type-arg]
    return [item["metadata"]["name"] for item in listed["items"]]


async def test_a_list_is_sorted_and_says_its_kind_and_version(api: Rig, ns: str) -> None:
    await fill(api, ns, "b", "a", "c")
    listed = await api.get(maps(ns), labelSelector=MINE)
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(listed["metadata"]["resourceVersion"]) > 0
    assert names(listed) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("name=a", ["a"]),
        ("name==a", ["a"]),
        ("name!=a,mine=yes", ["b", "c"]),
        ("name in (a, c)", ["a", "c"]),
        ("name notin (a),mine", ["b", "c"]),
        ("mine", ["a", "b", "c"]),
        ("!mine,name", []),
    ],
)
async def test_label_selectors_select(api: Rig, ns: str, selector: str, found: list[str]) -> None:
    await fill(api, ns, "a", "b", "c")
    assert names(await api.get(maps(ns), labelSelector=selector)) == found


async def test_a_selector_that_makes_no_sense_is_refused(api: Rig, ns: str) -> None:
    assert (await api.call("GET", maps(ns), labelSelector="a in (")).status == 400
    unknown = await api.call("GET", maps(ns), fieldSelector="data.a=1")
    assert unknown.status == 400
    assert unknown.message.startswith('"data.a" is not a known field selector')
    unknown = await api.call("GET", f"/api/v1/namespaces/{ns}/pods", fieldSelector="data.a=1")
    assert (unknown.status, unknown.message) == (400, "field label not supported: data.a")


async def test_every_kind_is_selected_by_name_and_namespace(api: Rig, ns: str) -> None:
    await fill(api, ns, "a", "b")
    assert names(await api.get(maps(ns), fieldSelector="metadata.name=a")) == ["a"]
    assert names(await api.get("/api/v1/configmaps", fieldSelector=f"metadata.namespace={ns},metadata.name=b")) == ["b"]


async def test_pods_are_selected_by_node_and_phase(api: Rig, ns: str) -> None:
    await api.create(f"/api/v1/namespaces/{ns}/pods", pod("a", nodeName="one"))
    await api.create(f"/api/v1/namespaces/{ns}/pods", pod("b"))
    pods = f"/api/v1/namespaces/{ns}/pods"
    assert names(await api.get(pods, fieldSelector="spec.nodeName=one")) == ["a"]
    assert names(await api.get(pods, fieldSelector="spec.nodeName=")) == ["b"]
    assert names(await api.get(pods, fieldSelector="status.phase!=Running")) == ["a", "b"]


async def test_events_are_selected_by_what_they_are_about(api: Rig, ns: str) -> None:
    for name in ("a", "b"):
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"e-{name}", "namespace": ns},
            "involvedObject": {"kind": "Pod", "name": name, "namespace": ns, "uid": f"u-{name}"},
            "type": "Normal",
            "reason": "Started",
        }
        await api.create(f"/api/v1/namespaces/{ns}/events", body)
    events = f"/api/v1/namespaces/{ns}/events"
    assert names(await api.get(events, fieldSelector="involvedObject.name=a,involvedObject.kind=Pod")) == ["e-a"]
    assert names(await api.get(events, fieldSelector="involvedObject.uid=u-b,type=Normal")) == ["e-b"]


async def test_pages_add_up_and_belong_to_one_moment(api: Rig, ns: str) -> None:
    await fill(api, ns, "a", "b", "c", "d", "e")
    first = await api.get(maps(ns), labelSelector=MINE, limit=2)
    await api.delete(f"{maps(ns)}/c")
    await fill(api, ns, "bb")
    await api.patch(f"{maps(ns)}/d", {"data": {"a": "changed"}})
    second = await api.get(maps(ns), labelSelector=MINE, limit=2, **{"continue": first["metadata"]["continue"]})
    third = await api.get(maps(ns), labelSelector=MINE, limit=2, **{"continue": second["metadata"]["continue"]})
    assert [names(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert second["items"][1]["data"] == {"a": "1"}, "as it was when the list began"
    assert "continue" not in third["metadata"]
    assert len({page["metadata"]["resourceVersion"] for page in (first, second, third)}) == 1


async def test_a_page_says_how_much_remains(api: Rig, ns: str) -> None:
    await fill(api, ns, "a", "b", "c", "d", "e")
    page = await api.get(maps(ns), limit=2)
    assert page["metadata"]["remainingItemCount"] >= 3


async def test_a_continue_token_of_another_server_is_refused(api: Rig, ns: str) -> None:
    assert (await api.call("GET", maps(ns), limit=2, **{"continue": "nonsense"})).status == 400


async def test_a_list_of_the_past_shows_the_past(api: Rig, ns: str) -> None:
    await fill(api, ns, "a")
    then = (await api.get(maps(ns)))["metadata"]["resourceVersion"]
    await fill(api, ns, "b")
    past = await api.get(maps(ns), labelSelector=MINE, resourceVersion=then, resourceVersionMatch="Exact")
    assert (names(past), past["metadata"]["resourceVersion"]) == (["a"], then)


async def test_an_empty_list_is_a_list(api: Rig, ns: str) -> None:
    assert (await api.get(f"/apis/apps/v1/namespaces/{ns}/replicasets"))["items"] == []
