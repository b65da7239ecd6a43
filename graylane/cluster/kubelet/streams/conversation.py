"""One client at the streams of one process, and messages both ways.

Shell. In: an accepted WebSocket, a process. Out: its output as messages; what the client sends goes to its stdin and
terminal. Knows nothing of why they are connected: that is `commands`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from graylane.cluster.kubelet.streams import channels
from graylane.cluster.kubelet.streams.channels import OF_STREAM, Channel, EndOfInput, Input, Resize
from graylane.cluster.kubelet.streams.options import StreamOptions
from graylane.cluster.kubelet.streams.outgoing import Outgoing
from graylane.cluster.kubelet.streams.sockets import messages, pulse
from graylane.cluster.processes.stdio import Inlet


@dataclass(frozen=True, slots=True)
class Client:
    """Who is connected, and what it asked for. `place` names the container in messages."""

    ws: web.WebSocketResponse
    protocol: str
    options: StreamOptions
    place: str


class Conversation:
    """`carry` until something ends it, then `conclude`. `hold` is told when output piles up, as in `Outgoing`."""

    def __init__(self, client: Client, hold: Callable[[bool], None]) -> None:
        self._client = client
        self._outgoing = Outgoing(client.ws, hold)
        self._outgoing.put(channels.encode(_first_channel(client.options), b""))  # some clients wait for a first sign
        self._sending = asyncio.create_task(self._outgoing.run())

    def output(self, stream: str, data: bytes) -> None:
        if self._client.options.wants(stream):
            self._outgoing.put(channels.encode(OF_STREAM[stream], data))

    async def carry(self, inlet: Inlet, end: Callable[[], Awaitable[None]], *over: asyncio.Future[None]) -> bool:
        """Both ways until one of `over` is done; False when the client left before. `end` acts on the end of input."""
        hearing = asyncio.create_task(self._hear(inlet, end))
        beating = asyncio.create_task(pulse(self._client.ws))
        try:
            await asyncio.wait({self._sending, hearing, *over}, return_when=asyncio.FIRST_COMPLETED)
            return any(each.done() for each in over)
        finally:
            await _cancel(hearing, beating)
            if not any(each.done() for each in over):
                await _cancel(self._sending)

    async def conclude(self, status: Mapping[str, Any]) -> None:
        """Say how it went, after all output, and close."""
        self._outgoing.put(channels.encode_status(status))
        self._outgoing.finish()
        try:
            with contextlib.suppress(ConnectionError):
                await self._sending
                await self._client.ws.close()
        finally:
            await _cancel(self._sending)

    async def _hear(self, inlet: Inlet, end: Callable[[], Awaitable[None]]) -> None:
        async for message in messages(self._client.ws):
            match channels.decode(message, self._client.protocol):
                case Input(data=typed) if self._client.options.stdin:
                    await inlet.feed(typed)
                case EndOfInput() if self._client.options.stdin:
                    await end()
                case Resize(rows=rows, columns=columns):
                    inlet.resize(rows, columns)


def _first_channel(options: StreamOptions) -> Channel:
    if options.stdout:
        return Channel.STDOUT
    return Channel.STDERR if options.stderr else Channel.ERROR


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
