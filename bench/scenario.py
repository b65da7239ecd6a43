"""How fast the scenario is on this machine, beside the budgets of docs/architecture.md.

Shell. In: nothing (`--rounds N` for more than 5 releases). Out: a table on stdout. It starts its own embedded cluster
in a temporary directory and stops it again. Read the numbers as this machine's, and as ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml

from graylane.cli.apply import Applier
from graylane.cli.examples import example
from graylane.cli.manifests import read
from graylane.client import ApiClient, load_kubeconfig
from graylane.model.kinds import DEPLOYMENT, ROLLOUT, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, dig, is_true

NODE_IP = "127.244.7.7"
RELEASES = {"rollouts-a": "mocka-base", "rollouts-b": "mockb-base"}
ROUTE_WRITES = 40


@dataclass
class Samples:
    """Measured seconds by what was measured, beside the budget."""

    rows: dict[str, tuple[str, list[float]]] = field(default_factory=dict)

    def add(self, what: str, budget: str, seconds: float) -> None:
        self.rows.setdefault(what, (budget, []))[1].append(seconds)

    def __str__(self) -> str:
        lines = [f"{'what':<44}{'n':>4}{'p50 ms':>9}{'max ms':>9}  budget"]
        for what, (budget, seconds) in self.rows.items():
            middle, most = statistics.median(seconds) * 1000, max(seconds) * 1000
            lines.append(f"{what:<44}{len(seconds):>4}{middle:>9.1f}{most:>9.1f}  {budget}")
        return "\n".join(lines)


async def main(rounds: int) -> None:
    samples = Samples()
    with tempfile.TemporaryDirectory(prefix="graylane-bench-") as folder:
        data = Path(folder) / "data"
        for _ in range(3):
            samples.add("up to everything ready", "3000 ms", _timed(lambda: _up(data)))
            _graylane("down", data)
        _up(data)
        try:
            await _measure(data, samples, rounds)
            print(samples)
            print(_memory(data))
        finally:
            _graylane("down", data)


async def _measure(data: Path, samples: Samples, rounds: int) -> None:
    config = load_kubeconfig(data / "kubeconfig")
    gateway = f"http://{NODE_IP}:{_gateway_port(data)}"
    async with ApiClient(config) as client:
        await Applier(client, "default").apply(read([example("0").parent]), lambda _: None)
        await _until(client, ROLLOUT, lambda rollout: dig(rollout, "status", "phase") == "Healthy", RELEASES)
        pod_start = await _pod_start(client)
        samples.add("a pod's own start", "", pod_start)
        for number in range(rounds):
            await _release(client, samples, f"canary{number}")
        await _routes(client, gateway, samples)


async def _release(client: ApiClient, samples: Samples, version: str) -> None:
    started = time.monotonic()
    for deployment in RELEASES.values():
        await client.patch(DEPLOYMENT, deployment, "default", await _with_version(client, deployment, version))
    await _until(client, ROLLOUT, _is_paused, RELEASES)
    samples.add("set env → both paused, routes confirmed", "pod start + 500 ms", time.monotonic() - started)
    started = time.monotonic()
    for rollout in RELEASES:
        ready = {"status": {"canaryStatus": {"currentStepState": "StepReady"}}}
        await client.patch(ROLLOUT, rollout, "default", ready, subresource="status")
    await _until(client, ROLLOUT, _is_done, RELEASES)
    samples.add("approve → promoted, restored, canaries gone", "pod start + 1000 ms", time.monotonic() - started)


async def _routes(client: ApiClient, gateway: str, samples: Samples) -> None:
    """Write a header into the gateway's VirtualService and ask until an answer carries it."""
    live = await client.get(VIRTUAL_SERVICE, "vs-mocka", "default")
    rule = dig(live, "spec", "http")[-1]
    async with aiohttp.ClientSession() as session:
        for number in range(ROUTE_WRITES):
            marked = rule | {"headers": {"response": {"set": {"x-route": str(number)}}}}
            started = time.monotonic()
            await client.patch(VIRTUAL_SERVICE, "vs-mocka", "default", {"spec": {"http": [marked]}})
            while True:
                async with session.get(gateway) as answer:
                    await answer.read()
                    if answer.headers.get("x-route") == str(number):
                        break
            samples.add("VirtualService write → first request on it", "20 ms (p99)", time.monotonic() - started)


async def _pod_start(client: ApiClient) -> float:
    """From a Deployment's write to its first available pod, no release involved."""
    base = await client.get(DEPLOYMENT, "mockb-base", "default")
    labels = {"app": "bench"}
    spec = base["spec"] | {"selector": {"matchLabels": labels}}
    spec["template"] = spec["template"] | {"metadata": {"labels": labels}}
    started = time.monotonic()
    await client.create(DEPLOYMENT, {"metadata": {"name": "bench", "namespace": "default"}, "spec": spec})
    await _until(client, DEPLOYMENT, lambda found: bool(dig(found, "status", "availableReplicas")), ["bench"])
    taken = time.monotonic() - started
    await client.delete(DEPLOYMENT, "bench", "default")
    return taken


async def _with_version(client: ApiClient, deployment: str, version: str) -> Obj:
    live = await client.get(DEPLOYMENT, deployment, "default")
    container = dig(live, "spec", "template", "spec", "containers", 0)
    env = [entry | {"value": version} if entry["name"] == "version" else entry for entry in container["env"]]
    return {"spec": {"template": {"spec": {"containers": [container | {"env": env}]}}}}


def _is_paused(rollout: Obj) -> bool:
    return dig(rollout, "status", "canaryStatus", "currentStepState") == "StepPaused"


def _is_done(rollout: Obj) -> bool:
    return dig(rollout, "status", "phase") == "Healthy" and is_true(rollout, "Succeeded")


async def _until(client: ApiClient, kind: Kind, holds: Callable[[Obj], bool], names: object) -> None:
    """Watch `kind` until `holds` of every one of `names`."""
    waiting = set(names)  # type: ignore[call-overload]
    listed = await client.list(kind, "default")
    waiting -= {obj["metadata"]["name"] for obj in listed.items if holds(obj)}
    async with _events(client, kind, listed.resource_version) as events:
        while waiting:
            event = await asyncio.wait_for(anext(events), 30)
            if event.type in ("ADDED", "MODIFIED") and holds(event.object):
                waiting.discard(event.object["metadata"]["name"])


@asynccontextmanager
async def _events(client: ApiClient, kind: Kind, version: str) -> AsyncIterator[AsyncIterator[object]]:
    stream = client.watch(kind, "default", resource_version=version)
    try:
        yield stream
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


def _up(data: Path) -> None:
    _graylane("up", data, "--detach", f"--node-ip={NODE_IP}", "--api-port=16443", "--gateway-port=30080")


def _graylane(verb: str, data: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "graylane.cli", verb, "--data", str(data), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def _timed(act: Callable[[], None]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


def _gateway_port(data: Path) -> int:
    server = yaml.safe_load((data / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    assert NODE_IP in server
    return 30080


def _memory(data: Path) -> str:
    """Peak resident memory of our processes, from /proc: the children of the one that runs `data`."""
    root = int((data / "pid").read_text().split()[0])
    lines = ["", f"{'process':<44}{'peak MB':>9}"]
    for pid in [root, *_children(root)]:
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        lines.append(f"{_short(command):<44}{peak / 1024:>9.1f}")
    return "\n".join(lines)


def _children(pid: int) -> list[int]:
    direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [found for child in direct for found in (child, *_children(child))]


def _short(command: str) -> str:
    for word, name in (
        ("envoy", "Envoy"),
        ("sample", "sample service"),
        ("lua", "Lua worker"),
        (" up ", "graylane up"),
    ):
        if word in command.split("--data")[0]:
            return name
    return command[:40]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(main(parser.parse_args().rounds))
