"""What Envoy really does with a request, and what the simulator says it does.

Shell. In: `Case`s. Out: `Disagreement`s. One Envoy, one town of services that answer who they are; only routing objects
change from case to case. Envoy's own access log tells status, flag and cluster of each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from graylane.chain.match import Request
from graylane.mesh.compile.plan import Plan
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.simulate import NO_CLUSTER, Decision, Lost, PassedThrough, Reached, Refusal, from_pod, simulate
from graylane.mesh.table import PASSTHROUGH, DirectResponse, Fault, Forward, Redirect
from graylane.model.meta import Obj
from graylane.testing import envoys, meshes, places
from graylane.testing.waiting import eventually

from .reality import Asked, Case
from .reality_filters import CODE

SERVICES = """
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, clusterIP: NETWORK.210, ports: [{name: http, port: 8000}]}
---
kind: Service
metadata: {name: two, namespace: shop}
spec:
  selector: {app: b}
  clusterIP: NETWORK.212
  ports: [{name: http, port: 8000}, {name: http-alt, port: 9000, targetPort: 8000}]
---
kind: Service
metadata: {name: c, namespace: shop}
spec: {selector: {app: c}, clusterIP: NETWORK.211, ports: [{name: http, port: 80, targetPort: 8000}]}
---
kind: Service
metadata: {name: d, namespace: other}
spec: {selector: {app: d}, clusterIP: NETWORK.213, ports: [{name: http, port: 8000}]}
---
kind: Service
metadata: {name: empty, namespace: shop}
spec: {selector: {app: empty}, clusterIP: NETWORK.214, ports: [{name: http, port: 8000}]}
---
kind: ServiceEntry
metadata: {name: probe, namespace: shop}
spec: {hosts: [probe.test], ports: [{name: http, number: 80, protocol: HTTP}], resolution: STATIC}
---
kind: Gateway
metadata: {name: probe, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop/probe.test]}]
"""
PODS = (  # name, number, labels, namespace
    ("client", 2, {"app": "client", "tier": "front"}, "shop"),
    ("stranger", 3, {"app": "stranger"}, "other"),
    ("b-v1", 4, {"app": "b", "version": "v1"}, "shop"),
    ("b-v2", 5, {"app": "b", "version": "v2"}, "shop"),
    ("c-1", 6, {"app": "c"}, "shop"),
    ("d-1", 7, {"app": "d"}, "other"),
)
NUMBERS = {name: number for name, number, _, _ in PODS}
_LINE = re.compile(
    r'"(?P<method>\S+) \S+ \S+" (?P<status>\d+) (?P<flags>\S+) (?P<details>\S+) .*? "(?P<agent>r\d+)" "[^"]*" "[^"]*" '
    r'"(?P<upstream>[^"]*)" (?P<cluster>\S+) '
)


class Seen(NamedTuple):
    """A request's fate as an access log tells it; "-" is nothing."""

    status: int
    flags: str
    cluster: str


@dataclass(frozen=True)
class Disagreement:
    asked: Asked
    seen: Seen
    expected: frozenset[Seen]
    decision: Decision

    def __str__(self) -> str:
        return f"{self.asked}\n  Envoy: {self.seen}\n  simulated: {sorted(self.expected)}\n  by {self.decision.route}"


@dataclass
class Reality:
    rig: envoys.Rig
    network: str
    node_port: int
    log: Path
    clients: dict[str, Client] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1 << 62)))
    agents: dict[str, Seen] = field(default_factory=dict)
    read_to: int = 0
    last: Seen | None = None
    compared: int = 0

    def cluster(self, objects: list[Obj]) -> meshes.Cluster:
        found = meshes.Cluster(mesh=MeshConfig(access_log=str(self.log), ledger="/dev/null", whole_up_to=0))
        placed = orjson.loads(orjson.dumps(objects).replace(b"NETWORK", self.network.encode()))
        found.apply(
            *meshes.manifests(SERVICES.replace("NETWORK", self.network)),
            meshes.gateway_service(self.node_port),
            *placed,
        )
        found.pods = [
            meshes.gateway_pod(f"{self.network}.1", "127.0.0.1"),
            *(
                meshes.pod(name, f"{self.network}.{number}", labels, namespace=space)
                for name, number, labels, space in PODS
            ),
        ]
        return found

    async def judge(self, case: Case) -> list[Disagreement]:
        self.rig.refused.clear()
        mark = str(next(self.numbers))
        compiled = await self.rig.push(self.cluster([*case.objects, probe(mark)]).inputs())
        assert not self.rig.refused, f"Envoy refuses {self.rig.refused[0]} of {case.objects}"
        placed = [replace(asked, host=asked.host.replace("NETWORK", self.network)) for asked in case.asked]
        numbered = [(f"r{next(self.numbers)}", asked) for asked in placed]
        by_source: dict[str, list[tuple[str, Asked]]] = {}
        for agent, asked in numbered:
            by_source.setdefault(asked.source, []).append((agent, asked))
        await asyncio.gather(*(self._send(source, each, mark) for source, each in by_source.items()))
        await eventually(lambda: self._logged(len(numbered)), 30, "Envoy's log has every request")
        found = (self._compare(compiled.plan, asked, self.agents.pop(agent)) for agent, asked in numbered)
        return [each for each in found if each is not None]

    async def _send(self, source: str, asked: list[tuple[str, Asked]], mark: str) -> None:
        at_gateway = source == "gateway"
        address = ("127.0.0.1", self.node_port) if at_gateway else (f"{self.network}.{NUMBERS[source]}", 15001)
        client = self.clients.setdefault(source, Client(*address, absolute=not at_gateway))
        # Envoy acknowledges a moment before its worker has the new routes; what the worker answers is the fact.
        await eventually(lambda: client.has(mark), 30, f"{source} has configuration {mark}")
        for agent, each in asked:
            await client.send(each, agent)

    def _logged(self, count: int) -> bool:
        """Reads on where the last reading ended, up to the last whole line."""
        with self.log.open("rb") as log:
            log.seek(self.read_to)
            whole = log.read().rpartition(b"\n")
        self.read_to += len(whole[0]) + len(whole[1])
        for line in whole[0].decode().splitlines():
            found = _LINE.search(line)
            if found is None:
                assert PROBE in line, line
                continue
            self.agents[found["agent"]] = Seen(int(found["status"]), found["flags"], found["cluster"])
        return len(self.agents) == count

    def _compare(self, plan: Plan, asked: Asked, seen: Seen) -> Disagreement | None:
        self.last = seen
        decision = self.decide(plan, asked)
        if decision.filters:
            assert {each.name.partition("-")[0] for each in decision.filters} == {CODE}, decision.filters
            return None  # nobody can tell what code does to a request, and that is what is said of it
        self.compared += 1
        expected = possible(plan, decision)
        return None if seen in expected else Disagreement(asked, seen, expected, decision)

    def decide(self, plan: Plan, asked: Asked) -> Decision:
        request = Request(asked.host, asked.path, asked.method, headers=asked.headers)
        if asked.source == "gateway":
            return simulate(plan, f"127.0.0.1_{self.node_port}", request)
        return from_pod(plan, f"{self.network}.{NUMBERS[asked.source]}", request)


def possible(plan: Plan, decision: Decision) -> frozenset[Seen]:
    """What a log may say of a request about which this was decided."""
    return frozenset(_possible(plan, decision))


def _possible(plan: Plan, decision: Decision) -> Iterator[Seen]:
    outcome, fault = decision.outcome, decision.fault
    delay = ["DI"] if fault and fault.delay and fault.delay[1] >= 100 else []
    if fault and fault.abort_status and aborts(fault):
        for cluster in _chosen(plan, decision):
            yield Seen(fault.abort_status[0], ",".join([*delay, "FI"]), cluster)
    elif isinstance(outcome, PassedThrough):
        seen = _passed_on(outcome.host)
        flags = [*delay, *([seen.flags] if seen.flags != "-" else [])]
        yield Seen(seen.status, ",".join(flags) or "-", seen.cluster)
    elif isinstance(outcome, Refusal):
        yield Seen(outcome.status, outcome.flag, "-")
    elif isinstance(outcome, Redirect):
        yield Seen(outcome.code, ",".join(delay) or "-", "-")
    elif isinstance(outcome, DirectResponse):
        for cluster in _chosen(plan, decision):
            yield Seen(outcome.status, ",".join(delay) or "-", cluster)
    for part in outcome if isinstance(outcome, tuple) and not aborts(fault) else ():
        if isinstance(part, Reached) and part.cluster == PASSTHROUGH:
            yield Seen(503, ",".join([*delay, "DF"]), PASSTHROUGH)  # a name of many names, none of which can be found
        elif isinstance(part, Reached):
            yield Seen(200, ",".join(delay) or "-", part.cluster)
        else:
            yield Seen(part.refusal.status, ",".join([*delay, part.refusal.flag]), _logged_cluster(part))


def aborts(fault: Fault | None) -> bool:
    return fault is not None and fault.abort_status is not None and fault.abort_status[1] >= 100


def _chosen(plan: Plan, decision: Decision) -> Iterator[str]:
    """What a log names where a filter answers: the cluster that was chosen, though nothing is sent there."""
    action = decision.route.action if decision.route else None
    if isinstance(action, Forward):
        yield from (target.cluster if target.cluster in plan.clusters else "-" for target in action.targets)
    else:
        yield "-"


def _logged_cluster(part: Reached | Lost) -> str:
    return "-" if isinstance(part, Lost) and part.refusal == NO_CLUSTER else part.cluster


def _passed_on(host: str) -> Seen:
    """A pod's address answers, another refuses; a name is not to be found here."""
    if not host[0].isdigit():
        return Seen(503, "DF", PASSTHROUGH)
    answers = any(host.endswith(f".{number}:8000") for number in NUMBERS.values())
    return Seen(200, "-", PASSTHROUGH) if answers else Seen(503, "UF", PASSTHROUGH)


PROBE = "probe.test"


def probe(mark: str) -> Obj:
    """A host that tells which configuration answers."""
    rule = {"directResponse": {"status": 204}, "headers": {"response": {"set": {"x-mark": mark}}}}
    spec = {"hosts": [PROBE], "gateways": ["mesh", "probe"], "http": [rule]}
    return {"kind": "VirtualService", "metadata": {"name": "probe", "namespace": "shop", "generation": 1}, "spec": spec}


class Client:
    """HTTP/1.1 over a connection that is kept, spelled exactly as asked."""

    def __init__(self, host: str, port: int, *, absolute: bool) -> None:
        self.host, self.port, self.absolute = host, port, absolute
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def has(self, mark: str) -> bool:
        return f"\r\nx-mark: {mark}\r\n" in await self.send(Asked("", PROBE), "probe")

    async def send(self, asked: Asked, agent: str) -> str:
        """The head of the answer, in lower case."""
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self.streams
        target = f"http://{asked.host}{asked.path}" if self.absolute else asked.path
        lines = [f"{asked.method} {target} HTTP/1.1", f"host: {asked.host}", f"user-agent: {agent}"]
        lines += [f"{name}: {value}" for name, value in asked.headers]
        if asked.method in ("POST", "PUT"):
            lines.append("content-length: 0")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().lower()
        length = re.search(r"\r\ncontent-length: (\d+)", head)
        if asked.method != "HEAD" and length:
            await reader.readexactly(int(length[1]))
        if "connection: close" in head or "transfer-encoding" in head:
            writer.close()
            self.streams = None
        return head

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()


class _Upstream(asyncio.Protocol):
    """Answers every request with 200 and nothing."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.rest = transport, b""

    def data_received(self, data: bytes) -> None:
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for _ in requests:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


@contextlib.asynccontextmanager
async def reality() -> AsyncIterator[Reality]:
    network = places.own_network()
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        rig = await stack.enter_async_context(envoys.rig())
        for name, number in NUMBERS.items():
            if name not in ("client", "stranger"):
                server = await loop.create_server(_Upstream, f"{network}.{number}", 8000)
                stack.callback(server.close)
        found = Reality(rig, network, places.free_node_port(), Path(folder) / "access.log")
        try:
            yield found
        finally:
            for client in found.clients.values():
                client.close()
