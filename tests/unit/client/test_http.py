"""What a server that cannot be asked is told about, in words of the network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from graylane.client import ApiClient
from graylane.client.config import ApiConfig
from graylane.errors import Unavailable
from graylane.model.kinds import POD


async def trouble(server: str) -> str:
    async with ApiClient(ApiConfig(server)) as client:
        with pytest.raises(Unavailable) as raised:
            await client.get(POD, "p", "default")
    return str(raised.value)


@asynccontextmanager
async def closing_server() -> AsyncIterator[int]:
    """Takes a request and closes the connection without an answer."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_closed_port_refuses_the_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it meanwhile
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert await trouble(url) == (f"{url} did not answer GET /api/v1/namespaces/default/pods/p: Connection refused")


async def test_a_server_that_hangs_up_is_told_without_the_library_s_objects() -> None:
    async with closing_server() as port:
        assert (await trouble(f"http://127.0.0.1:{port}")).endswith("pods/p: Server disconnected")
