"""Logs and proxies: the API server fetches from where the pod is, and says so when it cannot."""

from __future__ import annotations

import pytest
from aiohttp import web

from graylane.cluster.apiserver.exchange import Query, Request, Stream
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api.objects import pod
from graylane.testing.api.rig import Rig
from graylane.testing.api.serve import TOKEN

from .conftest import KUBELET_TOKEN, Peer

PODS = "/api/v1/namespaces/default/pods"


async def node(api: Rig, peer: Peer) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": peer.port}},
    }
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "graylane"}, "status": status}
    assert (await api.create("/api/v1/nodes", body))["status"]["addresses"], "a kubelet registers with its status"


async def read(server: ApiServer, path: str, **query: str) -> bytes:
    values = {name: (value,) for name, value in query.items()}
    answer = await server.front.handle(Request("GET", path, Query(values), {"authorization": f"Bearer {TOKEN}"}))
    assert isinstance(answer, Stream), answer
    return b"".join([chunk async for chunk in answer.chunks])


async def test_logs_come_from_the_pods_kubelet_with_the_clients_options(
    api: Rig, server: ApiServer, peer: Peer
) -> None:
    seen: list[web.Request] = []

    async def kubelet(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response(text="line 1\nline 2\n")

    peer.handler.append(kubelet)
    await node(api, peer)
    await api.create(PODS, pod("a", nodeName="graylane"))
    assert await read(server, f"{PODS}/a/log", tailLines="2", follow="true") == b"line 1\nline 2\n"
    assert seen[0].path == "/containerLogs/default/a/main"
    assert dict(seen[0].query) == {"tailLines": "2", "follow": "true"}
    assert seen[0].headers["Authorization"] == f"Bearer {KUBELET_TOKEN}"


async def test_what_the_kubelet_refuses_is_passed_on(api: Rig, peer: Peer) -> None:
    async def kubelet(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text='container "main" in pod "a" is waiting to start')

    peer.handler.append(kubelet)
    await node(api, peer)
    await api.create(PODS, pod("a", nodeName="graylane"))
    answer = await api.call("GET", f"{PODS}/a/log")
    assert (answer.status, answer.message) == (400, 'container "main" in pod "a" is waiting to start')


async def test_logs_that_cannot_be_had_are_explained(api: Rig) -> None:
    await api.create(PODS, pod("a"))
    two = [{"name": name, "image": "x:1"} for name in ("one", "two")]
    await api.create(PODS, pod("b", containers=two))
    for path, message in (
        ("none/log", 'pods "none" not found'),
        ("a/log", "pod a does not have a host assigned"),
        ("a/log?container=x", "container x is not valid for pod a"),
        ("b/log", "a container name must be specified for pod b, choose one of: [one two]"),
    ):
        answer = await api.call("GET", f"{PODS}/{path}")
        assert answer.message == message


async def test_a_kubelet_that_is_away_is_named(api: Rig) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    await api.create("/api/v1/nodes", {"metadata": {"name": "graylane"}, "status": status})
    await api.create(PODS, pod("a", nodeName="graylane"))
    answer = await api.call("GET", f"{PODS}/a/log")
    assert answer.status == 503
    assert "the kubelet of node graylane does not answer" in answer.message


@pytest.mark.parametrize("port", ["", ":8000", ":http"])
async def test_a_pod_is_reached_through_the_api(api: Rig, port: str) -> None:
    runner = web.ServerRunner(web.Server(lambda request: _hello(request)))
    await runner.setup()
    site = web.TCPSite(runner, "127.77.0.1", 0)
    await site.start()
    number = runner.addresses[0][1]
    ports = [{"name": "http", "containerPort": number}]
    await api.create(PODS, pod("a", containers=[{"name": "main", "image": "x:1", "ports": ports}]))
    await api.patch(f"{PODS}/a/status", {"status": {"podIP": "127.77.0.1"}})
    shown = port if port != ":8000" else f":{number}"
    answer = await api.call("GET", f"{PODS}/a{shown}/proxy/hello", q="1")
    assert (answer.status, answer.body) == (200, b"/hello?q=1")
    await runner.cleanup()


async def _hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text=request.path_qs)
