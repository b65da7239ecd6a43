"""Streams over a socket: who takes nothing is cut off, and nobody can take a cut for an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from graylane.cluster.apiserver import http
from graylane.cluster.apiserver.exchange import Answer, CutOff, Reply, Request, Stream
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


HEAD = b"POST /x HTTP/1.1\r\nHost: here\r\n"
BROKEN = {
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a head": b"POST /x HT",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "a head without end": HEAD + b"A: " + b"x" * 100_000,
    "a chunk of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length that is none": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a coding that does not fit": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "an unknown version": b"POST /x HTTP/9.9\r\n\r\n",
    "a zero in a header": HEAD + b"A: \x00\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_whole_request_is_never_handled(name: str, caplog: pytest.LogCaptureFixture) -> None:
    handled: list[Request] = []

    async def handle(request: Request) -> Answer:
        handled.append(request)
        return Reply.json({})

    server = HttpServer(handle, 1024)
    await server.start("127.0.0.1", 0, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(BROKEN[name])
    if name.startswith("half"):
        writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readline()
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400") if answer else b""), answer
    assert answer or name.startswith("half")
    answer += reader._buffer  # type: ignore[attr-defined]
    writer.transport.abort()
    assert handled == []
    assert b"Traceback" not in answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    await server.stop()
