"""A kubelet that is killed leaves its pods running, and the next one goes on with the same processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cluster.kubelet import agent
from graylane.cluster.kubelet.agent import Kubelet
from graylane.cluster.kubelet.services import holder_of
from graylane.cluster.processes import holding
from graylane.kit import SystemClock
from graylane.model.kinds import POD
from graylane.model.meta import Obj, dig, is_true, uid_of
from graylane.testing.kubelets import Rig, kubelet_rig, processes_of, status_of
from graylane.testing.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PORT = [{"containerPort": 8000}]
COUNTING = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"

NODE_PROCESS = """
    import asyncio, sys
    from pathlib import Path
    from ipaddress import IPv4Network
    from graylane.client import ApiClient, load_kubeconfig
    from graylane.cluster.kubelet.agent import Kubelet, KubeletConfig
    from graylane.kit import SystemClock

    async def main():
        data, cidr = Path(sys.argv[1]), sys.argv[2]
        pki = data / "pki"
        config = KubeletConfig(data, pki / "server.crt", pki / "server.key", "node", IPv4Network(cidr))
        async with ApiClient(load_kubeconfig(data / "kubeconfig")) as client:
            await Kubelet(config, client, SystemClock()).start()
            print("up", flush=True)
            await asyncio.sleep(600)

    asyncio.run(main())
"""


def node_process(rig: Rig) -> subprocess.Popen[bytes]:
    arguments = [str(rig.directory), str(rig.config.pod_cidr)]
    command = [sys.executable, "-c", textwrap.dedent(NODE_PROCESS), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with kubelet_rig(tmp_path) as found:
        yield found


@contextlib.asynccontextmanager
async def node(rig: Rig) -> AsyncIterator[None]:
    """A kubelet, killed at the end of the block."""
    process = node_process(rig)
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"up\n"
        yield
    finally:
        process.kill()
        process.communicate()


def shell(script: str) -> Obj:
    return {"image": "busybox", "command": ["sh", "-c", script]}


def held(rig: Rig) -> dict[str, int]:
    """Pids of what goes on, by the container's id."""
    found = holding.look(holder_of(rig.directory))
    return {each["id"]: each["pid"] for each in (found or {}).get("held", []) if each["exit"] is None}


def started(pod: Obj) -> str:
    return str(dig(status_of(pod), "state", "running", "startedAt"))


async def test_kill_9_of_the_kubelet_ends_and_restarts_nothing(rig: Rig, tmp_path: Path) -> None:
    hooked, alive = tmp_path / "hooked", tmp_path / "alive"
    alive.touch()
    await rig.run("web", {"ports": PORT})
    hook = {"postStart": {"exec": {"command": ["sh", "-c", f"echo once >> {hooked}"]}}}
    probe = {"exec": {"command": ["test", "-e", str(alive)]}, "periodSeconds": 1, "failureThreshold": 1}
    await rig.run("counting", shell(COUNTING) | {"lifecycle": hook, "livenessProbe": probe})
    async with node(rig):
        before = {name: await rig.ready(name) for name in ("web", "counting")}
    pids = held(rig)
    assert set(pids) == {status_of(pod)["containerID"] for pod in before.values()}

    unready: list[Obj] = []

    async def watch() -> None:
        async for event in rig.client.watch(POD, "default"):
            unready.extend([event.object] if not is_true(event.object, "Ready") else [])

    watching = asyncio.create_task(watch())
    for _ in range(3):
        async with node(rig):  # ready: it has taken all of them over, or is about to
            pass
    async with node(rig):
        await eventually(lambda: held(rig) == pids)
        for name, old in before.items():
            pod = await rig.ready(name)
            assert (uid_of(pod), started(pod)) == (uid_of(old), started(old))
            assert (status_of(pod)["restartCount"], dig(pod, "status", "podIP")) == (0, dig(old, "status", "podIP"))
        lines = (await rig.log("counting")).split()
        assert lines == [str(number) for number in range(1, len(lines) + 1)]
        assert hooked.read_text() == "once\n"
        assert unready == []
        watching.cancel()
        alive.unlink()  # its probe goes on
        await rig.when("counting", lambda pod: status_of(pod)["restartCount"] == 1, 30)
        alive.touch()
        await rig.client.delete(POD, "web", "default")
        await rig.gone("web", 30)
        assert processes_of(f"POD_IP={dig(before['web'], 'status', 'podIP')}\0") == []


async def test_what_ended_meanwhile_is_told_with_its_code_and_its_time(rig: Rig, tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = f"until [ -e {go} ]; do sleep 0.02; done;"
    await rig.run("job", shell(f"{wait} echo done; exit 3"), restartPolicy="Never")
    await rig.run("again", shell(f"{wait} rm {go}2 && exit 4; exec sleep 600"))
    (tmp_path / "go2").touch()
    async with node(rig):
        for name in ("job", "again"):
            await rig.ready(name)
    ended = datetime.now(UTC).replace(microsecond=0)
    go.touch()
    await eventually(lambda: not held(rig))
    async with node(rig):
        pod = await rig.when("job", lambda pod: dig(pod, "status", "phase") == "Failed")
        state = dig(status_of(pod), "state", "terminated")
        assert (state["exitCode"], state["reason"], status_of(pod)["restartCount"]) == (3, "Error", 0)
        assert ended <= datetime.fromisoformat(state["finishedAt"]) <= datetime.now(UTC)
        assert await rig.log("job") == "done\n"
        pod = await rig.when("again", lambda pod: status_of(pod)["restartCount"] == 1 and is_true(pod, "Ready"))
        assert dig(status_of(pod), "lastState", "terminated", "exitCode") == 4


async def test_what_was_deleted_meanwhile_goes_and_what_was_being_stopped_keeps_its_time(rig: Rig) -> None:
    deaf = shell("trap '' TERM; while :; do sleep 0.1; done")
    for name in ("forced", "deleted", "stopping"):
        await rig.run(name, deaf, terminationGracePeriodSeconds=4)
    async with node(rig):
        for name in ("forced", "deleted", "stopping"):
            await rig.ready(name)
        began = time.monotonic()
        await rig.client.delete(POD, "stopping", "default")

        async def told() -> bool:
            return any(reason == "Killing" for reason, _ in await rig.events("stopping"))

        await eventually(told)
    await rig.client.delete(POD, "forced", "default", grace_seconds=0)
    await rig.client.delete(POD, "deleted", "default")
    async with node(rig):
        await rig.gone("stopping", 30)
        assert time.monotonic() - began > 2.5  # 4 s, of which the deletion's time may take one
        await rig.gone("deleted", 30)
        assert held(rig) == {}
        assert [reason for reason, _ in await rig.events("stopping")].count("Killing") == 1


async def test_what_is_deleted_during_the_takeover_goes_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("before", "during", "kept"):
        await rig.run(name, shell("exec sleep 600"))
    async with node(rig):
        pods = {name: await rig.ready(name) for name in ("before", "during", "kept")}
    await rig.client.delete(POD, "before", "default", grace_seconds=0)
    end = agent._end
    monkeypatch.setattr(agent, "_end", lambda process: ended(process))

    async def ended(process: holding.Process) -> None:
        """What is not kept is ended before the kubelet listens."""
        if "during" in pods:
            await rig.client.delete(POD, "during", "default", grace_seconds=0)
            del pods["during"]
            await eventually(lambda: kubelet._pod("default", "during") is None)
        await end(process)

    kubelet = Kubelet(rig.config, rig.client, SystemClock())
    rig.kubelets.append(kubelet)
    await kubelet.start()
    assert "during" not in pods
    assert set(await asyncio.to_thread(held, rig)) == {status_of(pods["kept"])["containerID"]}


async def test_a_post_start_that_was_interrupted_is_run_again(rig: Rig, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    script = f"echo begun >> {begun}; [ $(wc -l < {begun}) = 2 ] || exec sleep 600"
    await rig.run(
        "web", shell("exec sleep 600") | {"lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", script]}}}}
    )
    async with node(rig):
        await eventually(begun.exists)
        pids = held(rig)
    async with node(rig):
        pod = await rig.ready("web")
        assert (held(rig), status_of(pod)["restartCount"]) == (pids, 0)


async def test_when_the_holder_is_killed_its_pods_are_ended_and_run_again(rig: Rig) -> None:
    await rig.run("web", {"ports": PORT})
    async with node(rig):
        pod = await rig.ready("web")
        pids = held(rig)
        found = holding.look(holder_of(rig.directory))
        assert found is not None
        os.kill(found["pid"], 9)
        pod = await rig.when("web", lambda pod: status_of(pod)["restartCount"] == 1 and is_true(pod, "Ready"), 30)
        assert dig(status_of(pod), "lastState", "terminated", "exitCode") == 137
        assert len(processes_of(f"POD_IP={dig(pod, 'status', 'podIP')}\0")) == 1
        assert set(held(rig).values()) & set(pids.values()) == set()
