"""What a real Envoy tells on the ledger's pipe, and what becomes of requests when nobody reads it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from graylane.chain.seen import SeenHop
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.ledger.pipe import Pipe
from graylane.testing import envoys, meshes, places
from graylane.testing.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

MANIFESTS = """
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 8000}], selector: {app: a}}
---
kind: VirtualService
metadata: {name: vs}
spec:
  hosts: [shop.example]
  gateways: [gw]
  http:
  - name: dyes
    match: [{uri: {prefix: /dyes}}]
    headers: {request: {set: {my-request-id: canary}, remove: [x-lane]}}
    rewrite: {uri: /rewritten}
    route: [{destination: {host: a}}]
  - name: passes
    match: [{headers: {x-tenant: {prefix: t}}}]
    route: [{destination: {host: a}}]
  - match: [{uri: {prefix: /nowhere}}]
    route: [{destination: {host: missing}}]
  - match: [{uri: {prefix: /}}]
    route: [{destination: {host: a}}]
"""


@dataclass
class Told:
    """A gateway that is told of, and who is told."""

    envoy: envoys.Rig
    server: DebugServer
    pipe: Pipe
    door: str
    received: envoys.Received

    async def get(self, path: str, **headers: str) -> envoys.Answer:
        named = {"host": "shop.example"} | {name.replace("_", "-"): each for name, each in headers.items()}
        return await self.envoy.get(f"http://{self.door}{path}", headers=named)

    def known(self, path: str) -> SeenHop | None:
        return next((each.hop for each in self.server.ledger.requests(lambda hop: hop.path == path, 0.0)), None)

    async def seen(self, path: str) -> SeenHop:
        hop = await eventually(lambda: self.known(path), 30, f"{path} told of")
        assert hop is not None
        return hop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    path: Path = tmp_path_factory.mktemp("ledger") / "ledger"
    config = MeshConfig(access_log="", ledger=str(path))
    server = DebugServer(lambda: (), config.named)
    pipe = Pipe(path, server.take)
    pipe.start()
    network, port = places.own_network(), places.free_node_port()
    cluster = meshes.Cluster(mesh=config)
    cluster.pods = [
        meshes.pod("gw-1", f"{network}.1", {"app": "gw"}, host_ip="127.0.0.1", router=True),
        meshes.pod("a-1", f"{network}.2", {"app": "a"}),
    ]
    cluster.apply(*meshes.entrance(port), *meshes.manifests(MANIFESTS))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(pipe.stop)
        rig = await stack.enter_async_context(envoys.rig())
        received = await stack.enter_async_context(envoys.upstream("a", f"{network}.2", 8000))
        server.learn((await rig.push(replace(cluster.inputs(), lanes=frozenset({"my-request-id", "x-lane"})))).plan)
        yield Told(rig, server, pipe, f"127.0.0.1:{port}", received)


async def test_headers_are_told_as_they_came_and_as_they_were_passed_on(told: Told) -> None:
    assert (await told.get("/dyes/x", x_lane="blue", x_tenant="other")).status == 200
    hop = await told.seen("/dyes/x")
    assert re.fullmatch(r"[0-9a-f-]{36}", hop.id)
    assert hop.headers == (("x-lane", "blue"), ("x-tenant", "other"))
    assert sorted(hop.passed) == [("my-request-id", "canary"), ("x-tenant", "other")]
    assert (hop.path, hop.route, hop.rule) == ("/dyes/x", "dyes", "VirtualService default/vs http[0]")
    assert (hop.caller, hop.gateway, hop.pod, hop.code, hop.flags) == ("default/gw-1", True, "default/a-1", 200, "")


async def test_a_header_of_every_kind_is_told_by_whoever_reads_it(told: Told) -> None:
    await told.get("/plain", my_request_id="canary, a\tb", x_lane="", x_other="untold", x_tenant="t-1")
    hop = await told.seen("/plain")
    assert hop.headers == hop.passed == (("my-request-id", "canary, a\tb"), ("x-tenant", "t-1"))
    assert (hop.route, hop.method, hop.authority, hop.details) == ("passes", "GET", "shop.example", "via_upstream")


async def test_what_failed_is_told_with_its_flag(told: Told) -> None:
    assert (await told.get("/nowhere", x_lane="blue")).status == 503
    hop = await told.seen("/nowhere")
    assert (hop.code, hop.flags, hop.pod, hop.upstream, hop.headers) == (503, "NC", "", "", (("x-lane", "blue"),))


async def test_a_client_that_does_not_wait_is_told_with_how_long_it_did(told: Told) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    leaving = asyncio.create_task(told.get("/gone?held=1"))
    await eventually(lambda: any(each["path"] == "/gone?held=1" for each in told.received))
    leaving.cancel()
    hop = await told.seen("/gone?held=1")
    assert (hop.code, hop.flags) == (0, "DC")
    assert 0 < hop.seconds < clock() - began


async def test_while_nobody_reads_requests_are_answered_and_afterwards_told_again(told: Told) -> None:
    told.pipe.stop()
    for number in range(20):
        assert (await told.get(f"/untold/{number}")).status == 200
    told.pipe.start()

    async def heard() -> SeenHop | None:
        await told.get("/heard")
        return told.known("/heard")

    await eventually(heard, 30, "a request told of")
