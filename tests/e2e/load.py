"""Requests at a steady rate, on connections that stay open, from a thread of its own: the test may block meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import aiohttp

RATE = 500  # a second


class Load:
    """Asks with each of `headers` in turn, until the block ends. `answers`: which headers, what status, what text."""

    def __init__(self, url: str, headers: Sequence[Mapping[str, str]]) -> None:
        self.answers: list[tuple[int, int, str]] = []
        self._url, self._headers = url, headers
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    async def _run(self) -> None:
        loop, timeout = asyncio.get_running_loop(), aiohttp.ClientTimeout(total=30)
        start, number = loop.time(), 0
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50), timeout=timeout) as session,
            asyncio.TaskGroup() as flying,
        ):
            while not self._stopped.is_set():
                flying.create_task(self._ask(session, number % len(self._headers)))
                number += 1
                await asyncio.sleep(max(0.0, start + number / RATE - loop.time()))

    async def _ask(self, session: aiohttp.ClientSession, which: int) -> None:
        try:
            async with session.get(self._url, headers=self._headers[which]) as response:
                self.answers.append((which, response.status, await response.text()))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers.append((which, 0, repr(error)))
