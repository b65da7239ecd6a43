"""How fast and how large the API server is on this machine, each figure beside its aim.

Shell. In: nothing (`--objects N` and `--seconds S` for other sizes). Out: a table on stdout. The server runs in a
process of its own, the clients in this one; the in-process rows leave HTTP out. Rates are the machine's as busy as it
is; the CPU time that the server (and, behind the plus sign, the clients) spend on one write hardly depends on who else
is at work, so compare by that.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from graylane.cluster.apiserver.exchange import Reply, Request
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig
from graylane.testing.api.load import Address, Connection, Watcher
from graylane.testing.api.serve import ADMIN, TOKEN

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"
CLIENTS = (1, 8, 32)
WATCHERS, EVENTS = 200, 300

Asking = Callable[[int], tuple[str, str, bytes, str]]
Send = Callable[[str, str, bytes, str], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: Address
    seconds_to_ready: float

    def cpu_seconds(self) -> float:
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def resident(self) -> str:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return f"{kilobytes / 1024:.0f} MB"


def row(what: str, figure: str, aim: str = "") -> None:
    print(f"{what:<52}{figure:<60}{aim}", flush=True)


async def main(objects: int, seconds: float) -> None:
    row("what", "figure", "aim")
    with tempfile.TemporaryDirectory(prefix="graylane-bench-") as folder:
        await _in_process(Path(folder) / "inside", seconds)
        await _writes(Path(folder) / "plain", seconds, tls=False)
        await _writes(Path(folder) / "tls", seconds, tls=True)
        await _fan_out(Path(folder) / "fan-out", tls=True)
        await _size(Path(folder) / "size", objects)


# -- what is measured ---------------------------------------------------------------------------------------------


async def _in_process(folder: Path, seconds: float) -> None:
    server = ApiServer(ApiServerConfig(folder / "api", tokens={TOKEN: ADMIN}))
    await server.open()
    headers = {"authorization": f"Bearer {TOKEN}", "accept": "application/json"}

    async def send(method: str, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        answer = await server.front.handle(
            Request(method, path, headers=headers | {"content-type": content_type}, body=body)
        )
        assert isinstance(answer, Reply)
        return answer.status, answer.body

    try:
        for clients in CLIENTS:
            await _load("in process", [send] * clients, seconds, time.process_time)
    finally:
        await server.stop()


async def _writes(folder: Path, seconds: float, *, tls: bool) -> None:
    with _serving(folder, tls=tls) as server:
        for clients in CLIENTS:
            async with _connections(server.address, clients) as senders:
                await _load("HTTPS" if tls else "HTTP", senders, seconds, server.cpu_seconds)


async def _load(over: str, senders: list[Send], seconds: float, cpu: Callable[[], float]) -> None:
    """Creates of 2 KB, then merge patches of the same objects, then creates of Deployments, whose schema is large."""
    clients = f"{len(senders)} client" + ("s" if len(senders) > 1 else "")
    made: list[str] = []

    def create(number: int) -> tuple[str, str, bytes, str]:
        made.append(f"m{len(senders)}-{number}")
        return "POST", MAPS, config_map(made[-1]), "application/json"

    def patch(number: int) -> tuple[str, str, bytes, str]:
        return "PATCH", f"{MAPS}/{made[number % len(made)]}", b'{"data":{"n":"%d"}}' % number, MERGE

    def deploy(number: int) -> tuple[str, str, bytes, str]:
        return "POST", DEPLOYMENTS, deployment(f"d{len(senders)}-{number}"), "application/json"

    aim = "≥ 3000/s" if len(senders) > 1 else ""
    for what, request in (("create 2 KB", create), ("merge patch", patch), ("create Deployment", deploy)):
        row(f"{what}, {over}, {clients}", await _rate(senders, request, seconds, cpu), aim)


async def _rate(senders: list[Send], request: Asking, seconds: float, cpu: Callable[[], float]) -> str:
    numbers, taken, end = itertools.count(), list[float](), time.perf_counter() + seconds

    async def client(send: Send) -> None:
        while (started := time.perf_counter()) < end:
            status, body = await send(*request(next(numbers)))
            assert status in (200, 201), body
            taken.append(time.perf_counter() - started)

    started, spent, own = time.perf_counter(), cpu(), time.process_time()
    await asyncio.gather(*map(client, senders))
    spent, passed = cpu() - spent, time.perf_counter() - started
    return f"{len(taken) / passed:>6.0f}/s  {_quantiles(taken)}  {_cpu(spent, time.process_time() - own, len(taken))}"


async def _fan_out(folder: Path, *, tls: bool) -> None:
    """From a write's first byte to the moment when the last of all watchers has it."""
    seen, everyone = 0, asyncio.Event()

    def on_lines(count: int) -> None:
        nonlocal seen
        seen += count
        if seen >= WATCHERS:
            everyone.set()

    with _serving(folder, tls=tls) as server:
        address = server.address
        watch = address.request("GET", f"{MAPS}?watch=true&resourceVersion={await _revision(address)}")
        for _ in range(WATCHERS):
            await address.connect(Watcher(watch, on_lines))
        taken = []
        async with _connections(address, 1) as [send]:
            spent, own = server.cpu_seconds(), time.process_time()
            for number in range(EVENTS):
                seen = 0
                everyone.clear()
                started = time.perf_counter()
                await send("POST", MAPS, config_map(f"f{number}"), "application/json")
                await everyone.wait()
                taken.append(time.perf_counter() - started)
            costs = _cpu(server.cpu_seconds() - spent, time.process_time() - own, EVENTS)
        row(f"write → last of {WATCHERS} watchers", f"{_quantiles(taken[20:])}  {costs}", "p99 ≤ 20 ms")


async def _size(folder: Path, objects: int) -> None:
    with _serving(folder, tls=True) as server:
        row("start, empty", f"{server.seconds_to_ready * 1000:.0f} ms", "≤ 1000 ms")
        row("resident, empty", server.resident)
    with _serving(folder, tls=True) as server:
        async with _connections(server.address, 8) as senders:
            await _each(senders, objects, lambda n: ("POST", MAPS, config_map(f"m{n}"), "application/json"))
            row(f"resident, {objects} of 2 KB created", server.resident, "≤ 150 MB")
            await _lists(senders[0], 5000)
            await _each(senders, objects, lambda n: ("PATCH", f"{MAPS}/m{n}", b'{"data":{"n":"1"}}', MERGE))
            row(f"resident, {objects} of 2 KB created and patched", server.resident, "≤ 150 MB")
    with _serving(folder, tls=True) as server:
        row(f"start, {objects} objects", f"{server.seconds_to_ready * 1000:.0f} ms", "≤ 1000 ms")
        row(f"resident, {objects} objects, after a restart", server.resident, "≤ 150 MB")


async def _lists(send: Send, limit: int) -> None:
    for what, size, pages in (("one page", limit, 1), ("pages of 500", 500, limit // 500)):
        taken = []
        for _ in range(5):
            started, token, asked = time.perf_counter(), "", 0
            while asked < pages:
                _, body = await send("GET", f"{MAPS}?limit={size}&continue={token}", b"", "")
                token, asked = _continue(body), asked + 1
            taken.append(time.perf_counter() - started)
        row(f"list of {limit}, {what}", f"{statistics.median(taken) * 1000:.1f} ms")


async def _each(senders: list[Send], count: int, request: Asking) -> None:
    numbers = iter(range(count))

    async def client(send: Send) -> None:
        for number in numbers:
            await send(*request(number))

    await asyncio.gather(*map(client, senders))


# -- what it is measured with -------------------------------------------------------------------------------------


def config_map(name: str) -> bytes:
    """2 KB, as most objects of a cluster have about."""
    data = {f"key-{number:02}": f"{name}-{number:02}-" + "x" * 80 for number in range(18)}
    labels = {"app": name, "tier": "bench"}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def deployment(name: str) -> bytes:
    container = {
        "name": "main",
        "image": "example/main:1",
        "env": [{"name": "version", "value": "base"}, {"name": "peer", "value": "http://peer:8000"}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    metadata = {"name": name, "namespace": "default", "labels": {"app": name}}
    return orjson.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


@contextmanager
def _serving(folder: Path, *, tls: bool) -> Iterator[Server]:
    started = time.perf_counter()
    command = [sys.executable, "-m", "graylane.testing.api.serve", str(folder)] + ([] if tls else ["--plain"])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        yield Server(process, Address.of(url, TOKEN, folder / "pki" / "ca.crt"), time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def _connections(address: Address, count: int) -> AsyncIterator[list[Send]]:
    connections = [await address.connect(Connection()) for _ in range(count)]

    def sender(connection: Connection) -> Send:
        return lambda *request: connection.call(address.request(*request))

    try:
        yield [sender(connection) for connection in connections]
    finally:
        for connection in connections:
            connection.close()


async def _revision(address: Address) -> str:
    async with _connections(address, 1) as [send]:
        _, body = await send("GET", f"{MAPS}?limit=1", b"", "")
    return str(orjson.loads(body)["metadata"]["resourceVersion"])


def _continue(body: bytes) -> str:
    """Only the head is read: decoding a list would be measured with it."""
    head = body[:400].partition(b'"continue":"')[2]
    return head.partition(b'"')[0].decode()


def _cpu(server: float, clients: float, count: int) -> str:
    """In process, both are the same process and are told once."""
    own = "" if abs(server - clients) < 1e-3 else f" + {clients / count * 1e6:.0f}"
    return f"CPU {server / count * 1e6:>4.0f}{own} µs"


def _quantiles(seconds: list[float]) -> str:
    ranked = sorted(seconds)
    middle, high = ranked[len(ranked) // 2], ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]
    return f"p50 {middle * 1000:>6.2f} ms  p99 {high * 1000:>6.2f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} processors, load before: {os.getloadavg()[0]:.1f}")
    uvloop.run(main(chosen.objects, chosen.seconds))
