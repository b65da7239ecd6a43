"""A server driven in process, and HTTPS servers that stand for webhooks and kubelets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.rig import InProcess, Rig
from graylane.testing.api.serve import TOKEN, config

KUBELET_TOKEN = "for the kubelet"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.Authority(tmp_path_factory.mktemp("pki"), datetime.now(UTC))


@pytest.fixture
async def server(tmp_path: Path, authority: pki.Authority) -> AsyncIterator[ApiServer]:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.bundle)
    server = ApiServer(
        replace(config(tmp_path, authority.pair.certificate.parent), kubelet_token=KUBELET_TOKEN, kubelet_ca=ca)
    )
    await server.open()
    yield server
    await server.stop()


@pytest.fixture
def api(server: ApiServer) -> Rig:
    return Rig(InProcess(server.front), TOKEN, "in-process")


@dataclass(frozen=True, slots=True)
class Peer:
    """A running HTTPS server; `handler` may be exchanged at any time."""

    url: str
    port: int
    ca: bytes
    handler: list[Handler]


@pytest.fixture
async def peer(authority: pki.Authority) -> AsyncIterator[Peer]:
    handlers: list[Handler] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return await handlers[-1](request)  # type: ignore[arg-type]

    pair = authority.server("peer", ["127.0.0.1", "hook.default.svc"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    yield Peer(f"https://127.0.0.1:{port}", port, authority.bundle, handlers)
    await runner.cleanup()
