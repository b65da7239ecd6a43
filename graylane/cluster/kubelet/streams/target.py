"""A pod's ports, as port-forward reaches and feeds them.

Shell. In: the pod's address. Out: TCP connections, or why there is none, in words for whoever forwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE = 32 * 1024  # what is read at once

_CONNECT_SECONDS = 10.0

Incoming = asyncio.Queue[bytes | None]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unreachable(Exception):
    """Nobody answers at that port."""


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is the pod's, for messages; `address` is "" while it has none, or is gone."""

    name: str
    address: str

    @contextlib.asynccontextmanager
    async def connect(self, port: int) -> AsyncIterator[Streams]:
        """A connection, closed at the end, cut off when that end is an error. Raises `Unreachable`."""
        reader, writer = await self._open(port)
        try:
            yield reader, writer
        except BaseException:
            writer.transport.abort()  # what it still holds may never be taken
            raise
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _open(self, port: int) -> Streams:
        if not self.address:
            raise Unreachable(f"pod {self.name} has no address")
        where = f"pod {self.name} does not answer at {self.address}:{port}"
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(self.address, port)
        except TimeoutError:
            raise Unreachable(f"{where} within {_CONNECT_SECONDS:g} s") from None
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise Unreachable(f"{where}: {reason}") from error


async def feed(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
    """Until None says that the client ends its side. A pod that has closed may still answer, so the rest is dropped."""
    while (data := await incoming.get()) is not None:
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
