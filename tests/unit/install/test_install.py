"""What Graylane needs in an API server is put there once, and put right when it is not as shipped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graylane.client import ApiClient, ApiConfig
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.install import install_crds, shipped_crds
from graylane.model.kinds import CRD
from graylane.model.meta import name_of


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(ApiServerConfig(tmp_path, tokens={"t": User("admin", ("system:masters",))}))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[ApiClient]:
    async with ApiClient(ApiConfig(server=server.url, token="t")) as client:
        yield client


async def test_every_shipped_definition_is_there_and_a_second_time_writes_nothing(
    server: ApiServer, client: ApiClient
) -> None:
    await install_crds(client)
    installed = await client.list(CRD)
    assert {name_of(crd) for crd in installed.items} == {name_of(crd) for crd in shipped_crds()}
    revision = server.api.store.revision
    await install_crds(client)
    assert server.api.store.revision == revision


async def test_a_definition_that_was_changed_is_brought_back(client: ApiClient) -> None:
    await install_crds(client)
    name = name_of(shipped_crds()[0])
    await client.patch(CRD, name, "", {"spec": {"names": {"shortNames": ["mine"]}}})
    await install_crds(client)
    crd = await client.get(CRD, name)
    assert crd["spec"]["names"].get("shortNames") == shipped_crds()[0]["spec"]["names"].get("shortNames")


async def test_a_conversion_webhook_of_openkruise_is_asked_no_more(client: ApiClient) -> None:
    """Its server went with its manager: every read in another version than the stored one would fail."""
    await install_crds(client)
    webhook = {"clientConfig": {"url": "https://127.0.0.1:1/convert"}, "conversionReviewVersions": ["v1"]}
    name = "rollouts.rollouts.kruise.io"
    await client.patch(CRD, name, "", {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}})
    await install_crds(client)
    crd = await client.get(CRD, name)
    assert crd["spec"]["conversion"] == {"strategy": "None"}
