"""Streams over a socket: who takes nothing is cut off, and nobody can take a cut for an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from graylane.cluster.apiserver import http
from graylane.cluster.apiserver.exchange import Answer, CutOff, Request, Stream
from graylane.cluster.apiserver.http import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"
PATIENCE = 30


@dataclass
class Streaming:
    """A server whose every answer is `chunk`, `times` over, then a cut if so wished."""

    chunk: bytes
    times: int
    cut: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: Request) -> Answer:
        return Stream(self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            for _ in range(self.times):
                yield self.chunk
            if self.cut:
                raise CutOff("too slow")
        finally:
            self.ended.set()


async def served(streaming: Streaming) -> tuple[HttpServer, asyncio.StreamReader, asyncio.StreamWriter]:
    server = HttpServer(streaming.handle, 1024)
    await server.start("127.0.0.1", 0, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(REQUEST)
    return server, reader, writer


async def received_by(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the end of the stream or of the connection."""
    received = bytearray()
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while not received.endswith(LAST_CHUNK) and (more := await reader.read(1 << 20)):
                received += more
    return bytes(received)


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "STUCK_SECONDS", 0.1)
    streaming = Streaming(b"x" * (1 << 20), 1000)
    server, reader, writer = await served(streaming)
    async with asyncio.timeout(PATIENCE):
        await streaming.ended.wait()
    received = await received_by(reader)
    assert len(received) < 100 << 20, "what the sockets held, and no more"
    assert not received.endswith(LAST_CHUNK)
    writer.transport.abort()
    await server.stop()


@pytest.mark.parametrize("cut", [False, True])
async def test_a_stream_that_is_cut_has_no_proper_end(cut: bool) -> None:
    server, reader, writer = await served(Streaming(b"line\n", 3, cut=cut))
    received = await received_by(reader)
    assert received.count(b"line") == 3 or cut
    assert received.endswith(LAST_CHUNK) is not cut
    writer.transport.abort()
    await server.stop()
