"""The name server that pods ask, over UDP and TCP.

Shell. In: a manager's caches, the address to answer on. Out: answers of `names.answer`. The zone is made anew at the
first query after a change, so a burst of changes costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

from graylane.cluster.network import names
from graylane.errors import UserError
from graylane.kit import Manager
from graylane.model.kinds import ENDPOINT_SLICE, SERVICE

_TCP_PATIENCE = 10.0
PORT = 53


class NameServer:
    """Answers from `start` to `stop`, out of the manager's caches, which may fill later."""

    def __init__(self, manager: Manager, domain: str = "cluster.local") -> None:
        self._manager = manager
        self._domain = domain
        self._zone: names.Zone | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._streams: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int = PORT) -> int:
        """Returns the port. Raises `UserError` when it is taken."""
        for kind in (SERVICE, ENDPOINT_SLICE):
            self._manager.on_change(kind, lambda _: self._forget())
        loop = asyncio.get_running_loop()
        try:
            self._tcp = await asyncio.start_server(self._stream, address, port)
            port = int(self._tcp.sockets[0].getsockname()[1])
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (address, port))
        except OSError as error:
            await self.stop()
            raise UserError(f"the pods' name server cannot listen on {address}:{port}: {error.strerror}") from error
        self._udp = transport
        return port

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._streams):
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    def answer(self, query: bytes, *, datagram: bool) -> bytes | None:
        if self._zone is None:
            view = self._manager.view()
            self._zone = names.zone_of(view.list(SERVICE), view.list(ENDPOINT_SLICE), self._domain)
        return names.answer(self._zone, query, datagram=datagram)

    def _forget(self) -> None:
        self._zone = None

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each message has its length in front."""
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                async with asyncio.timeout(_TCP_PATIENCE):
                    size = int.from_bytes(await reader.readexactly(2))
                    answer = self.answer(await reader.readexactly(size), datagram=False)
                    if answer is None:
                        return
                    writer.write(len(answer).to_bytes(2) + answer)
                    await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (answer := self._server.answer(data, datagram=True)) is not None:
            self._transport.sendto(answer, addr)
