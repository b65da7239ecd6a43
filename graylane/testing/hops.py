"""A gateway and two services behind it, as processes of their own, and a client that times requests to several such.

Shell. In: a `Chain` for one Envoy to carry, addresses to ask. Out: how long answers took. The services are the sample's
and do nothing, so that no share of the time could be larger than what is measured. Run as a program it is the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import orjson

from graylane.mesh.inputs import Inputs, MeshConfig
from graylane.testing import meshes, places
from graylane.testing.waiting import eventually

_MANIFESTS = """
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 8000}], selector: {app: a}}
---
kind: Service
metadata: {name: b}
spec: {ports: [{name: http, port: 8000}], selector: {app: b}}
---
kind: VirtualService
metadata: {name: vs}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - match: [{headers: {LANE: {exact: nobody}}}]
    directResponse: {status: 404}
  - route: [{destination: {host: a}}]
"""


@dataclass(frozen=True)
class Chain:
    """A gateway and two services in a namespace of its own, where `header` marks a lane."""

    namespace: str
    network: str
    port: int
    header: str = "my-request-id"

    @classmethod
    def anew(cls, namespace: str, *, header: str = "my-request-id") -> Chain:
        """Where nobody else listens."""
        return cls(namespace, places.own_network(), places.free_node_port(), header)

    @property
    def door(self) -> str:
        return f"127.0.0.1:{self.port}"

    def inputs(self, ledger: str = "") -> Inputs:
        """`ledger` is the pipe that its requests are told on, "" for none."""
        cluster = meshes.Cluster(mesh=MeshConfig(access_log="", ledger=ledger))
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
        routes = meshes.manifests(_MANIFESTS.replace("LANE", self.header), namespace=self.namespace)
        cluster.apply(*meshes.entrance(self.port, self.namespace), *routes)
        return replace(cluster.inputs(), lanes=frozenset({self.header}))

    def services(self) -> contextlib.AbstractAsyncContextManager[None]:
        """The two services, which call each other through the mesh."""
        return pair(self.network, "http://b:8000/", proxied=True)


@contextlib.asynccontextmanager
async def pair(network: str, call: str, *, proxied: bool) -> AsyncIterator[None]:
    """Service a at .2, which adds what it gets from `call` to its answer, and service b at .3, both listening."""
    with _service("a", f"{network}.2", call, proxied=proxied), _service("b", f"{network}.3", "", proxied=proxied):
        for number in (2, 3):
            door = f"{network}.{number}:8000"
            await eventually(partial(_is_open, door), 30, f"a service listens on {door}")
        yield


@contextlib.contextmanager
def _service(app: str, address: str, upstream: str, *, proxied: bool) -> Iterator[None]:
    proxy = f"http://{address}:15001" if proxied else ""
    variables = {"app": app, "POD_IP": address, "http_proxy": proxy, "upstream_url": upstream}
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "graylane.sample.service"],
        env={**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _is_open(door: str) -> bool:
    with contextlib.suppress(OSError), _connected(door):
        return True
    return False


async def ask(count: int, doors: Sequence[str], at_once: int = 1) -> list[list[float]]:
    """For each door (`host:port`) how long each of `count` times took in which `at_once` requests were answered.

    By a process of its own, one door after the other, turn about: the machine's mood is in all of them.
    """
    arguments = [sys.executable, "-m", "graylane.testing.hops", str(count), str(at_once), *doors]
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    found: list[list[float]] = orjson.loads(told)
    return found


def _client(count: int, at_once: int, doors: list[str]) -> list[list[float]]:
    lines = [[_connected(door) for _ in range(at_once)] for door in doors]
    found: list[list[float]] = [[] for _ in doors]
    for turn in range(count):
        order = range(len(doors)) if turn % 2 else range(len(doors) - 1, -1, -1)
        for index in order:
            found[index].append(_timed(lines[index]))
    return found


def _connected(door: str) -> socket.socket:
    host, _, port = door.partition(":")
    return socket.create_connection((host, int(port)))


def _timed(lines: list[socket.socket]) -> float:
    start = time.perf_counter()
    for line in lines:
        line.sendall(b"GET / HTTP/1.1\r\nhost: shop\r\nmy-request-id: canary\r\n\r\n")
    for line in lines:
        answer = line.recv(65536)
        if b" 200 " not in answer[:20]:
            sys.exit(f"not answered: {answer!r}")
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(_client(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
