"""The kubelet for real: pods are processes with addresses, probes, logs and ends, driven through a real API server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from graylane.cluster.kubelet.worker import DRAINED
from graylane.model.kinds import CONFIG_MAP, LEASE, NODE, POD, SECRET
from graylane.model.meta import Obj, condition, dig, format_time, is_true, uid_of
from graylane.testing.kubelets import Rig, kubelet_rig, processes_of, status_of
from graylane.testing.waiting import eventually

pytestmark = pytest.mark.e2e
PORT = [{"containerPort": 8000}]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with kubelet_rig(tmp_path) as found:
        yield found


def shell(script: str) -> Obj:
    return {"image": "busybox", "command": ["sh", "-c", script]}


def ask(pod: Obj, path: str = "/") -> str:
    connection = HTTPConnection(dig(pod, "status", "podIP"), 8000, timeout=5)
    try:
        connection.request("GET", path, headers={"my-request-id": "canary"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def kill_of(pod: Obj) -> None:
    (pid,) = processes_of(uid_of(pod)) or processes_of(f"POD_IP={dig(pod, 'status', 'podIP')}\0")
    os.kill(pid, signal.SIGKILL)


async def test_a_pod_serves_at_its_own_address_logs_and_goes_without_a_trace(rig: Rig) -> None:
    await rig.kubelet()
    await rig.run("mocka", {"env": [{"name": "app", "value": "mocka"}], "ports": PORT})
    pod = await rig.ready("mocka")
    ip = dig(pod, "status", "podIP")
    assert await asyncio.to_thread(ask, pod) == f"-> mocka(version: base, ip: {ip})"
    assert "GET / my-request-id: canary" in await rig.log("mocka")
    assert (await rig.log("mocka", "tailLines=1&timestamps=true"))[:2] == "20"
    await rig.client.delete(POD, "mocka", "default")
    await rig.gone("mocka")
    assert processes_of(f"POD_IP={ip}\0") == []
    assert list((rig.directory / "pods").iterdir()) == []
    assert list((rig.directory / "kubelet").iterdir()) == []
    reasons = [reason for reason, _ in await rig.events("mocka")]
    assert sorted(reasons) == ["Created", "Killing", "Pulled", "Started"]


async def test_the_node_registers_and_keeps_its_lease(rig: Rig) -> None:
    kubelet = await rig.kubelet()
    node = await rig.client.get(NODE, "graylane")
    assert is_true(node, "Ready")
    assert dig(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port") == kubelet.port
    assert {"type": "InternalIP", "address": "127.0.0.1"} in dig(node, "status", "addresses")
    lease = await rig.client.get(LEASE, "graylane", "kube-node-lease")
    assert dig(lease, "spec", "holderIdentity") == "graylane"
    await rig.stop(kubelet)
    assert not is_true(await rig.client.get(NODE, "graylane"), "Ready")


async def test_an_image_nobody_mapped_runs_once_it_is_mapped(rig: Rig) -> None:
    await rig.kubelet()
    await rig.run("web", {"image": "shop/web:1"})
    pod = await rig.when("web", lambda pod: dig(status_of(pod), "state", "waiting", "reason") == "ErrImagePull")
    message = dig(status_of(pod), "state", "waiting", "message")
    assert "image 'shop/web:1' of container 'main'" in message
    assert str(rig.config.images_file) in message
    await rig.when("web", lambda pod: dig(status_of(pod), "state", "waiting", "reason") == "ImagePullBackOff")
    rig.config.images_file.write_text('images: [{match: "shop/web:*", command: [sh, -c, "echo up; sleep 60"]}]')
    await rig.ready("web")
    await eventually(lambda: rig.log("web"))
    assert [reason for reason, _ in await rig.events("web")].count("Failed") == 1


async def test_readiness_waits_until_the_declared_port_listens(rig: Rig) -> None:
    await rig.kubelet()
    server = "sleep 0.7; exec python3 -m http.server --bind $POD_IP 8000"
    await rig.run("slow", shell(server) | {"ports": PORT})
    pod = await rig.when("slow", lambda pod: dig(status_of(pod), "state", "running"))
    assert not is_true(pod, "Ready")
    assert condition(pod, "Ready")["message"] == "containers with unready status: [main]"  # type: ignore[index]
    await rig.ready("slow")


async def test_probes_make_a_pod_unready_and_restart_a_container(rig: Rig, tmp_path: Path) -> None:
    await rig.kubelet()
    ready, alive = tmp_path / "ready", tmp_path / "alive"
    alive.touch()
    quick = {"periodSeconds": 1, "failureThreshold": 1}
    await rig.run(
        "probed",
        shell("exec sleep 600")
        | {
            "readinessProbe": {"exec": {"command": ["test", "-e", str(ready)]}} | quick,
            "livenessProbe": {"exec": {"command": ["test", "-e", str(alive)]}} | quick,
        },
    )
    pod = await rig.when("probed", lambda pod: dig(status_of(pod), "state", "running"))
    assert not is_true(pod, "Ready")
    ready.touch()
    await rig.ready("probed")
    ready.unlink()
    await rig.when("probed", lambda pod: not is_true(pod, "Ready"))
    alive.unlink()
    pod = await rig.when("probed", lambda pod: status_of(pod)["restartCount"] >= 1)
    assert dig(status_of(pod), "lastState", "terminated", "exitCode") == 143
    alive.touch()
    reasons = await rig.events("probed")
    assert ("Killing", "Container main failed liveness probe, will be restarted") in reasons
    assert any(reason == "Unhealthy" and text.startswith("Readiness probe failed") for reason, text in reasons)


async def test_a_crash_is_seen_at_once_restarted_at_once_then_backed_off(rig: Rig) -> None:
    await rig.kubelet()
    await rig.run("crash", shell("echo run; exit 3"))
    pod = await rig.when("crash", lambda pod: dig(status_of(pod), "state", "waiting", "reason") == "CrashLoopBackOff")
    status = status_of(pod)
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main")
    assert dig(pod, "status", "phase") == "Running"
    assert await rig.log("crash", "previous=true") == "run\n"


async def test_a_killed_container_is_replaced_within_moments(rig: Rig) -> None:
    await rig.kubelet()
    await rig.run("web", {"ports": PORT})
    pod = await rig.ready("web")
    kill_of(pod)
    pod = await rig.when("web", lambda pod: status_of(pod)["restartCount"] == 1 and is_true(pod, "Ready"), 3)
    ended = status_of(pod)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["signal"], ended["reason"]) == (137, 9, "Error")


async def test_init_containers_then_volumes_then_a_job_that_succeeds(rig: Rig) -> None:
    await rig.kubelet()
    await rig.client.create(CONFIG_MAP, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"who": "you"}})
    await rig.client.create(SECRET, {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "v"}})
    mount = [{"name": "work", "mountPath": "work"}]
    await rig.run(
        "job",
        shell("cat work/greeting; echo $K $NODE $(ME)")
        | {
            "command": ["sh", "-c", "cat work/greeting; echo $K $NODE $(ME)"],
            "volumeMounts": mount,
            "env": [
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
        },
        restartPolicy="Never",
        initContainers=[
            shell("echo hello $(cat config/who) > work/greeting")
            | {"name": "setup", "volumeMounts": [*mount, {"name": "cfg", "mountPath": "config"}]}
        ],
        volumes=[{"name": "work", "emptyDir": {}}, {"name": "cfg", "configMap": {"name": "cfg"}}],
    )
    pod = await rig.when("job", lambda pod: dig(pod, "status", "phase") == "Succeeded")
    assert await rig.log("job") == "hello you\nv graylane job\n"
    assert condition(pod, "Ready")["reason"] == "PodCompleted"  # type: ignore[index]
    assert dig(pod, "status", "initContainerStatuses", 0, "state", "terminated", "reason") == "Completed"


async def test_hooks_run_and_a_stubborn_process_is_killed_at_the_end_of_its_grace(rig: Rig, tmp_path: Path) -> None:
    await rig.kubelet()
    notes = tmp_path / "notes"
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", f"echo started >> {notes}"]}},
        "preStop": {"exec": {"command": ["sh", "-c", f"echo stopping >> {notes}"]}},
    }
    script = "trap 'echo deaf' TERM; while :; do sleep 0.05; done"
    await rig.run("deaf", shell(script) | {"lifecycle": hooks}, terminationGracePeriodSeconds=2)
    await rig.when("deaf", lambda pod: dig(status_of(pod), "state", "running"))
    started = time.monotonic()
    await rig.client.delete(POD, "deaf", "default")
    await rig.gone("deaf")
    assert time.monotonic() - started > 1.5
    assert notes.read_text().split() == ["started", "stopping"]


async def test_a_forced_delete_ends_the_process_although_the_object_is_gone_at_once(rig: Rig) -> None:
    await rig.kubelet()
    await rig.run("web", {"ports": PORT})
    pod = await rig.ready("web")
    await rig.client.delete(POD, "web", "default", grace_seconds=0)
    await eventually(lambda: not processes_of(f"POD_IP={dig(pod, 'status', 'podIP')}\0"))


async def test_in_a_mesh_it_starts_behind_its_proxy_and_stops_after_it_is_drained(rig: Rig) -> None:
    await rig.kubelet(proxy_port=15001)
    await rig.run("web", {"ports": PORT})
    pod = await rig.when("web", lambda pod: dig(pod, "status", "podIP"))
    ip = dig(pod, "status", "podIP")
    pod = await rig.when("web", lambda pod: "proxy" in dig(status_of(pod), "state", "waiting", "message", default=""))
    proxy = await asyncio.start_server(lambda reader, writer: writer.close(), ip, 15001)
    await rig.ready("web")
    for name in ("http_proxy", "HTTP_PROXY"):
        assert processes_of(f"{name}=http://{ip}:15001\0"), "the proxy is named to the process"
    await rig.client.delete(POD, "web", "default", grace_seconds=600)  # it ends by the drain, not by its grace
    await rig.when("web", lambda pod: dig(pod, "metadata", "deletionTimestamp"))
    await asyncio.sleep(0.3)  # long enough for a stop that should not happen yet
    assert f"ip: {ip}" in await asyncio.to_thread(ask, pod), "it still serves"
    drained = {"type": DRAINED, "status": "True", "lastTransitionTime": format_time(rig.server.api.clock())}
    conditions = [*dig(await rig.pod("web"), "status", "conditions"), drained]
    await rig.client.patch(POD, "web", "default", {"status": {"conditions": conditions}}, subresource="status")
    await rig.gone("web")
    proxy.close()


async def test_a_mesh_that_is_down_does_not_hold_a_pod(rig: Rig) -> None:
    await rig.kubelet(proxy_port=15001)
    await rig.run("web", {"ports": PORT})
    pod = await rig.when("web", lambda pod: dig(pod, "status", "podIP"))
    proxy = await asyncio.start_server(lambda reader, writer: writer.close(), dig(pod, "status", "podIP"), 15001)
    await rig.ready("web")
    proxy.close()
    await rig.client.delete(POD, "web", "default", grace_seconds=4)  # half of it for the proxies
    await rig.gone("web")


async def test_stopping_leaves_objects_and_a_later_start_resumes_them(rig: Rig) -> None:
    first = await rig.kubelet()
    await rig.run("web", {"ports": PORT})
    before = await rig.ready("web")
    await rig.stop(first)
    assert processes_of(f"POD_IP={dig(before, 'status', 'podIP')}\0") == []
    assert not is_true(await rig.pod("web"), "Ready")
    await rig.kubelet()
    after = await rig.ready("web")
    assert uid_of(after) == uid_of(before)
    assert dig(after, "status", "podIP") == dig(before, "status", "podIP")
    assert status_of(after)["restartCount"] == 1


async def test_what_deleted_pods_left_behind_is_swept_at_the_next_start(rig: Rig) -> None:
    first = await rig.kubelet()
    await rig.run("gone", {"ports": PORT})
    await rig.run("kept", {"ports": PORT})
    await rig.ready("gone")
    kept = await rig.ready("kept")
    await rig.stop(first)
    await rig.client.delete(POD, "gone", "default", grace_seconds=0)
    await rig.kubelet()
    await rig.ready("kept")
    for part in ("pods", "kubelet"):
        assert [uid_of(kept) in path.name for path in (rig.directory / part).iterdir()] == [True]


async def test_following_a_log_ends_with_its_container(rig: Rig) -> None:
    await rig.kubelet()
    await rig.run("talk", shell("for i in 1 2 3; do echo $i; sleep 0.2; done"), restartPolicy="Never")
    await rig.when("talk", lambda pod: dig(status_of(pod), "state", "running"))
    path = POD.path("default", "talk", "log")
    lines = [line async for line in rig.client.stream(path, {"follow": "true"})]
    assert b"".join(lines) == b"1\n2\n3\n"


async def test_two_pods_never_share_an_address(rig: Rig) -> None:
    await rig.kubelet()
    for number in range(6):
        await rig.run(f"web-{number}", {"ports": PORT})
    pods = [await rig.ready(f"web-{number}") for number in range(6)]
    assert len({dig(pod, "status", "podIP") for pod in pods}) == 6
