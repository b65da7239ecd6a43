"""exec and port-forward through other clients' own code: the official Python client, its asyncio twin, and kr8s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import kr8s.asyncio
import kubernetes
import kubernetes.stream
import kubernetes_asyncio
import kubernetes_asyncio.stream
import pytest
from kr8s.asyncio.objects import Pod

from graylane.model.meta import Obj, dig
from graylane.testing.kubelets import Rig, kubelet_rig
from graylane.testing.places import free_port

pytestmark = pytest.mark.e2e

WORDS = ["sh", "-c", "echo $app; echo problem >&2; exit 7"]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with kubelet_rig(tmp_path) as found:
        await found.kubelet()
        yield found


@pytest.fixture
async def web(rig: Rig) -> Obj:
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    env = [{"name": "app", "value": "web"}]
    await rig.run("web", {"env": env, "ports": [{"containerPort": 8000}], "readinessProbe": probe})
    return await rig.ready("web")


def official(rig: Rig) -> Any:
    configuration = kubernetes.client.Configuration()
    load: Any = kubernetes.config.load_kube_config
    load(str(rig.directory / "kubeconfig"), client_configuration=configuration)
    return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))


async def test_exec_with_the_official_client(rig: Rig, web: Obj) -> None:
    def run() -> tuple[str, str, int]:
        api = official(rig)
        options = {"stdin": False, "stdout": True, "stderr": True, "tty": False}
        stream = kubernetes.stream.stream(
            api.connect_get_namespaced_pod_exec, "web", "default", command=WORDS, _preload_content=False, **options
        )
        stream.run_forever(timeout=20)
        return stream.read_stdout(), stream.read_stderr(), stream.returncode

    assert await asyncio.to_thread(run) == ("web\n", "problem\n", 7)


async def test_typing_with_the_official_client(rig: Rig, web: Obj) -> None:
    def run() -> str:
        api = official(rig)
        options = {"stdin": True, "stdout": True, "stderr": True, "tty": False}
        stream = kubernetes.stream.stream(
            api.connect_get_namespaced_pod_exec, "web", "default", command=["cat"], _preload_content=False, **options
        )
        stream.write_stdin("hello\n")
        line = stream.readline_stdout(timeout=20)
        stream.close()
        return str(line)

    assert await asyncio.to_thread(run) == "hello"


async def test_port_forward_with_the_official_client(rig: Rig, web: Obj) -> None:
    def ask() -> tuple[str, str]:
        api = official(rig)
        forward = kubernetes.stream.portforward(
            api.connect_get_namespaced_pod_portforward, "web", "default", ports="8000,81"
        )
        connection = HTTPConnection("web", 8000, timeout=20)
        connection.sock = forward.socket(8000)
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse().read().decode()
        forward.socket(81).settimeout(20)
        forward.socket(81).recv(1)
        return answer, str(forward.error(81))

    answer, error = await asyncio.to_thread(ask)
    assert answer == f"-> web(version: base, ip: {dig(web, 'status', 'podIP')})"
    assert "does not answer at" in error


async def test_exec_with_the_asyncio_client(rig: Rig, web: Obj) -> None:
    configuration = kubernetes_asyncio.client.Configuration()
    await kubernetes_asyncio.config.load_kube_config(
        str(rig.directory / "kubeconfig"), client_configuration=configuration
    )
    async with kubernetes_asyncio.stream.WsApiClient(configuration) as client:
        api: Any = kubernetes_asyncio.client.CoreV1Api(client)
        options = {"stdin": False, "stdout": True, "stderr": True, "tty": False}
        said = await api.connect_get_namespaced_pod_exec("web", "default", command=WORDS, **options)
    assert sorted(said.splitlines()) == ["problem", "web"]


async def test_exec_and_port_forward_with_kr8s(rig: Rig, web: Obj) -> None:
    api = await kr8s.asyncio.api(kubeconfig=str(rig.directory / "kubeconfig"))
    pod = await Pod.get("web", namespace="default", api=api)
    done = await pod.exec(["sh", "-c", "echo $app; echo problem >&2"])
    assert (done.stdout, done.stderr, done.returncode) == (b"web\n", b"problem\n", 0)
    async with pod.portforward(remote_port=8000, local_port=free_port()) as port:

        def ask() -> str:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/", headers={"Connection": "close"})
            return connection.getresponse().read().decode()

        assert await asyncio.to_thread(ask) == f"-> web(version: base, ip: {dig(web, 'status', 'podIP')})"
