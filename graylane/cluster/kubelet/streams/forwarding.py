"""port-forward: TCP connections to a pod, each as a pair of SPDY streams inside one WebSocket.

Shell. In: an accepted WebSocket with `SPDY/3.1+portforward.k8s.io`, the pod's address. Out: one TCP connection for each
pair of streams (headers `streamtype: error` and `data`, same `requestid`); what goes wrong is said on the error stream.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from aiohttp import web

from graylane.cluster.kubelet.streams import spdy
from graylane.cluster.kubelet.streams.options import port_number
from graylane.cluster.kubelet.streams.sockets import messages, pulse
from graylane.cluster.kubelet.streams.target import PIECE, Incoming, Target, Unreachable, feed
from graylane.errors import BadRequest

PROTOCOL = "SPDY/3.1+portforward.k8s.io"

_WAITING_FRAMES = 64


@dataclass(slots=True)
class Connection:
    """One pair of streams. `incoming` ends with None: the client sends no more."""

    error: int
    data: int
    port: int
    incoming: Incoming = field(default_factory=lambda: asyncio.Queue(_WAITING_FRAMES))
    task: asyncio.Task[None] | None = None


class Forwarding:
    """One client's connections to one pod."""

    def __init__(self, ws: web.WebSocketResponse, target: Target) -> None:
        self._ws = ws
        self._target = target
        self._codec = spdy.Codec()
        self._errors: dict[str, int] = {}
        self._connections: dict[int, Connection] = {}

    async def run(self) -> None:
        """Returns when the client has left, or speaks something else."""
        beating = asyncio.create_task(pulse(self._ws))
        try:
            async for message in messages(self._ws):
                for frame in self._codec.receive(message):
                    await self._take(frame)
        except spdy.ProtocolError as error:
            await self._ws.close(code=1002, message=str(error).encode()[:120])
        finally:
            tasks = [beating, *(each.task for each in self._connections.values() if each.task)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, frame: spdy.Frame) -> None:
        match frame:
            case spdy.Opened(stream=stream, headers=headers):
                await self._opened(stream, headers)
            case spdy.Data(stream=stream, data=data, fin=fin):
                await self._heard(stream, data, fin)
            case spdy.Dropped(stream=stream):
                self._dropped(stream)
            case spdy.Ping(id=id):
                await self._ws.send_bytes(spdy.ping(id))

    async def _opened(self, stream: int, headers: dict[str, str]) -> None:
        kind, request = headers.get("streamtype"), headers.get("requestid", "")
        try:
            port = port_number(headers.get("port", ""))
        except BadRequest:
            kind = None
        if kind == "error":
            self._errors[request] = stream
        elif kind != "data" or request not in self._errors:
            await self._ws.send_bytes(spdy.reset(stream, spdy.Reset.PROTOCOL_ERROR))
            return
        await self._ws.send_bytes(self._codec.reply(stream))
        if kind == "data":
            connection = Connection(self._errors.pop(request), stream, port)
            self._connections[stream] = connection
            connection.task = asyncio.create_task(self._connect(connection))

    async def _heard(self, stream: int, data: bytes, fin: bool) -> None:
        """Waits when the pod reads slowly. So do its neighbours in this WebSocket: SPDY is spoken without windows."""
        connection = self._connections.get(stream)
        if connection is None:
            return  # an error stream, on which clients say nothing; or one that has ended meanwhile
        if data:
            await connection.incoming.put(data)
        if fin:
            await connection.incoming.put(None)

    def _dropped(self, stream: int) -> None:
        connection = self._connections.get(stream)
        if connection is not None and connection.task is not None:
            connection.task.cancel()

    async def _connect(self, connection: Connection) -> None:
        """A connection's whole life. The end of its error stream is what the client waits for."""
        failure = b""
        try:
            async with self._target.connect(connection.port) as (reader, writer):
                await self._pass(connection, reader, writer)
        except Unreachable as error:
            failure = str(error).encode()
            await self._send(spdy.data(connection.data, b"", fin=True))
        except OSError:
            await self._send(spdy.reset(connection.data, spdy.Reset.CANCEL))
        finally:
            self._forget(connection)
            await self._send(spdy.data(connection.error, failure, fin=True))

    async def _pass(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sending = asyncio.create_task(feed(connection.incoming, writer))
        try:
            while data := await reader.read(PIECE):
                await self._ws.send_bytes(spdy.data(connection.data, data))
            await self._ws.send_bytes(spdy.data(connection.data, b"", fin=True))
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _forget(self, connection: Connection) -> None:
        """What still comes for it is dropped, and who waits to hand it over is let go."""
        self._connections.pop(connection.data, None)
        while not connection.incoming.empty():
            connection.incoming.get_nowait()

    async def _send(self, frame: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._ws.send_bytes(frame)
