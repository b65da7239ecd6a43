"""Messages on their way to a client, in order, with a word to the source when they pile up.

Shell. In: messages, as fast as a process writes. Out: the same on a WebSocket, as fast as the client reads; a client
that left is noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

_HIGH, _LOW = 256 * 1024, 64 * 1024


class Outgoing:
    """`hold(True)` is called when too much waits, `hold(False)` when little does."""

    def __init__(self, ws: web.WebSocketResponse, hold: Callable[[bool], None]) -> None:
        self._ws = ws
        self._hold = hold
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0
        self._held = False

    def put(self, message: bytes) -> None:
        self._queue.put_nowait(message)
        self._account(len(message))

    def finish(self) -> None:
        """Nothing follows."""
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Returns once all is sent after `finish`. Raises ConnectionError when the client has left."""
        while (message := await self._queue.get()) is not None:
            await self._ws.send_bytes(message)
            self._account(-len(message))

    def _account(self, change: int) -> None:
        self._waiting += change
        if self._held != (held := self._waiting > (_LOW if self._held else _HIGH)):
            self._held = held
            self._hold(held)
