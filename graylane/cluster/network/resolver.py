"""The process that answers pods' queries for names, and goes on when whoever knows the zone is killed.

Shell. In: an address, a port, the zone's file. Out: answers of `names.answer`, over UDP and TCP. The file is looked at
for each query and read again when it is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from graylane.cluster.network import names

_TCP_PATIENCE = 10.0

Answer = Callable[[bytes, bool], bytes | None]


class ZoneFile:
    """The zone as it was written last. `write` is for the other side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._zone = names.Zone("")

    def write(self, zone: names.Zone) -> None:
        """At once or not at all."""
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(names.written(zone)))
        draft.replace(self._path)

    def zone(self) -> names.Zone:
        with contextlib.suppress(FileNotFoundError):
            stat = os.stat(self._path)
            if (now := (stat.st_ino, stat.st_mtime_ns)) != self._seen:
                self._zone, self._seen = names.read_zone(*json.loads(self._path.read_text())), now
        return self._zone


async def serve(address: str, port: int, answer: Answer) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    """Raises OSError when the address is taken."""
    tcp = await asyncio.start_server(lambda reader, writer: _stream(answer, reader, writer), address, port)
    port = tcp.sockets[0].getsockname()[1]
    try:
        loop = asyncio.get_running_loop()
        udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(answer), (address, port))
    except OSError:
        tcp.close()
        raise
    return tcp, udp


async def _stream(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Each message has its length in front."""
    with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
        while True:
            async with asyncio.timeout(_TCP_PATIENCE):
                size = int.from_bytes(await reader.readexactly(2))
                found = answer(await reader.readexactly(size), False)
                if found is None:
                    return
                writer.write(len(found).to_bytes(2) + found)
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (found := self._answer(data, True)) is not None:
            self._transport.sendto(found, addr)


async def main(address: str, port: str, path: str) -> None:
    """Until SIGTERM."""
    file, ended = ZoneFile(Path(path)), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    try:
        tcp, udp = await serve(
            address, int(port), lambda query, datagram: names.answer(file.zone(), query, datagram=datagram)
        )
    except OSError as error:
        sys.exit(f"the pods' name server cannot listen on {address}:{port}: {error.strerror}")
    await ended.wait()
    tcp.close()
    udp.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
