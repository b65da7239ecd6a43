"""A server driven in process, and HTTPS servers that stand for webhooks and kubelets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.peer import Peer, running
from graylane.testing.api.rig import InProcess, Rig
from graylane.testing.api.serve import TOKEN, config

KUBELET_TOKEN = "for the kubelet"


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


@pytest.fixture
async def peer(authority: pki.Authority) -> AsyncIterator[Peer]:
    async with running(authority) as started:
        yield started
