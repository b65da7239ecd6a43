"""What the ledger costs: one Envoy, two chains, one told of and one not, asked in turns: the machine's mood is in both.

Shell. In: how many requests of each kind. Out: latency of a request through the gateway and two hops with and without,
their ratio, and the mesh's processor time. Client and services are processes of their own, as they are in life. The
services do nothing, so that no share could be larger than this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
from collections.abc import Iterable

from graylane.mesh.compiler import compile
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.snapshot import Resource, Snapshot, Type, by_name
from graylane.testing import envoys
from graylane.testing.hops import Chain, ask

_WARM = 300


def together(parts: Iterable[Snapshot]) -> Snapshot:
    """One configuration of both, for one Envoy: two of them differ by themselves, by where they lie in memory."""
    found: dict[Type, dict[str, Resource]] = {type: {} for type in Type}
    for part in parts:
        for type in Type:
            found[type] |= part.of(type)
    return Snapshot(1, {type: by_name(each.values()) for type, each in found.items()})


async def measure(count: int) -> None:
    both = Chain.anew("with", ledger=True), Chain.anew("without")
    doors = [each.door for each in both]
    told = DebugServer(lambda: ())
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(envoys.rig(on_access=told.take))
        compiled = [compile(chain.inputs()) for chain in both]
        told.learn(compiled[0].plan)
        rig.serial = 1
        await rig.server.publish(together(each.snapshot for each in compiled))
        await rig.acknowledged()
        for chain in both:
            await stack.enter_async_context(chain.services())
        await ask(_WARM, doors)
        before = _own_cpu()
        with_it, without = await ask(count, doors)
        mesh = (_own_cpu() - before) / count * 1e6
    print(
        f"{count} requests through the gateway and two hops, with and without; {told.ledger.taken} told to the ledger"
    )
    for name, of in (("p10", 0.1), ("p25", 0.25), ("p50", 0.5), ("p99", 0.99)):
        one, other = _quantile(with_it, of) * 1e3, _quantile(without, of) * 1e3
        print(f"  latency, {name}: {one:.3f} ms with, {other:.3f} ms without ({(one / other - 1) * 100:+.1f} %)")
    print(f"  processor time of the mesh, for the ledger: {mesh:.0f} µs per request")


def _quantile(values: list[float], of: float) -> float:
    return sorted(values)[int(len(values) * of)]


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=5000)
    asyncio.run(measure(parser.parse_args().count))


if __name__ == "__main__":
    main()
