"""What the ledger costs: the same chain with and without it, asked in turns, so that the machine's mood is in both.

Shell. In: how many requests of each kind, in how many rounds. Out: latency of a request through the gateway and two
hops with and without, their ratio, and the processor time of Envoy and of the mesh. Client and services are processes
of their own, as they are in life. The services do nothing, so that no share could be larger than this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from graylane.mesh.debug.server import DebugServer
from graylane.mesh.inputs import MeshConfig
from graylane.testing import envoys, meshes

_WARM = 300
_MANIFESTS = """
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 8000}], selector: {app: a}}
---
kind: Service
metadata: {name: b}
spec: {ports: [{name: http, port: 8000}], selector: {app: b}}
---
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: vs}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - match: [{headers: {my-request-id: {exact: nobody}}}]
    directResponse: {status: 404}
  - route: [{destination: {host: a}}]
"""


@dataclass
class Side:
    """One chain: its gateway, its Envoy, and the ledger, which stays empty without."""

    port: int
    envoy: int
    ledger: DebugServer


@contextlib.asynccontextmanager
async def side(*, ledger: bool) -> AsyncIterator[Side]:
    network, port = envoys.own_network(), envoys.free_node_port()
    cluster = meshes.Cluster(mesh=MeshConfig(access_log="", ledger=ledger))
    cluster.pods = [
        meshes.gateway_pod(f"{network}.1", "127.0.0.1"),
        meshes.pod("a", f"{network}.2", {"app": "a"}),
        meshes.pod("b", f"{network}.3", {"app": "b"}),
    ]
    service = meshes.gateway_service(port)
    cluster.apply(*meshes.manifests(_MANIFESTS), {**service, "metadata": {**service["metadata"], "generation": 1}})
    told = DebugServer(lambda: ())
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(envoys.rig(on_access=told.take))
        compiled = await rig.push(replace(cluster.inputs(), lanes=frozenset({"my-request-id"})))
        told.learn(compiled.plan)
        stack.enter_context(_pod("a", f"{network}.2", {"upstream_url": "http://b:8000/"}))
        stack.enter_context(_pod("b", f"{network}.3", {}))
        yield Side(port, rig.process.pid, told)


@contextlib.contextmanager
def _pod(app: str, address: str, more: dict[str, str]):  # type: ignore[no-untyped-def]
    variables = {"app": app, "POD_IP": address, "http_proxy": f"http://{address}:15001", **more}
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "graylane.sample.service"],
        env={**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class Round:
    """What one pair of fresh chains showed, each with the ledger and without; latencies and times in seconds."""

    latencies: tuple[list[float], list[float]]
    envoy: tuple[float, float]
    mesh: float
    told: int

    def more(self, of: float) -> float:
        """How much longer that quantile is with the ledger, as a share."""
        with_it, without = (_quantile(each, of) for each in self.latencies)
        return with_it / without - 1


async def one_round(count: int) -> Round:
    async with side(ledger=True) as with_it, side(ledger=False) as without:
        sides = (with_it, without)
        await _ask(_WARM, sides)
        before, mesh = [_cpu(each.envoy) for each in sides], _own_cpu()
        first, second = await _ask(count, sides)
        spent = [(_cpu(each.envoy) - early) / count for each, early in zip(sides, before, strict=True)]
        taken = with_it.ledger.ledger.taken
        return Round((first, second), (spent[0], spent[1]), (_own_cpu() - mesh) / count, taken)


async def measure(count: int, rounds: int) -> None:
    """Two Envoys differ by themselves, by where in memory they happen to lie: so fresh ones are asked each time."""
    found = [await one_round(count) for _ in range(rounds)]
    told = sum(each.told for each in found)
    print(f"{rounds} rounds of {count} requests, through the gateway and two hops; {told} told to the ledger")
    for name, of in (("p10", 0.1), ("p50", 0.5), ("p99", 0.99)):
        shares = sorted(each.more(of) * 100 for each in found)
        with_it, without = (statistics.median(_quantile(each.latencies[n], of) for each in found) for n in (0, 1))
        spread = f"median {statistics.median(shares):+.1f} %, from {shares[0]:+.1f} to {shares[-1]:+.1f} %"
        print(f"  latency, {name}: {with_it * 1e3:.3f} ms with, {without * 1e3:.3f} ms without; {spread}")
    with_it, without = (statistics.median(each.envoy[n] for each in found) * 1e6 for n in (0, 1))
    print(f"  Envoy's processor time per request: {with_it:.0f} µs with, {without:.0f} µs without")
    print(f"  the mesh's, for the ledger: {statistics.median(each.mesh for each in found) * 1e6:.0f} µs per request")


async def _ask(count: int, sides: tuple[Side, Side]) -> list[list[float]]:
    """By a process of its own, first one then the other, turn about."""
    arguments = [sys.executable, __file__, "--client", str(count), *(str(each.port) for each in sides)]
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    found: list[list[float]] = orjson.loads(told)
    return found


def client(count: int, ports: list[int]) -> None:
    connections = [socket.create_connection(("127.0.0.1", port)) for port in ports]
    request = b"GET / HTTP/1.1\r\nhost: shop\r\nmy-request-id: canary\r\n\r\n"
    found: list[list[float]] = [[] for _ in ports]
    for turn in range(count):
        order = range(len(ports)) if turn % 2 else range(len(ports) - 1, -1, -1)
        for index in order:
            start = time.perf_counter()
            connections[index].sendall(request)
            answer = connections[index].recv(65536)
            found[index].append(time.perf_counter() - start)
            if b" 200 " not in answer[:20]:
                sys.exit(f"not answered: {answer!r}")
    sys.stdout.buffer.write(orjson.dumps(found))


def _quantile(values: list[float], of: float) -> float:
    return sorted(values)[int(len(values) * of)]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--client", nargs=3, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        client(given.client[0], given.client[1:])
    else:
        asyncio.run(measure(given.count, given.rounds))


if __name__ == "__main__":
    main()
