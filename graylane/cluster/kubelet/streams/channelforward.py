"""port-forward as clients without SPDY speak it: the ports are named beforehand, each has two channels.

Shell. In: an accepted WebSocket with `v4.channel.k8s.io` or no subprotocol, the ports, the pod's address. Out: one TCP
connection for each port; channel 2i carries its data, 2i+1 what went wrong. Both begin with the port in two bytes, the
lower first. There is no sign for the end of one direction, so a connection ends when the pod ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import web

from graylane.cluster.kubelet.streams.sockets import messages, pulse
from graylane.cluster.kubelet.streams.target import PIECE, Incoming, Target, Unreachable, feed

PROTOCOLS = ("v4.channel.k8s.io", "")

_WAITING_MESSAGES = 64


class ChannelForwarding:
    """One client's connections to one pod, known from the start."""

    def __init__(self, ws: web.WebSocketResponse, target: Target, ports: Sequence[int]) -> None:
        self._ws = ws
        self._target = target
        self._ports = ports
        self._incoming: list[Incoming] = [asyncio.Queue(_WAITING_MESSAGES) for _ in ports]

    async def run(self) -> None:
        """Returns when the client has left, or the pod has ended every connection."""
        hearing, beating = asyncio.create_task(self._hear()), asyncio.create_task(pulse(self._ws))
        passing = asyncio.create_task(self._pass_all())
        try:
            await asyncio.wait({hearing, passing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, beating, passing):
                task.cancel()
            await asyncio.gather(hearing, beating, passing, return_exceptions=True)
        await self._ws.close()

    async def _pass_all(self) -> None:
        await asyncio.gather(*(self._pass(index, port) for index, port in enumerate(self._ports)))

    async def _hear(self) -> None:
        async for message in messages(self._ws):
            index, is_error = divmod(message[0], 2) if message else (len(self._ports), 0)
            if index < len(self._ports) and not is_error:
                await self._incoming[index].put(message[1:])

    async def _pass(self, index: int, port: int) -> None:
        data, error = bytes([2 * index]), bytes([2 * index + 1])
        with contextlib.suppress(ConnectionError):
            for channel in (data, error):
                await self._ws.send_bytes(channel + port.to_bytes(2, "little"))
            try:
                await self._connect(index, port, data)
            except Unreachable as problem:
                await self._ws.send_bytes(error + str(problem).encode())

    async def _connect(self, index: int, port: int, channel: bytes) -> None:
        async with self._target.connect(port) as (reader, writer):
            sending = asyncio.create_task(feed(self._incoming[index], writer))
            try:
                while piece := await reader.read(PIECE):
                    await self._ws.send_bytes(channel + piece)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
