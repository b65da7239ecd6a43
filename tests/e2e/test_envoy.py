"""The supervised Envoy for real: it serves, comes back when it dies, and stands in the API as the gateway's pod."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from graylane.cluster.envoy import EnvoyConfig, EnvoySupervisor
from graylane.cluster.envoy.gateway import LABELS, NAMESPACE
from graylane.install import install_crds
from graylane.kit import SystemClock
from graylane.mesh.bootstrap import BootstrapOffer
from graylane.mesh.inputs import Source
from graylane.mesh.snapshot import Snapshot
from graylane.mesh.xds.server import XdsServer
from graylane.model.kinds import ENVOY_FILTER, POD, SERVICE
from graylane.model.meta import Obj, dig, is_true, uid_of
from graylane.testing import places
from graylane.testing.kubelets import Rig, kubelet_rig, status_of
from graylane.testing.waiting import eventually

pytestmark = pytest.mark.e2e
NAME = "istio-ingressgateway-graylane"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with kubelet_rig(tmp_path) as found:
        yield found


@pytest.fixture
async def xds_port() -> AsyncIterator[int]:
    server = XdsServer(lambda report: None)
    await server.start()
    await server.publish(Snapshot(1, {}))  # nothing to serve, but said: Envoy waits for that
    yield server.port
    await server.stop()


@pytest.fixture
async def envoy(rig: Rig, xds_port: int) -> AsyncIterator[EnvoySupervisor]:
    supervisor = supervise(rig, xds_port)
    await supervisor.start()
    await supervisor.wait_ready()
    yield supervisor
    await supervisor.stop()


def supervise(rig: Rig, xds_port: int, offer: BootstrapOffer | None = None) -> EnvoySupervisor:
    config = EnvoyConfig(rig.directory, xds_port, rig.config.pod_cidr, 30080)
    return EnvoySupervisor(config, rig.client, SystemClock(), offer)


async def gateway(rig: Rig) -> Obj:
    """The gateway's pod once it is ready, found as users find it."""

    async def look() -> Obj:
        (pod,) = (await rig.client.list(POD, NAMESPACE, labels="istio=ingressgateway")).items
        return pod if is_true(pod, "Ready") else {}

    found: Obj = await eventually(look, 30, "the gateway's pod is ready")
    return found


def envoys(rig: Rig) -> list[int]:
    """Pids of Envoys that run on this rig's bootstrap."""
    marker = str(rig.directory / "envoy" / "bootstrap.json").encode()
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and marker in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


async def test_users_find_the_gateway_as_on_istio(rig: Rig, envoy: EnvoySupervisor) -> None:
    pod = await gateway(rig)
    assert (pod["metadata"]["name"], dig(pod, "status", "hostIP")) == (NAME, "127.0.0.1")
    assert dig(pod, "status", "podIP") == str(rig.config.pod_cidr[1])
    service = await rig.client.get(SERVICE, "istio-ingressgateway", NAMESPACE)
    assert service["spec"]["selector"] == LABELS
    plain, tls = service["spec"]["ports"]
    assert (plain["name"], plain["port"], plain["targetPort"], plain["nodePort"]) == ("http2", 80, 8080, 30080)
    assert (tls["name"], tls["port"], tls["targetPort"]) == ("https", 443, 8443)
    assert 30000 <= tls["nodePort"] < 32768
    assert envoy.admin.stat().st_mode & 0o777 == 0o600


async def test_a_killed_envoy_is_back_at_once_and_counted(rig: Rig, envoy: EnvoySupervisor) -> None:
    (pid,) = envoys(rig)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: envoys(rig) not in ([], [pid]))
    await envoy.wait_ready()

    async def counted() -> bool:
        return bool(status_of(await gateway(rig))["restartCount"] == 1)

    await eventually(counted)
    assert dig(status_of(await gateway(rig)), "lastState", "terminated", "exitCode") == 137


async def test_its_pod_cannot_be_deleted_away_and_keeps_its_log(rig: Rig, envoy: EnvoySupervisor) -> None:
    await rig.kubelet()
    before = await gateway(rig)
    await rig.client.delete(POD, NAME, NAMESPACE)

    async def replaced() -> bool:
        return uid_of(await gateway(rig)) != uid_of(before)

    await eventually(replaced, ignore=(ValueError,))
    assert len(envoys(rig)) == 1
    path = POD.path(NAMESPACE, NAME, "log")
    await eventually(lambda: rig.client.request("GET", path, params={"tailLines": "1"}), ignore=(Exception,))


async def test_stopping_leaves_no_process_and_a_pod_that_is_not_ready(rig: Rig, xds_port: int) -> None:
    first = supervise(rig, xds_port)
    await first.start()
    await first.wait_ready()
    await gateway(rig)
    await first.stop()
    assert envoys(rig) == []
    assert not is_true(await rig.client.get(POD, NAME, NAMESPACE), "Ready")
    second = supervise(rig, xds_port)
    await second.start()
    await second.wait_ready()
    assert status_of(await gateway(rig))["restartCount"] == 1
    await second.stop()


async def abandon(supervisor: EnvoySupervisor) -> None:
    """As if we were killed."""
    for task in supervisor._tasks:
        task.cancel()
    await asyncio.gather(*supervisor._tasks, return_exceptions=True)
    assert supervisor._processes._link is not None
    supervisor._processes._link.close()


async def test_an_envoy_that_is_left_goes_on_and_one_of_another_bootstrap_does_not(rig: Rig, xds_port: int) -> None:
    first = supervise(rig, xds_port)
    await first.start()
    await first.wait_ready()
    started = dig(status_of(await gateway(rig)), "state", "running", "startedAt")
    (pid,) = envoys(rig)
    await abandon(first)
    second = supervise(rig, xds_port)
    await second.start()
    await second.wait_ready()
    pod = await gateway(rig)
    assert (envoys(rig), status_of(pod)["restartCount"]) == ([pid], 0)
    assert dig(status_of(pod), "state", "running", "startedAt") == started
    os.kill(pid, signal.SIGKILL)  # its end is noticed as that of one we started
    await eventually(lambda: envoys(rig) not in ([], [pid]))
    await second.wait_ready()
    (pid,) = envoys(rig)
    await abandon(second)
    third = supervise(rig, xds_port + 1)
    await third.start()
    await eventually(lambda: envoys(rig) not in ([], [pid]))
    await third.stop()
    assert envoys(rig) == []


async def wants(rig: Rig, name: str, value: Obj) -> None:
    """An EnvoyFilter that merges `value` into the bootstrap."""
    patch = {"applyTo": "BOOTSTRAP", "patch": {"operation": "MERGE", "value": value}}
    meta = {"name": name, "namespace": "default"}
    await rig.client.create(ENVOY_FILTER, {"metadata": meta, "spec": {"configPatches": [patch]}})


def echoing(address: str, port: int) -> Obj:
    kind = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"
    chain = {"filters": [{"name": "envoy.filters.network.echo", "typed_config": {"@type": kind}}]}
    socket = {"socket_address": {"address": address, "port_value": port}}
    return {"static_resources": {"listeners": [{"name": f"echo-{port}", "address": socket, "filter_chains": [chain]}]}}


async def echoed(address: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    return answer


async def test_envoy_starts_with_what_is_wanted_in_its_bootstrap_and_without_what_it_cannot_start_with(
    rig: Rig, xds_port: int
) -> None:
    await install_crds(rig.client)
    address, port = str(rig.config.pod_cidr[9]), places.free_port()
    await wants(rig, "good", echoing(address, port))
    await wants(rig, "bad", {"stats_sinks": [{"name": "nobody"}]})
    told: dict[str, str] = {}
    offer = BootstrapOffer(rig.client, lambda: "istio-system", lambda found: keep(told, found))
    supervisor = supervise(rig, xds_port, offer)
    await supervisor.start()
    try:
        await supervisor.wait_ready()
        assert await echoed(address, port) == b"hello"
        assert told["good"] == ""
        assert "Didn't find a registered implementation for 'nobody'" in told["bad"]
        with socket.socket() as taken:
            taken.bind((address, 0))
            taken.listen()
            await wants(rig, "in-the-way", echoing(address, taken.getsockname()[1]))
            (pid,) = envoys(rig)
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: told.get("in-the-way") == "Envoy kept ending with it", 30)
            await eventually(lambda: supervisor.ready, 30)
            assert told["good"] == ""
            assert await echoed(address, port) == b"hello"
    finally:
        await supervisor.stop()


def keep(told: dict[str, str], found: Mapping[Source, str]) -> None:
    told.clear()
    told.update({source.name: why for source, why in found.items()})
