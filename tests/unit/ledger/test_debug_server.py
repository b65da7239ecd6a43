"""The mesh over HTTP: entries as Envoy sends them, in; answers as users and controllers read them, out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.data.accesslog.v3 import accesslog_pb2

from graylane.chain.seen import linked_from_json, view_from_json
from graylane.mesh.compile.plan import plan
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.encode.observe import NAMESPACE
from graylane.mesh.memo import Memo
from graylane.mesh.xds.syncz import SyncLog
from graylane.testing import meshes
from graylane.testing.envoys import own_network

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
    found = DebugServer(lambda: [SyncLog()])
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


def entry(*, code: int = 200, route: str = "to-b", method: str = "GET", **headers: str) -> Any:
    """A call of a-1 to b, as Envoy tells of it."""
    found = accesslog_pb2.HTTPAccessLogEntry()
    common = found.common_properties
    local, upstream = common.downstream_local_address, common.upstream_remote_address
    local.socket_address.address, local.socket_address.port_value = A, 15001
    upstream.socket_address.address, upstream.socket_address.port_value = B, 8000
    common.downstream_direct_remote_address.socket_address.address = "127.0.0.1"
    common.start_time.GetCurrentTime()
    common.duration.nanos = 2_000_000
    common.route_name, common.upstream_cluster = route, "outbound|8000||b.default.svc.cluster.local"
    if code == 503:
        common.response_flags.upstream_connection_failure = True
        common.response_flags.upstream_retry_limit_exceeded = True
    for name, value in headers.items():
        fields = common.metadata.filter_metadata[NAMESPACE].fields
        fields[name.replace("_", "-")].string_value = value
    found.request.request_method = base_pb2.RequestMethod.Value(method)
    found.request.authority, found.request.path, found.request.request_id = "b:8000", "/x", "some-id"
    found.response.response_code.value = code
    found.response.response_code_details = "via_upstream"
    return found


async def test_an_entry_is_told_with_pod_rule_lane_and_what_the_rule_did_to_headers(server: DebugServer) -> None:
    server.take([entry(my_request_id="canary", x_tenant="t"), entry(code=503)])
    first, second = (
        each.hop for each in linked_from_json((await get(server, "/debug/ledger/requests?id=some-id"))["requests"])
    )
    assert (first.caller, first.gateway, first.pod) == ("default/a-1", False, "default/b-1")
    assert (first.rule, first.route) == ("VirtualService default/vs-b http[0]", "to-b")
    assert (first.virtual_host, first.method, first.code) == ("b.default.svc.cluster.local:8000", "GET", 200)
    assert first.headers == (("my-request-id", "canary"), ("x-tenant", "t"))
    assert first.passed == (("my-request-id", "canary"),)
    assert first.seconds == pytest.approx(0.002)
    assert (second.flags, second.failed) == ("UF,URX", True)


async def test_counts_are_told_for_the_seconds_that_were_asked_for(server: DebugServer) -> None:
    server.take([entry(my_request_id="canary")] * 3)
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
    server.take([entry()])
    asked = asyncio.create_task(get(server, "/debug/ledger/requests?id=some-id&after=1&wait=20"))
    assert (await get(server, "/debug/ledger/requests?id=some-id"))["taken"] == 1
    assert not asked.done()
    server.take([entry()])
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
