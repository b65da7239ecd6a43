"""Sends real HTTP requests to the gateway, one by one, in batches, and steadily in the background.

Shell. In: the gateway's URL, headers, whether each request gets a connection of its own. Out: `Answer`s. What goes
wrong becomes an answer with an error: nothing is dropped.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp

from graylane.cli.demo.answers import Answer

DYE = {"my-request-id": "canary"}
RATE = 100.0  # a second; the scenario asks for 50, and a busy machine may fall behind
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_AT_ONCE = 5


class Asker:
    """Two sessions: one whose connections stay open for the whole run, one that opens a new one for each request."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_TIMEOUT)
        self._fresh = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kept.close()
        await self._fresh.close()

    async def ask(self, headers: Mapping[str, str], *, fresh: bool) -> Answer:
        """Dyed means that the client itself sends the dye; the gateway may dye others."""
        dyed = DYE.items() <= dict(headers).items()
        session = self._fresh if fresh else self._kept
        sent = time.monotonic()
        try:
            async with session.get(self._url, headers=headers) as response:
                body = await response.text()
                return Answer(sent, time.monotonic(), dyed, fresh, response.status, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(sent, time.monotonic(), dyed, fresh, 0, "", f"{type(error).__name__}: {error}")

    async def batch(self, count: int, headers: Mapping[str, str], *, fresh: bool = True) -> list[Answer]:
        """`count` requests, a few at a time."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one() -> Answer:
            async with gate:
                return await self.ask(headers, fresh=fresh)

        return list(await asyncio.gather(*(one() for _ in range(count))))


class Traffic:
    """Dyed and plain requests in turn, on new and on kept connections in turn, at a steady rate until stopped."""

    def __init__(self, asker: Asker) -> None:
        self.answers: list[Answer] = []
        self._asker = asker
        self._flying: set[asyncio.Task[None]] = set()
        self._answered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After `stop` there is nothing left to do; without it we were interrupted, and nobody counts any more."""
        left = [task for task in (self._task, *self._flying) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """No new requests; those under way are awaited, since a dropped request would hide a failure."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await asyncio.gather(*self._flying)
            self._task = None

    async def more(self, count: int) -> None:
        """Returns when `count` further answers have come, so that what is so now is asked about often enough."""
        wanted = len(self.answers) + count
        while self._task is not None and len(self.answers) < wanted:
            self._answered.clear()
            await self._answered.wait()

    async def _run(self) -> None:
        """Open loop: the next request leaves on time whether or not the last has been answered."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        kinds = itertools.cycle([(DYE, False), ({}, False), (DYE, True), ({}, True)])
        for number, (headers, fresh) in enumerate(kinds):
            await asyncio.sleep(max(0.0, start + number / RATE - loop.time()))
            task = asyncio.create_task(self._one(headers, fresh))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)

    async def _one(self, headers: Mapping[str, str], fresh: bool) -> None:
        self.answers.append(await self._asker.ask(headers, fresh=fresh))
        self._answered.set()
