"""An informer's cache is what the API holds, in whatever order the watch and the answers to our own writes arrive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

from graylane.client import ApiClient
from graylane.client.wire import ObjectList, WatchEvent
from graylane.kit.cache import Change
from graylane.kit.informer import Informer
from graylane.model.kinds import POD
from graylane.model.meta import Obj


class Stream:
    """A list, then what is put into it, as the API tells it."""

    def __init__(self, version: int, *listed: Obj) -> None:
        self._listed = ObjectList(list(listed), str(version))
        self._events: asyncio.Queue[WatchEvent] = asyncio.Queue()

    async def list(self, *_: Any) -> ObjectList:
        return self._listed

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        while True:
            yield await self._events.get()
            self._events.task_done()

    async def tell(self, type: str, obj: Obj) -> None:
        self._events.put_nowait(WatchEvent(type, obj))
        await self._events.join()


def pod(version: int, name: str = "a", uid: str = "u") -> Obj:
    return {"metadata": {"name": name, "namespace": "d", "uid": uid, "resourceVersion": str(version)}}


@contextlib.asynccontextmanager
async def following(stream: Stream, told: list[Change] | None = None) -> AsyncIterator[Informer]:
    informer = Informer(cast(ApiClient, stream), POD, [].append if told is None else told.append)
    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    yield informer
    task.cancel()


async def test_an_answer_that_comes_after_the_objects_end_does_not_bring_it_back() -> None:
    told: list[Change] = []
    stream = Stream(4, pod(3))
    async with following(stream, told) as informer:
        await stream.tell("MODIFIED", pod(5))
        await stream.tell("DELETED", pod(6))
        informer.take(pod(5))
        assert informer.cache.objects == {}
    assert [change.new is None for change in told] == [False, False, True]


async def test_an_answer_that_comes_after_a_list_without_the_object_does_not_bring_it_back() -> None:
    async with following(Stream(8)) as informer:
        informer.take(pod(5))
        assert informer.cache.objects == {}


async def test_an_answer_that_comes_before_the_watch_is_taken_at_once() -> None:
    stream = Stream(4)
    async with following(stream) as informer:
        informer.take(pod(5))
        assert len(informer.cache.objects) == 1
        await stream.tell("ADDED", pod(5))
        await stream.tell("BOOKMARK", {"metadata": {"resourceVersion": "7"}})
        informer.take(pod(6))
        assert [obj["metadata"]["resourceVersion"] for obj in informer.cache.objects.values()] == ["6"]
        await stream.tell("DELETED", pod(8))
        assert informer.cache.objects == {}
