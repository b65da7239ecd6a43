"""The mesh is asked through the API's pod proxy: each replica of a pretended istiod, in pods that really listen."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from chain.scene import base

from cli.conftest import Server
from cli.test_explain import both_released, put_all
from graylane.chain.picture import Proxies
from graylane.chain.seen import NO_LEDGER
from graylane.chain.view import chain_view
from graylane.cli.exits import Exit
from graylane.cli.root import run
from graylane.cli.sighting import look
from graylane.kit import istiod
from graylane.model.kinds import POD, VIRTUAL_SERVICE
from graylane.testing.places import free_port, own_network
from graylane.trafficrouting import proxies as trafficrouting
from graylane.trafficrouting.confirm import Answer, verdict
from graylane.trafficrouting.syncz import Silent

UUID = "0b0f1c6e-1111-2222-3333-444455556666"


class Replica:
    """Answers as istiod 1.23 does; `status` as one that wants to know who asks."""

    def __init__(self, push: int) -> None:
        self.push, self.status = push, 200

    async def syncz(self, request: web.Request) -> web.Response:
        nonce = f"2026-01-01T00:00:00Z/{self.push}{UUID}"
        told = {"proxy": "web.default", "route_sent": nonce, "route_acked": nonce}
        return web.json_response([told], status=self.status)


async def no_ledger(_: web.Request) -> web.Response:
    return web.json_response(NO_LEDGER)


@contextlib.asynccontextmanager
async def replica(server: Server, name: str, push: int, *, ours: bool = False) -> AsyncIterator[Replica]:
    """One of `ours` has a ledger, which is off."""
    found = Replica(push)
    app = web.Application()
    app.router.add_get("/debug/syncz", found.syncz)
    if ours:
        app.router.add_get("/debug/ledger{requests:.*}", no_ledger)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    address = f"{own_network()}.1"
    port = free_port(address)
    await web.TCPSite(runner, address, port).start()
    ports = [{"name": "http-monitoring", "containerPort": port}]
    spec = {"nodeName": "n", "containers": [{"name": "discovery", "image": "istio/pilot:1.23.2", "ports": ports}]}
    meta = {"name": name, "namespace": istiod.NAMESPACE, "labels": {"app": "istiod"}}
    await server.client.create(POD, {"metadata": meta, "spec": spec})
    status = {"podIP": address, "phase": "Running"}
    await server.client.patch(POD, name, istiod.NAMESPACE, {"status": status}, subresource="status")
    try:
        yield found
    finally:
        await runner.cleanup()


async def test_each_replica_is_asked_and_a_change_confirmed_by_all(server: Server) -> None:
    client = server.client
    assert await istiod.ask(client, "/debug/syncz") == []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    obj: Any = {"metadata": {"name": "vs", "uid": "u", "generation": 1}}
    proxies = trafficrouting.Proxies(partial(istiod.ask, client, "/debug/syncz"))
    unsaid = Silent(VIRTUAL_SERVICE, obj, verdict(obj, now, timedelta(seconds=60), now))
    async with replica(server, "istiod-a", 4) as a, replica(server, "istiod-b", 9) as b:
        answers = await istiod.ask(client, "/debug/syncz")
        assert {answer.replica: answer.value[0]["proxy"] for answer in answers} == {
            "istiod-a": "web.default",
            "istiod-b": "web.default",
        }
        assert (await proxies.verdicts([unsaid], now))["u"].answer is Answer.WAITS
        a.push, b.push = 5, 10
        b.status = 401
        assert (await proxies.verdicts([unsaid], now))["u"].answer is Answer.WAITS
        b.status = 200
        assert (await proxies.verdicts([unsaid], now))["u"].answer is Answer.YES
        [one, _] = await istiod.ask(client, "/debug/ledger")
        assert (one.value, bool(one.error)) == (None, True)
        found = await look(client, chain_view(base().observed(), "default"), now)
        assert (found.seen.nothing, found.seen.seconds, found.proxies) == (True, 0, Proxies(2, 2))


async def test_verify_says_what_it_lacks_where_the_mesh_keeps_no_ledger(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await put_all(server, both_released())
    command = ["verify", "--kubeconfig", str(server.kubeconfig), "--header", "my-request-id=canary"]
    assert await asyncio.to_thread(run, command) == Exit.REFUSED
    told = capsys.readouterr().err
    assert "no pod with label app=istiod" in told
    assert "`graylane explain` does not" in told
    assert await asyncio.to_thread(run, [*command[:3], "-H", "nonsense"]) == Exit.USAGE


async def test_with_the_ledger_off_status_says_so_and_verify_refuses(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await put_all(server, both_released())
    cluster = ["--kubeconfig", str(server.kubeconfig)]
    async with replica(server, "istiod-graylane", 1, ours=True):
        assert await asyncio.to_thread(run, ["verify", *cluster, "--header", "my-request-id=canary"]) == Exit.REFUSED
        assert "the ledger of requests is off (graylane up --ledger=off)" in capsys.readouterr().err
        await asyncio.to_thread(run, ["status", *cluster])
        assert "requests not seen: up --ledger=off" in capsys.readouterr().out
        await asyncio.to_thread(run, ["status", *cluster, "-o", "json"])
        assert json.loads(capsys.readouterr().out)["observed"] == NO_LEDGER
