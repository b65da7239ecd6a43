"""The mesh over HTTP: entries as Envoy sends them, in; answers as users and controllers read them, out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from graylane.chain.seen import linked_from_json, view_from_json
from graylane.mesh.compile.plan import plan
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.encode.observe import FIELD, KIND, PAIR, VALUE
from graylane.mesh.memo import Memo
from graylane.mesh.xds.syncz import SyncLog
from graylane.testing import meshes
from graylane.testing.places import own_network

MANIFESTS = """
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 8000}], selector: {app: a}}
---
kind: Service
metadata: {name: b}
spec: {ports: [{name: http, port: 8000}], selector: {app: b}}
---
kind: VirtualService
metadata: {name: vs-b}
spec:
  hosts: [b]
  http:
  - name: to-b
    headers: {request: {remove: [x-tenant]}}
    route: [{destination: {host: b}}]
"""
A, B = "127.9.0.2", "127.9.0.3"


@pytest.fixture
async def server() -> AsyncIterator[DebugServer]:
    cluster = meshes.Cluster()
    cluster.pods = [meshes.pod("a-1", A, {"app": "a"}), meshes.pod("b-1", B, {"app": "b"})]
    cluster.apply(*meshes.manifests(MANIFESTS))
    found = DebugServer(lambda: [SyncLog()], NAMED)
    found.learn(plan(replace(cluster.inputs(), lanes=frozenset({"my-request-id", "x-tenant"})), Memo()))
    host = f"{own_network()}.1"
    await found.start(host)
    found.host = host  # type: ignore[attr-defined]
    yield found
    await found.stop()


async def get(server: DebugServer, path: str) -> Any:
    url = f"http://{server.host}:{server.port}{path}"  # type: ignore[attr-defined]
    async with aiohttp.request("GET", url) as response:
        return await response.json() if response.status == 200 else (response.status, await response.text())


NAMED = ("my-request-id",)


def line(
    *, code: int = 200, route: str = "to-b", method: str = "GET", read: tuple[tuple[str, str], ...] = (), lane: str = ""
) -> str:
    """A call of a-1 to b, as Envoy tells of it; `read` are headers that a filter read, `lane` the one that it names."""
    now = time.time()
    flags, cluster = "URX,UF" if code == 503 else "-", "outbound|8000||b.default.svc.cluster.local"
    filtered = PAIR.join(f"{name}{VALUE}{value}" for name, value in read)
    own = (f"{now - 0.002:.6f}", f"{now:.6f}", "127.0.0.1:4711", "some-id", "/x")
    kind = (str(code), flags, "via_upstream", f"{A}:15001", f"{B}:8000", cluster, method, "b:8000", route, filtered)
    return FIELD.join(own) + KIND + FIELD.join((*kind, lane))


async def test_an_entry_is_told_with_pod_rule_lane_and_what_the_rule_did_to_headers(server: DebugServer) -> None:
    server.take([line(lane="canary", read=(("x-tenant", "t"),)), line(code=503)])
    first, second = (
        each.hop for each in linked_from_json((await get(server, "/debug/ledger/requests?id=some-id"))["requests"])
    )
    assert (first.caller, first.gateway, first.pod) == ("default/a-1", False, "default/b-1")
    assert (first.rule, first.route) == ("VirtualService default/vs-b http[0]", "to-b")
    assert (first.virtual_host, first.method, first.code) == ("b.default.svc.cluster.local:8000", "GET", 200)
    assert first.headers == (("my-request-id", "canary"), ("x-tenant", "t"))
    assert first.passed == (("my-request-id", "canary"),)
    assert first.seconds == pytest.approx(0.002, abs=1e-5)
    assert (second.flags, second.failed) == ("UF,URX", True)


async def test_what_the_filter_read_before_this_hops_edits_is_what_was_received(server: DebugServer) -> None:
    dyed_here, taken_off_here = (("my-request-id", ""),), (("my-request-id", "canary"),)
    server.take([line(lane="canary", read=dyed_here), line(read=taken_off_here)])
    told = linked_from_json((await get(server, "/debug/ledger/requests?id=some-id"))["requests"])
    assert [each.hop.headers for each in told] == [(), (("my-request-id", "canary"),)]


async def test_what_is_no_line_of_ours_is_passed_over_and_a_tunnel_is_told_by_what_is_in_it(
    server: DebugServer,
) -> None:
    server.take(
        [line().partition(FIELD)[2], "", "half a line", line(method="CONNECT"), line().replace("200", "many"), line()]
    )
    assert (await get(server, "/debug/ledger"))["taken"] == 1


async def test_a_request_is_told_by_the_rules_that_held_when_it_ended(server: DebugServer) -> None:
    server.take([line()])
    server.learn(plan(meshes.Cluster().inputs(), Memo()))
    server.take([line()])
    told = linked_from_json((await get(server, "/debug/ledger/requests?id=some-id"))["requests"])
    assert [(each.hop.number, each.hop.rule, each.hop.pod) for each in told] == [
        (1, "VirtualService default/vs-b http[0]", "default/b-1"),
        (2, "", "default/b-1"),
    ]


async def test_more_kinds_of_requests_than_are_remembered_are_read_all_the_same(server: DebugServer) -> None:
    server.take(line(lane=f"user-{number}") for number in range(5000))
    assert (await get(server, "/debug/ledger"))["taken"] == 5000


async def test_a_mesh_without_a_ledger_says_so() -> None:
    server = DebugServer(lambda: (), keeps_ledger=False)
    server.host = f"{own_network()}.1"  # type: ignore[attr-defined]
    await server.start(server.host)  # type: ignore[attr-defined]
    assert await get(server, "/debug/ledger") == await get(server, "/debug/ledger/requests?id=x") == {"ledger": "off"}
    await server.stop()


async def test_counts_are_told_for_the_seconds_that_were_asked_for(server: DebugServer) -> None:
    server.take([line(lane="canary")] * 3)
    told = await get(server, "/debug/ledger?seconds=30")
    assert (told["taken"], told["lanes"]) == (3, ["my-request-id", "x-tenant"])
    (count,) = view_from_json(told).counts
    assert (count.host, count.port, count.headers, count.count) == (
        "b.default.svc.cluster.local",
        8000,
        (("my-request-id", "canary"),),
        3,
    )


async def test_a_question_waits_for_what_is_newer(server: DebugServer) -> None:
    server.take([line()])
    asked = asyncio.create_task(get(server, "/debug/ledger/requests?id=some-id&after=1&wait=20"))
    assert (await get(server, "/debug/ledger/requests?id=some-id"))["taken"] == 1
    assert not asked.done()
    server.take([line()])
    assert (await asked)["taken"] == 2


async def test_a_wrong_question_is_said_to_be_one(server: DebugServer) -> None:
    status, text = await get(server, "/debug/ledger?seconds=many")
    assert (status, text) == (400, "query parameter seconds: 'many' is no number")


async def test_a_second_mesh_at_the_same_address_answers_at_another_port(server: DebugServer) -> None:
    other = DebugServer(lambda: ())
    await other.start(server.host)  # type: ignore[attr-defined]
    assert server.port == 15014 != other.port != 0
    await other.stop()
    told = await get(server, "/debug/syncz")
    assert {each["proxy"] for each in told} == {"a-1.default", "b-1.default"}
