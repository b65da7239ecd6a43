"""What outlives a restart: the key that tokens are signed with, and the certificate that is published."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.rig import InProcess, Rig
from graylane.testing.api.serve import TOKEN, config

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
AUTHORITY = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.Authority(tmp_path_factory.mktemp("pki"), datetime.now(UTC))


async def started(tmp_path: Path, authority: pki.Authority, ca: str = "") -> tuple[ApiServer, Rig]:
    settings = config(tmp_path, authority.pair.certificate.parent)
    if ca:
        (tmp_path / "ca.pem").write_text(ca)
        settings = replace(settings, ca=tmp_path / "ca.pem")
    server = ApiServer(settings)
    await server.open()
    return server, Rig(InProcess(server.front), TOKEN, "in-process")


async def test_a_token_is_still_good_after_a_restart(tmp_path: Path, authority: pki.Authority) -> None:
    server, api = await started(tmp_path, authority)
    await api.create(ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    made = await api.create(f"{ACCOUNTS}/robot/token", {"spec": {}})
    await server.stop()
    server, api = await started(tmp_path, authority)
    assert (await api.call("GET", "/api", token=made["status"]["token"])).status == 200
    key = server.config.data_dir / "service-accounts.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    jwks = await api.get("/openid/v1/jwks")
    assert jwks["keys"][0]["alg"] == "ES256"
    assert (await api.get("/.well-known/openid-configuration"))["issuer"].startswith("https://kubernetes.default")
    await server.stop()


async def test_the_authority_is_published_and_follows_a_new_one(tmp_path: Path, authority: pki.Authority) -> None:
    for ca in ("one", "two"):
        server, api = await started(tmp_path, authority, ca)
        assert (await api.get(AUTHORITY))["data"] == {"ca.crt": ca}
        await server.stop()


async def test_an_open_writes_nothing_when_all_is_there(tmp_path: Path, authority: pki.Authority) -> None:
    server, _ = await started(tmp_path, authority, "one")
    await server.stop()
    before = server.api.store.revision
    server, _ = await started(tmp_path, authority, "one")
    assert server.api.store.revision == before
    await server.stop()
