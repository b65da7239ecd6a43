"""A real API server with the shipped CRDs, for verbs that read and write objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.client import ApiClient, load_kubeconfig
from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.install import install_crds


@dataclass(frozen=True)
class Server:
    """What a test of a verb needs: where the kubeconfig is, and a client of its own."""

    kubeconfig: Path
    client: ApiClient


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    authority = pki.Authority(tmp_path / "pki", datetime.now(UTC))
    pair = authority.server("server", ["127.0.0.1"])
    admin = User("admin", ("system:masters", "system:authenticated"))
    config = ApiServerConfig(
        data_dir=tmp_path / "api",
        host="127.0.0.1",
        port=0,
        certificate=pair.certificate,
        key=pair.key,
        tokens={"secret": admin},
    )
    api = ApiServer(config)
    await api.start()
    kubeconfig = tmp_path / "kubeconfig"
    pki.write_kubeconfig(kubeconfig, server=api.url, ca=authority.bundle, token="secret")
    try:
        async with ApiClient(load_kubeconfig(kubeconfig)) as client:
            await install_crds(client)
            yield Server(kubeconfig, client)
    finally:
        await api.stop()
