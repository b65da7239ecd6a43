"""What the server keeps to itself, forgets, or does not do, and how it says so."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from graylane.cluster import pki
from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.server import ApiServer
from graylane.errors import UserError
from graylane.testing.api.objects import config_map, widget_crd
from graylane.testing.api.rig import InProcess, Rig
from graylane.testing.api.serve import TOKEN, config

MAPS = "/api/v1/namespaces/default/configmaps"


async def test_a_version_older_than_history_is_gone_in_the_stream_and_in_pages(
    tmp_path: Path, authority: pki.Authority
) -> None:
    server = ApiServer(replace(config(tmp_path, authority.pair.certificate.parent), history=5))
    await server.open()
    api = Rig(InProcess(server.front), TOKEN, "in-process")
    for name in "abc":
        await api.create(MAPS, config_map(name))
    page = await api.get(MAPS, limit=1)
    for number in range(10):
        await api.patch(f"{MAPS}/a", {"data": {"n": str(number)}})
    async with api.watch(MAPS, resourceVersion="1") as watch:
        event = await watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await watch.ended()
    expired = await api.call("GET", MAPS, limit=1, **{"continue": page["metadata"]["continue"]})
    assert (expired.status, expired.reason) == (410, "Expired")
    rest = await api.get(MAPS, **{"continue": expired.json["details"]["continue"]})
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c"]
    await server.stop()


async def test_a_version_of_the_future_is_not_waited_for(api: Rig) -> None:
    async with api.watch(MAPS, resourceVersion="999999") as watch:
        event = await watch.next()
    assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert (await api.call("GET", MAPS, resourceVersion="999999")).status == 504


async def test_without_the_extra_rules_in_cel_are_said_not_to_be_evaluated(
    api: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cel, "available", lambda: False)
    crd = widget_crd("cel.example.com")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "self.size < 10"}]
    answer = await api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    assert answer.status == 201
    assert len(answer.warnings) == 1
    assert "does not evaluate CEL rules of v1: spec; install graylane[cel]" in answer.warnings[0]


@pytest.mark.parametrize("spec", [{}, {"group": "x"}, {"group": "x", "names": {}, "versions": []}, {"versions": None}])
async def test_a_definition_with_holes_is_invalid_and_never_a_bug(api: Rig, spec: dict[str, object]) -> None:
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}}
    answer = await api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {**body, "spec": spec})
    assert answer.status in (400, 422), answer.body


async def test_data_is_readable_by_its_owner_only(server: ApiServer) -> None:
    for path in (server.config.data_dir, server.config.data_dir / "objects.db"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077


async def test_a_taken_port_is_one_clear_line(tmp_path: Path, authority: pki.Authority) -> None:
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    server = ApiServer(config(tmp_path, authority.pair.certificate.parent, port=port))
    with pytest.raises(
        UserError, match=f"127.0.0.1:{port} is taken by another process; stop it or choose another port"
    ):
        await server.start()
    again = ApiServer(config(tmp_path, authority.pair.certificate.parent))
    await again.start()
    await again.stop()
    taken.close()


async def test_stopping_ends_watches(tmp_path: Path, authority: pki.Authority) -> None:
    server = ApiServer(config(tmp_path, authority.pair.certificate.parent))
    await server.open()
    api = Rig(InProcess(server.front), TOKEN, "in-process")
    async with api.watch(MAPS) as watch:
        reading = asyncio.create_task(watch.ended())
        await asyncio.sleep(0)
        await server.stop()
        assert await reading


async def test_custom_kinds_are_served_again_after_a_restart(tmp_path: Path, authority: pki.Authority) -> None:
    settings = config(tmp_path, authority.pair.certificate.parent)
    first = ApiServer(settings)
    await first.open()
    crd = widget_crd("again.example.com")
    await Rig(InProcess(first.front), TOKEN, "in-process").create(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd
    )
    await first.stop()
    second = ApiServer(settings)
    await second.open()
    assert (await Rig(InProcess(second.front), TOKEN, "in-process").get("/apis/again.example.com/v1/widgets"))[
        "items"
    ] == []
    await second.stop()
