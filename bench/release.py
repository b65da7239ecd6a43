"""How fast many releases at once are, with simulated pods: beside the budgets of docs/architecture.md.

Shell. In: numbers of Rollouts (default 1 100 500 1000). Out: one table on stdout. Three processes: the API server with
the workload controllers and pods that are ready at once; the release controllers, whose CPU, memory and API calls are
what is measured; and this one, which acts as users. Read the numbers as this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from graylane.client import ApiClient, load_kubeconfig
from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.cluster.workloads import controllers as workloads
from graylane.cluster.workloads.collector import collecting
from graylane.install import install_crds, install_objects
from graylane.kit.loop import Manager, running
from graylane.model.kinds import (
    DEPLOYMENT,
    DESTINATION_RULE,
    NODE,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Obj, dig, labels_of, name_of
from graylane.model.rollout import WORKLOAD_TYPE
from graylane.rollouts import controller as rollouts
from graylane.testing.chains import Chain
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.proxies import Proxies
from graylane.trafficrouting import controller as trafficrouting
from graylane.trafficrouting import keeping
from graylane.trafficrouting.cases import read_case
from graylane.trafficrouting.lua.engine import LuaPool
from graylane.trafficrouting.lua.remembering import Remembering
from graylane.trafficrouting.lua.script import Script
from graylane.webhooks.keeping import KEEP_ROUTES, keeper
from graylane.webhooks.server import WATCHED, WebhookConfig, WebhookServer, configurations

HOST, NAMESPACE = "127.0.0.1", "default"
SCRIPTS = Path(trafficrouting.__file__).with_name("scripts")
AT_ONCE = 32
_ADMIN = User("bench", ("system:masters", "system:authenticated"))
_KINDS = (SERVICE, DEPLOYMENT, VIRTUAL_SERVICE, DESTINATION_RULE, TRAFFIC_ROUTING, ROLLOUT)


# -- the process with the API server


async def serve(folder: Path) -> None:
    """An API server, the workload controllers, a kubelet and proxies that only say that they are done."""
    authority = pki.Authority(folder / "pki", datetime.now(UTC))
    pair = authority.server("server", [HOST])
    config = ApiServerConfig(
        folder / "api", HOST, 0, certificate=pair.certificate, key=pair.key, tokens={"secret": _ADMIN}
    )
    server = ApiServer(config)
    await server.start()
    pki.write_kubeconfig(folder / "kubeconfig", server=server.url, ca=authority.bundle, token="secret")
    async with ApiClient(load_kubeconfig(folder / "kubeconfig")) as client:
        await install_crds(client)
        await client.create(NODE, NODE_OBJECT)
        manager = Manager(client)
        for controller in (*workloads.controllers(), FakeKubelet().controller(), *Proxies().controllers()):
            manager.add(controller)
        async with collecting(manager):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)


# -- the process that is measured


class CountingClient(ApiClient):
    """Counts what is written, by kind of call."""

    calls: Counter[str] = Counter()

    async def _call(self, request: Any) -> bytes:
        if request.method != "GET":
            self.calls["events" if "/events" in request.path else "writes"] += 1
        return await super()._call(request)


async def control(folder: Path) -> None:
    """`graylane`'s release controllers and webhooks alone; a line on stdin is answered with figures."""
    authority = pki.Authority(folder / "pki", datetime.now(UTC))
    pair = authority.server("server", [HOST])
    async with CountingClient(load_kubeconfig(folder / "kubeconfig")) as client, LuaPool() as pool:
        manager = Manager(client)
        for kind in WATCHED:
            manager.watch(kind)
        for controller in rollouts.controllers():
            manager.add(controller)
        runner = Remembering(pool)
        for controller in trafficrouting.controllers(runner, manager.follower("trafficrouting")):
            manager.add(controller)
        webhook = WebhookConfig(HOST, 0, pair.certificate, pair.key)
        more = {KEEP_ROUTES: keeper(partial(keeping.keep, runner), keeping.late)}
        async with WebhookServer(webhook, manager.view, more) as server, running(manager):
            await install_objects(client, configurations(server.url, authority.bundle))
            print("ready", flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                usage, lua = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
                figures = {
                    "cpu": usage.ru_utime + usage.ru_stime,
                    "lua_cpu": lua.ru_utime + lua.ru_stime,
                    "peak_mb": usage.ru_maxrss / 1024,
                    **client.calls,
                }
                print(json.dumps(figures), flush=True)


@asynccontextmanager
async def part(name: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """One of the two above, ready; it ends when its stdin does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--part", name, "--folder", str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line.strip() == b"ready", line
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def figures_of(process: asyncio.subprocess.Process) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"figures\n")
    return json.loads(await process.stdout.readline())  # type: ignore[no-any-return]


# -- the process that acts as users


@dataclass
class Seen:
    """When each Rollout was first seen as something, since the last `reset`."""

    manager: Manager
    at: dict[tuple[str, str], float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.manager.listen(ROLLOUT, lambda change: self._note(change.new))

    def reset(self) -> None:
        self.at.clear()

    def _note(self, obj: Obj | None) -> None:
        now, name = time.perf_counter(), name_of(obj or {})
        phase = str(dig(obj, "status", "phase", default=""))
        state = str(dig(obj, "status", "canaryStatus", "currentStepState", default=""))
        found = [state if phase == "Progressing" else phase]
        if phase == "Progressing" and state == "Completed":
            found.append("reacted")
        for what in found:
            self.at.setdefault((name, what), now)
        self.changed.set()

    async def all(self, names: list[str], what: str, seconds: float = 300) -> float:
        """When the last of them was seen so."""
        async with asyncio.timeout(seconds):
            while not all((name, what) in self.at for name in names):
                self.changed.clear()
                await self.changed.wait()
        return max(self.at[name, what] for name in names)


async def at_once(work: list[Callable[[], Any]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Callable[[], Any]) -> None:
        async with gate:
            await call()

    await asyncio.gather(*(one(call) for call in work))


async def measure(count: int) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="graylane-bench-") as name:
        folder = Path(name)
        async with (
            part("serve", folder),
            part("control", folder) as controllers,
            ApiClient(load_kubeconfig(folder / "kubeconfig")) as client,
        ):
            manager = Manager(client)
            seen = Seen(manager)
            async with running(manager):
                return await _releases(client, controllers, seen, count)


async def _releases(
    client: ApiClient, controllers: asyncio.subprocess.Process, seen: Seen, count: int
) -> dict[str, str]:
    names = [f"s{number}x1" for number in range(count)]
    for kind in _KINDS:
        objects = [obj for number in range(count) for obj in Chain(f"s{number}x", 1).manifests()]
        mine = [obj | {"metadata": obj["metadata"] | {"namespace": NAMESPACE}} for obj in objects]
        await at_once([_creating(client, kind, obj) for obj in mine if obj["kind"] == kind.kind])
    await seen.all(names, "Healthy")
    await _settled(client, names)
    before = await figures_of(controllers)
    seen.reset()
    began = time.perf_counter()
    await at_once([_setting(client, name) for name in names])
    paused = await seen.all(names, "StepPaused") - began
    seen.reset()
    approved: dict[str, float] = {}
    asked = time.perf_counter()
    await at_once([_approving(client, name, approved) for name in names])
    done = await seen.all(names, "Healthy") - asked
    after = await figures_of(controllers)
    reactions = sorted(seen.at[name, "reacted"] - approved[name] for name in names if (name, "reacted") in seen.at)
    spent = {what: after.get(what, 0) - before.get(what, 0) for what in after}
    return {
        "releases": f"{count}",
        "set env → paused s": f"{paused:.2f}",
        "approve → done s": f"{done:.2f}",
        "reaction p50/p99 ms": f"{_percentile(reactions, 50):.0f}/{_percentile(reactions, 99):.0f}",
        "writes each": f"{spent['writes'] / count:.1f}",
        "events each": f"{spent['events'] / count:.1f}",
        "CPU ms each": f"{spent['cpu'] / count * 1000:.1f}",
        "peak MB": f"{after['peak_mb']:.0f}",
    }


def _creating(client: ApiClient, kind: Kind, obj: Obj) -> Callable[[], Any]:
    return lambda: client.create(kind, obj)


def _setting(client: ApiClient, name: str) -> Callable[[], Any]:
    template = {"metadata": {"annotations": {"bench/release": "2"}}}
    return lambda: client.patch(DEPLOYMENT, name, NAMESPACE, {"spec": {"template": template}})


def _approving(client: ApiClient, name: str, approved: dict[str, float]) -> Callable[[], Any]:
    async def approve() -> None:
        approved[name] = time.perf_counter()
        status = {"status": {"canaryStatus": {"currentStepState": "StepReady"}}}
        await client.patch(ROLLOUT, name, NAMESPACE, status, subresource="status")

    return approve


async def _settled(client: ApiClient, names: list[str]) -> None:
    """Every stable Deployment runs and bears its mark, so that what is measured is the release."""
    async with asyncio.timeout(300):
        while True:
            listed = await client.list(DEPLOYMENT, NAMESPACE)
            marked = [item for item in listed.items if WORKLOAD_TYPE in labels_of(item)]
            if sum(int(dig(item, "status", "availableReplicas", default=0)) for item in marked) >= len(names):
                return


def _percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] * 1000 if values else float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] * 1000


# -- Lua


async def measure_scripts(rounds: int) -> None:
    print(f"\n{'Lua script, through a worker':<56}{'p50 µs':>8}{'p99 µs':>8}")
    async with LuaPool() as pool:
        for path in sorted(SCRIPTS.rglob("trafficRouting.lua")):
            cases = [read_case(file.read_text(), file.name) for file in sorted((path.parent / "cases").glob("*.yaml"))]
            case = next(case for case in cases if "expect" in case.wanted)
            script, times = Script(path.parent.name, path.read_text()), []
            for _ in range(rounds):
                began = time.perf_counter()
                await pool.run(script, case.obj)
                times.append(time.perf_counter() - began)
            name = str(path.parent.relative_to(SCRIPTS))
            print(f"{name:<56}{_percentile(times, 50) * 1000:>8.0f}{_percentile(times, 99) * 1000:>8.0f}")


async def main(counts: list[int]) -> None:
    rows = []
    for count in counts:
        rows.append(await measure(count))
        print(f"{count} releases measured", file=sys.stderr)
    heads = list(rows[0])
    widths = [max(len(head), *(len(row[head]) for row in rows)) for head in heads]
    for cells in (heads, *(list(row.values()) for row in rows)):
        print("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)))
    print("budgets: 1,000 paused in ≤ 60 s, ≤ 20 writes each, ≤ 300 MB; pods take no time here")
    await measure_scripts(200)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[1, 100, 500, 1000])
    parser.add_argument("--part", choices=["serve", "control"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        os.environ.setdefault("PYTHONUNBUFFERED", "1")
        asyncio.run({"serve": serve, "control": control}[arguments.part](arguments.folder))
    else:
        asyncio.run(main(arguments.counts))
