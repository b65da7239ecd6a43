"""How fast the mesh is: VS write → first request on the new route, compile time, bytes pushed, memory, added latency.

Shell. In: numbers of services on the command line (default 10 100 1000). Out: one line per figure. Real Envoy, no API
server: the clock starts where the mesh learns of a change. At the end a chain through the mesh beside direct calls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

from graylane.chain.match import Request
from graylane.kit import garbage
from graylane.mesh.compiler import compile
from graylane.mesh.inputs import Inputs, MeshConfig
from graylane.mesh.simulate import from_pod
from graylane.mesh.snapshot import Snapshot, Type
from graylane.mesh.store import Store
from graylane.model.kinds import DESTINATION_RULE, ENDPOINT_SLICE, POD, SERVICE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, key_of
from graylane.testing import envoys, meshes, places
from graylane.testing.hops import Chain, ask, pair

_CHANGES = 100
_PAUSE = 0.001  # between two requests that ask whether a route is live: on two cores asking takes time from the asked
_WARM = 300
_ASKED = 3000
_AT_ONCE = 16


def objects(count: int, network: str) -> list[tuple[Kind, Obj]]:
    """`count` services with a VirtualService, a DestinationRule with two subsets and one pod each; all pods are one."""
    found: list[tuple[Kind, Obj]] = []
    for number in range(count):
        name = f"s{number}"
        meta = {"name": name, "namespace": "default", "generation": 1, "uid": name, "creationTimestamp": ""}
        ports = [{"name": "http", "port": 8000}]
        labels = {"app": name, "version": "v1"}
        pod = meshes.pod(name, f"127.{100 + number // 60000}.{number // 250 % 250 + 1}.{number % 250 + 1}", labels)
        entry = {
            "addresses": [f"{network}.1"],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "name": name},
        }
        slices = {
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
            "ports": ports,
            "endpoints": [entry],
        }
        subsets = [{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}]
        address = f"10.96.{number // 250}.{number % 250 + 1}"
        found += [
            (SERVICE, {"metadata": meta, "spec": {"ports": ports, "selector": {"app": name}, "clusterIP": address}}),
            (POD, pod),
            (ENDPOINT_SLICE, slices),
            (DESTINATION_RULE, {"metadata": meta, "spec": {"host": name, "subsets": subsets}}),
            (VIRTUAL_SERVICE, virtual_service(name, 1, "a")),
        ]
    return found


def virtual_service(name: str, generation: int, mark: str) -> Obj:
    meta = {"name": name, "namespace": "default", "generation": generation, "uid": name, "creationTimestamp": ""}
    rule = {
        "route": [{"destination": {"host": name, "subset": "v1"}}],
        "headers": {"response": {"set": {"x-mark": mark}}},
    }
    return {"metadata": meta, "spec": {"hosts": [name], "http": [rule]}}


def pushed(old: Snapshot, new: Snapshot) -> int:
    """The bytes of resources that differ, or of the whole type where xDS wants it whole."""
    total = 0
    for type in Type:
        differing = [each for name, each in new.of(type).items() if old.of(type).get(name) is not each]
        sent = new.of(type).values() if type.whole and differing else differing
        total += sum(len(each.body) for each in sent)
    return total


@contextlib.asynccontextmanager
async def town(count: int) -> AsyncIterator[tuple[envoys.Rig, Store, str]]:
    network = places.own_network()
    async with envoys.upstream("all", f"{network}.1", 8000), envoys.rig(workers=2) as rig:
        store = Store(MeshConfig(access_log=""))
        for kind, obj in objects(count, network):
            store.take(kind, key_of(obj), None, obj)
        start = time.perf_counter()
        await rig.push(store.inputs(), 60)
        print(f"  first compile, push and acknowledgement: {(time.perf_counter() - start) * 1000:.0f} ms")
        garbage.is_built()  # as `graylane up` says once it is ready
        yield rig, store, network


async def measure(count: int) -> None:
    print(f"{count} services")
    async with town(count) as (rig, store, _):
        proxy = "http://127.100.1.1:15001"
        caller = await Caller.at("127.100.1.1")
        route, acked, built, sizes = [], [], [], []
        old = virtual_service("s0", 1, "a")
        for turn in range(_CHANGES):
            mark = f"m{turn}"
            new = virtual_service("s0", turn + 2, mark)
            before = rig.snapshot
            start = time.perf_counter()
            store.take(VIRTUAL_SERVICE, key_of(new), old, new)
            await rig.publish(store.inputs())
            built.append(time.perf_counter() - start)
            pushing = asyncio.create_task(rig.acknowledged())
            await caller.meets(mark)
            route.append(time.perf_counter() - start)
            await pushing
            acked.append(rig.live_at - start)
            sizes.append(pushed(before, rig.snapshot))
            old = new
        for name, values in (
            ("write → compiled and sent", built),
            ("→ acknowledged", acked),
            ("→ first request", route),
        ):
            print(f"  {name}: {_ms(values)}")
        print(f"  bytes pushed per change: {statistics.median(sizes):.0f}")
        print(f"  memory: mesh {_mesh_mib():.0f} MiB (peak), Envoy {_rss_mib(rig.process.pid):.0f} MiB")
        print(f"  simulate: {simulated(store.inputs(), count):,.0f} requests/s")
        await latency(rig, proxy)


class Caller:
    """A pod that asks s0 again and again on one connection, and is as little in the way as can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def at(cls, address: str) -> Caller:
        return cls(*await asyncio.open_connection(address, 15001))

    async def meets(self, mark: str) -> None:
        while True:
            if await self.mark() == mark:
                return
            await asyncio.sleep(_PAUSE)

    async def mark(self) -> str:
        """The mark of the route by which one request went."""
        self._writer.write(b"GET http://s0:8000/ HTTP/1.1\r\nhost: s0:8000\r\n\r\n")
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await self._reader.readexactly(int(headers["content-length"]))
        return headers["x-mark"]


def simulated(inputs: Inputs, count: int) -> float:
    """Requests decided per second of CPU, by different services, headers and paths."""
    plan = compile(inputs).plan
    requests = [
        Request(f"s{turn * 7 % count}:8000", f"/p{turn % 12}?q=1", headers=(("my-request-id", "canary"),))
        for turn in range(5_000)
    ]
    from_pod(plan, "127.100.1.1", requests[0])
    start = time.process_time()
    for request in requests:
        from_pod(plan, "127.100.1.1", request)
    return len(requests) / (time.process_time() - start)


async def latency(rig: envoys.Rig, proxy: str) -> None:
    async def timed(url: str, through: str | None) -> list[float]:
        found = []
        for _ in range(500):
            start = time.perf_counter()
            await rig.get(url, proxy=through)
            found.append(time.perf_counter() - start)
        return found

    await timed("http://s0:8000/", proxy)
    print(f"  one request through one hop: {_ms(await timed('http://s0:8000/', proxy))}")


async def against_direct_calls() -> None:
    """Gateway → a → proxy → b beside the same two services that call each other directly, asked in turns."""
    chain, direct = Chain.anew("default"), places.own_network()
    doors = [chain.door, f"{direct}.2:8000"]
    async with envoys.rig(workers=2) as rig:
        await rig.push(chain.inputs())
        async with chain.services(), pair(direct, f"http://{direct}.3:8000/", proxied=False):
            await ask(_WARM, doors)
            alone = await ask(_ASKED, doors)
            many = await ask(_ASKED // _AT_ONCE, doors, _AT_ONCE)
    through, straight = (statistics.median(each) for each in alone)
    print("gateway and two hops against direct calls, in turns")
    for name, values in zip(("through the mesh", "direct"), alone, strict=True):
        print(f"  one request {name}: {_ms(values)}")
    print(f"  added latency: {(through - straight) * 1000:.2f} ms; ratio {through / straight:.2f}")
    rates = [_AT_ONCE * len(each) / sum(each) for each in many]
    told = f"{rates[0]:,.0f} through the mesh, {rates[1]:,.0f} direct; ratio {rates[0] / rates[1]:.2f}"
    print(f"  requests/s, {_AT_ONCE} at once: {told}")


def _ms(values: list[float]) -> str:
    ordered = sorted(values)
    return f"p50 {ordered[len(ordered) // 2] * 1000:.2f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1000:.2f} ms"


def _rss_mib(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024


def _mesh_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="*", type=int, default=[10, 100, 1000])
    for count in parser.parse_args().services:
        asyncio.run(measure(count))
    asyncio.run(against_direct_calls())


if __name__ == "__main__":
    main()
