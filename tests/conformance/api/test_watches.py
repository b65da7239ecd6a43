"""Watches: from a version, from zero, from nothing; selectors, bookmarks, and what is too old."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graylane.testing.api.objects import config_map
from graylane.testing.api.rig import Rig


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


async def test_a_watch_without_a_version_begins_with_what_is_there(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"))
    await api.create(maps(ns), config_map("b"))
    async with api.watch(maps(ns), fieldSelector="metadata.name!=kube-root-ca.crt") as watch:
        assert await watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        await api.patch(f"{maps(ns)}/a", {"data": {"a": "2"}})
        await api.delete(f"{maps(ns)}/b")
        assert await watch.take(2) == [("MODIFIED", "a"), ("DELETED", "b")]


async def test_a_watch_from_a_version_sees_what_came_after_it_once_and_in_order(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    for value in "23":
        await api.patch(f"{maps(ns)}/a", {"data": {"a": value}})
    async with api.watch(maps(ns), resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        first, second = await watch.next(), await watch.next()
        assert [event["object"]["data"]["a"] for event in (first, second)] == ["2", "3"]
        await api.patch(f"{maps(ns)}/a", {"data": {"a": "4"}})
        assert (await watch.next())["object"]["data"]["a"] == "4"


async def test_a_list_and_a_watch_from_its_version_miss_nothing(api: Rig, ns: str) -> None:
    listed = await api.get(maps(ns))
    await api.create(maps(ns), config_map("between"))
    async with api.watch(maps(ns), resourceVersion=listed["metadata"]["resourceVersion"]) as watch:
        assert await watch.take(1) == [("ADDED", "between")]


async def test_a_deleted_object_is_shown_with_the_version_of_its_deletion(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    version = made["metadata"]["resourceVersion"]
    await api.delete(f"{maps(ns)}/a")
    async with api.watch(maps(ns), resourceVersion=version) as watch:
        event = await watch.next()
    assert event["type"] == "DELETED"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)
    assert event["object"]["data"] == {"a": "1"}


async def test_an_object_that_enters_a_selection_is_added_and_one_that_leaves_it_deleted(api: Rig, ns: str) -> None:
    listed = await api.get(maps(ns))
    await api.create(maps(ns), config_map("a"))
    async with api.watch(
        maps(ns), labelSelector="on=yes", resourceVersion=listed["metadata"]["resourceVersion"]
    ) as watch:
        await api.patch(f"{maps(ns)}/a", {"metadata": {"labels": {"on": "yes"}}})
        await api.patch(f"{maps(ns)}/a", {"data": {"a": "2"}})
        left = await api.patch(f"{maps(ns)}/a", {"metadata": {"labels": {"on": "no"}}})
        events = [await watch.next() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    gone = events[-1]["object"]["metadata"]
    assert gone["labels"] == {"on": "yes"}, "the last state that was selected"
    assert gone["resourceVersion"] == left["metadata"]["resourceVersion"]


async def test_one_object_is_watched_by_its_name(api: Rig, ns: str) -> None:
    async with api.watch(maps(ns), fieldSelector="metadata.name=b", resourceVersion="0") as watch:
        await api.create(maps(ns), config_map("a"))
        await api.create(maps(ns), config_map("b"))
        assert await watch.take(1) == [("ADDED", "b")]


async def test_other_namespaces_are_not_seen(api: Rig, ns: str) -> None:
    listed = await api.get(maps(ns))
    async with api.watch(maps(ns), resourceVersion=listed["metadata"]["resourceVersion"]) as watch:
        await api.create("/api/v1/namespaces/default/configmaps", config_map(f"other-{ns}"))
        await api.create(maps(ns), config_map("mine"))
        assert await watch.take(1) == [("ADDED", "mine")]


async def test_all_namespaces_are_seen_from_the_top(api: Rig, ns: str) -> None:
    listed = await api.get("/api/v1/configmaps")
    async with api.watch("/api/v1/configmaps", resourceVersion=listed["metadata"]["resourceVersion"]) as watch:
        await api.create(maps(ns), config_map("a"))
        assert (await watch.next())["object"]["metadata"]["namespace"] == ns


async def test_the_initial_list_can_be_streamed_and_its_end_is_marked(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", labels={"mine": "yes"}))
    query: dict[str, Any] = {
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
        "labelSelector": "mine=yes",
    }
    async with api.watch(maps(ns), **query) as watch:
        assert await watch.take(1) == [("ADDED", "a")]
        end = await watch.next()
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["object"]["kind"] == "ConfigMap"


async def test_a_streamed_list_needs_its_companion_options(api: Rig, ns: str) -> None:
    answer = await api.call("GET", maps(ns), watch="true", sendInitialEvents="true")
    assert answer.status == 422


async def test_a_watch_ends_when_its_time_is_up(api: Rig, ns: str) -> None:
    listed = await api.get(maps(ns))
    version = listed["metadata"]["resourceVersion"]
    async with api.watch(maps(ns), resourceVersion=version, timeoutSeconds=1) as watch:
        assert await watch.ended()


@pytest.mark.parametrize("flag", ["1", "true", "True", "t"])
async def test_every_spelling_of_true_opens_a_watch(api: Rig, ns: str, flag: str) -> None:
    await api.create(maps(ns), config_map("a", labels={"mine": "yes"}))
    async with api.watch(maps(ns), labelSelector="mine=yes", watch=flag) as watch:
        assert await watch.take(1) == [("ADDED", "a")]


async def test_many_watchers_see_the_same_events(api: Rig, ns: str) -> None:
    listed = await api.get(maps(ns))
    version = listed["metadata"]["resourceVersion"]

    async def names() -> list[tuple[str, str]]:
        async with api.watch(maps(ns), resourceVersion=version) as watch:
            return await watch.take(10)

    watchers = [asyncio.create_task(names()) for _ in range(20)]
    for number in range(10):
        await api.create(maps(ns), config_map(f"n{number}"))
    expected = [("ADDED", f"n{number}") for number in range(10)]
    assert await asyncio.gather(*watchers) == [expected] * 20


async def test_a_version_that_is_not_a_number_is_refused(api: Rig, ns: str) -> None:
    for query in ({"watch": "true", "resourceVersion": "x"}, {"resourceVersion": "x"}):
        answer = await api.call("GET", maps(ns), **query)
        assert answer.status == (500 if "watch" in query else 400)
        assert 'resourceVersion: Invalid value: "x"' in answer.message
