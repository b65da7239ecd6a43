"""What every stream wants of its WebSocket: the peer's messages, and to know when the peer is gone.

Shell. In: an accepted WebSocket. Out: bytes, until it closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

_PULSE_SECONDS = 2.0  # the second write after the peer went is the one that fails


async def messages(ws: web.WebSocketResponse) -> AsyncIterator[bytes]:
    """Some clients send what is typed as text messages, with the channel's number as a character."""
    async for message in ws:
        if message.type is WSMsgType.BINARY:
            yield message.data
        elif message.type is WSMsgType.TEXT:
            yield message.data.encode()


async def pulse(ws: web.WebSocketResponse) -> None:
    """Ping now and then, wanting no answer: while a process does not read its stdin, only a write tells who left."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(_PULSE_SECONDS)
            await ws.ping()
