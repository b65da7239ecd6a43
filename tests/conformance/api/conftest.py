"""Each scenario runs in process and over HTTPS; with GRAYLANE_CONFORMANCE_KUBECONFIG also against that cluster."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.objects import namespace
from graylane.testing.api.rig import Https, InProcess, Rig
from graylane.testing.api.serve import TOKEN, config

FOREIGN = "GRAYLANE_CONFORMANCE_KUBECONFIG"
KINDS = ["in-process", "https"] + (["foreign"] if os.environ.get(FOREIGN) else [])


@pytest.fixture(scope="session")
def pki_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making an authority takes longer than starting a server; one serves all scenarios."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(params=KINDS)
async def api(request: pytest.FixtureRequest, tmp_path: Path, pki_dir: Path) -> AsyncIterator[Rig]:
    if request.param == "foreign":
        async for rig in _foreign(_document(Path(os.environ[FOREIGN]))):
            yield rig
        return
    server = ApiServer(config(tmp_path, pki_dir))
    if request.param == "in-process":
        await server.open()
        yield Rig(InProcess(server.front), TOKEN, "in-process")
        await server.stop()
        return
    await server.start()
    https = Https(server.url, pki.Authority(pki_dir, datetime.now(UTC)).bundle)
    yield Rig(https, TOKEN, "https")
    await https.close()
    await server.stop()


async def _foreign(document: dict[str, Any]) -> AsyncIterator[Rig]:
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    https = Https(cluster["server"], base64.b64decode(cluster["certificate-authority-data"]))
    yield Rig(https, user["token"], "foreign")
    await https.close()


def _document(kubeconfig: Path) -> dict[str, Any]:
    return yaml.safe_load(kubeconfig.read_text())  # type: ignore[no-any-return]


@pytest.fixture
async def ns(api: Rig) -> AsyncIterator[str]:
    """A namespace of the scenario's own."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    await api.create("/api/v1/namespaces", namespace(name))
    yield name
    if api.kind == "foreign":
        await api.call("DELETE", f"/api/v1/namespaces/{name}")
