"""A client that costs next to nothing, so that a benchmark measures the server and not itself.

Shell (sockets). In: an address, whole requests. Out: statuses and bodies; a call for every line of a watch. It knows
only the HTTP that our server speaks: one request at a time per connection, every answer with a Content-Length.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import urlsplit

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens and what it wants to see. `ca` is None for plain HTTP."""

    host: str
    port: int
    token: str
    context: ssl.SSLContext | None

    @staticmethod
    def of(url: str, token: str, ca: Path) -> Address:
        parts = urlsplit(url)
        context = ssl.create_default_context(cafile=str(ca)) if parts.scheme == "https" else None
        return Address(parts.hostname or "", parts.port or 0, token, context)

    async def connect(self, protocol: P) -> P:
        loop = asyncio.get_running_loop()
        name = self.host if self.context else None
        await loop.create_connection(lambda: protocol, self.host, self.port, ssl=self.context, server_hostname=name)
        return protocol

    def request(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Accept: application/json\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def call(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises `ConnectionError` when the server hangs up instead."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = bytes(self._received[:end])
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._received) < end + length or self._answer is None or self._answer.done():
            return
        self._answer.set_result((int(head[9:12]), bytes(self._received[end : end + length])))
        del self._received[: end + length]

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the server hung up"))


class Watcher(asyncio.Protocol):
    """One watch. `on_lines` is told how many events have just come in; nothing is decoded."""

    def __init__(self, request: bytes, on_lines: Callable[[int], None]) -> None:
        self._request = request
        self._on_lines = on_lines
        self._last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Events end with a bare newline; HTTP's own lines, those of chunks too, with a carriage return before it."""
        data = self._last + data
        self._last = data[-1:] if data.endswith(b"\r") else b""
        if lines := data.count(b"\n") - data.count(b"\r\n"):
            self._on_lines(lines)
