"""What the ledger costs: one Envoy, two chains, one told of and one not, asked in turns: the machine's mood is in both.

Shell. In: how many requests of each kind. Out: latency of a request through the gateway and two hops with and without,
their ratio, and the mesh's processor time. Client and services are processes of their own, as they are in life. The
services do nothing, so that no share could be larger than this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from graylane.mesh.compiler import compile
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.inputs import Inputs, MeshConfig
from graylane.mesh.snapshot import Resource, Snapshot, Type, by_name
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
spec: {selector: {app: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: Service
metadata: {name: gw}
spec: {type: NodePort, ports: [{name: http2, port: 80, targetPort: 8080, nodePort: NODE_PORT}], selector: {app: gw}}
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


@dataclass(frozen=True)
class Chain:
    """A gateway and two services in a namespace of its own."""

    namespace: str
    network: str
    port: int
    ledger: bool

    def inputs(self) -> Inputs:
        cluster = meshes.Cluster(mesh=MeshConfig(access_log="", ledger=self.ledger))
        labels = {"gw": {"app": "gw"}, "a": {"app": "a"}, "b": {"app": "b"}}
        cluster.pods = [
            meshes.pod(
                f"{name}-{self.namespace}",
                f"{self.network}.{number}",
                labels[name],
                namespace=self.namespace,
                host_ip="127.0.0.1",
                router=name == "gw",
            )
            for number, name in enumerate(labels, 1)
        ]
        text = _MANIFESTS.replace("NODE_PORT", str(self.port))
        cluster.apply(*meshes.manifests(text, namespace=self.namespace))
        return replace(cluster.inputs(), lanes=frozenset({"my-request-id"}))


def chains() -> tuple[Chain, Chain]:
    return tuple(  # type: ignore[return-value]
        Chain(namespace, envoys.own_network(), envoys.free_node_port(), ledger)
        for namespace, ledger in (("with", True), ("without", False))
    )


def together(parts: Iterable[Snapshot]) -> Snapshot:
    """One configuration of both, for one Envoy: two of them differ by themselves, by where they lie in memory."""
    found: dict[Type, dict[str, Resource]] = {type: {} for type in Type}
    for part in parts:
        for type in Type:
            found[type] |= part.of(type)
    return Snapshot(1, {type: by_name(each.values()) for type, each in found.items()})


async def measure(count: int) -> None:
    both = chains()
    told = DebugServer(lambda: ())
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(envoys.rig(on_access=told.take))
        compiled = [compile(chain.inputs()) for chain in both]
        told.learn(compiled[0].plan)
        rig.serial = 1
        await rig.server.publish(together(each.snapshot for each in compiled))
        await rig.acknowledged()
        for chain in both:
            for number, app, upstream in ((2, "a", "http://b:8000/"), (3, "b", "")):
                stack.enter_context(_pod(app, f"{chain.network}.{number}", upstream))
        await _ask(_WARM, both)
        before = _own_cpu()
        with_it, without = await _ask(count, both)
        mesh = (_own_cpu() - before) / count * 1e6
    print(
        f"{count} requests through the gateway and two hops, with and without; {told.ledger.taken} told to the ledger"
    )
    for name, of in (("p10", 0.1), ("p25", 0.25), ("p50", 0.5), ("p99", 0.99)):
        one, other = _quantile(with_it, of) * 1e3, _quantile(without, of) * 1e3
        print(f"  latency, {name}: {one:.3f} ms with, {other:.3f} ms without ({(one / other - 1) * 100:+.1f} %)")
    print(f"  processor time of the mesh, for the ledger: {mesh:.0f} µs per request")


@contextlib.contextmanager
def _pod(app: str, address: str, upstream: str) -> Iterator[None]:
    variables = {"app": app, "POD_IP": address, "http_proxy": f"http://{address}:15001", "upstream_url": upstream}
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


async def _ask(count: int, both: tuple[Chain, Chain]) -> list[list[float]]:
    """By a process of its own, first one then the other, turn about."""
    arguments = [sys.executable, __file__, "--client", str(count), *(str(each.port) for each in both)]
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


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=5000)
    parser.add_argument("--client", nargs=3, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        client(given.client[0], given.client[1:])
    else:
        asyncio.run(measure(given.count))


if __name__ == "__main__":
    main()
