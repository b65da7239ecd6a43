"""Writes statuses, a few at a time, the latest word per object; events as they come.

Shell. In: `(kind, key)` and a function that makes the patch from the object as it is now. Out: PATCHes of the status
subresource. A write that raced another is made anew from the newer object; other failures are tried again later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime

from graylane.errors import ApiError, Conflict, NotFound
from graylane.kit import Event, Manager
from graylane.kit.events import EventRecorder
from graylane.model.kinds import Kind
from graylane.model.meta import Key, Obj

_LOG = logging.getLogger(__name__)
_WORKERS = 4
_PAUSE_SECONDS = 0.5

Target = tuple[Kind, Key]
Make = Callable[[Obj, datetime], Obj | None]


class StatusWriter:
    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._wanted: dict[Target, Make] = {}
        self._queue: asyncio.Queue[Target] = asyncio.Queue()
        self._recorder = EventRecorder(manager.client, manager.clock, "mesh")
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(_WORKERS)]
        self._tasks.append(asyncio.create_task(self._announce()))

    def tell(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def _announce(self) -> None:
        while True:
            await self._recorder.record(await self._events.get())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def write(self, kind: Kind, key: Key, make: Make) -> None:
        """`make` gives the patch for the object as it is when its turn comes; None means there is nothing to say."""
        if (kind, key) not in self._wanted:
            self._queue.put_nowait((kind, key))
        self._wanted[kind, key] = make

    async def _work(self) -> None:
        while True:
            kind, key = await self._queue.get()
            make = self._wanted.pop((kind, key))
            try:
                await self._write(kind, key, make)
            except Conflict:
                await asyncio.sleep(0.01)  # the newer object is on its way to the cache
                self._again(kind, key, make)
            except ApiError as error:
                _LOG.info("a status will be written later", extra={"object": f"{kind} {key}", "error": str(error)})
                await asyncio.sleep(_PAUSE_SECONDS)
                self._again(kind, key, make)

    def _again(self, kind: Kind, key: Key, make: Make) -> None:
        if (kind, key) not in self._wanted:
            self.write(kind, key, make)

    async def _write(self, kind: Kind, key: Key, make: Make) -> None:
        obj = self._manager.view().get(kind, *key)
        patch = make(obj, self._manager.clock.now()) if obj is not None else None
        if patch is None:
            return
        with contextlib.suppress(NotFound):
            new = await self._manager.client.patch(kind, key.name, key.namespace, patch, subresource="status")
            self._manager.learn(kind, new)
