"""What a server that cannot be asked is told about, in words of the network."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cli.exits import line_of
from graylane.client import ApiClient
from graylane.client.config import ApiConfig
from graylane.cluster.pki import Authority
from graylane.errors import Unavailable, Untrusted, UserError
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


async def test_a_server_whose_certificate_is_of_another_authority_is_not_asked(tmp_path: Path) -> None:
    ours, theirs = (Authority(tmp_path / name, datetime.now(UTC)) for name in ("ours", "theirs"))
    pair = theirs.server("server", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with ApiClient(ApiConfig(url, ca_data=ours.bundle)) as client:
            with pytest.raises(Untrusted, match="its certificate is not trusted") as raised:
                await client.get(POD, "p", "default")
    assert "correct the kubeconfig's certificate-authority" in line_of(raised.value)


async def test_an_authority_that_is_none_is_the_kubeconfigs_fault() -> None:
    async with ApiClient(ApiConfig("https://127.0.0.1:1", ca_data=b"nonsense")) as client:
        with pytest.raises(UserError, match="the kubeconfig's certificate authority cannot be used"):
            await client.get(POD, "p", "default")
