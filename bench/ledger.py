"""What the ledger costs a request: one chain in one Envoy, told of and not told of by turns.

Shell. In: how many turns, of how many requests. Out: latency of a request through the gateway and two hops with the
ledger and without, by percentile; how much more it is than in the turns before and after, and how much those without
differ from each other in the same way, which is what noise alone makes of it; processor time of Envoy and of the mesh
for each request. Client and services are processes of their own, as they are in life, and the same in all turns: two
that are alike differ by some percent for as long as they live. The services do nothing, so that no share could be
larger than this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graylane.cluster.envoy.binary import FLUSH_MS
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.ledger.pipe import Pipe
from graylane.testing import envoys
from graylane.testing.hops import Chain, ask

_WARM = 100
_PERCENTILES = (10, 25, 50, 75, 99)
_MARKS = MeshConfig().named[0]


@dataclass(frozen=True)
class Turn:
    """Latencies in milliseconds, sorted; processor time in microseconds for each request."""

    latencies: list[float]
    envoy: float
    mesh: float

    @property
    def middle(self) -> float:
        return statistics.median(self.latencies)


async def measure(turns: int, count: int, header: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger"
        told = DebugServer(lambda: (), MeshConfig().named)
        pipe = Pipe(path, told.take)
        pipe.start()
        stack.callback(pipe.stop)
        rig = await stack.enter_async_context(envoys.rig(flush_ms=FLUSH_MS))
        chain = Chain.anew("shop", header=header)
        found: dict[bool, list[Turn]] = {True: [], False: []}
        async with contextlib.AsyncExitStack() as services:
            for number in range(2 * turns + 1):
                ledger = number % 2 == 1
                told.learn((await rig.push(chain.inputs(str(path) if ledger else ""))).plan)
                if number == 0:
                    await services.enter_async_context(chain.services())
                found[ledger].append(await _turn(chain.door, count, rig.process.pid))
    _tell(found[True], found[False], told.ledger.taken)


async def _turn(door: str, count: int, envoy: int) -> Turn:
    """A listener that was replaced closes its connections with their next answer, so some requests go before."""
    before, own = _cpu(envoy), time.process_time()
    (latencies,) = await ask(count + _WARM, [door])
    await asyncio.sleep(2 * FLUSH_MS / 1000)  # its last lines belong to this turn
    each = 1e6 / (count + _WARM)
    return Turn(
        sorted(each * 1e3 for each in latencies[_WARM:]),
        (_cpu(envoy) - before) * each,
        (time.process_time() - own) * each,
    )


def _cpu(pid: int) -> float:
    """Seconds of all its threads, to the nanosecond."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _tell(with_it: Sequence[Turn], without: Sequence[Turn], taken: int) -> None:
    between = [_more(turn, without[index : index + 2]) for index, turn in enumerate(with_it)]
    noise = [_more(turn, (without[index], without[index + 2])) for index, turn in enumerate(without[1:-1])]
    print(f"{len(with_it)} turns of {len(with_it[0].latencies)} requests with the ledger, which took {taken} hops")
    for percent in _PERCENTILES:
        one, other = _percentile(with_it, percent), _percentile(without, percent)
        print(f"  p{percent}: {one:.3f} ms with, {other:.3f} ms without ({(one / other - 1) * 100:+.1f} %)")
    print(f"  the middle of a turn, against those before and after: {_spread(between)}")
    print(f"  turns without, against those before and after, all without: {_spread(noise)}")
    for name, part in (("Envoy", "envoy"), ("the mesh", "mesh")):
        one, other = (statistics.median(getattr(turn, part) for turn in turns) for turns in (with_it, without))
        print(f"  processor time of {name} for a request: {one:.0f} µs with, {other:.0f} µs without")


def _more(turn: Turn, neighbours: Sequence[Turn]) -> float:
    return (turn.middle / statistics.mean(each.middle for each in neighbours) - 1) * 100


def _percentile(turns: Sequence[Turn], percent: int) -> float:
    everything = sorted(latency for turn in turns for latency in turn.latencies)
    return everything[len(everything) * percent // 100]


def _spread(values: Sequence[float]) -> str:
    first, middle, third = statistics.quantiles(values, n=4)
    return f"{middle:+.1f} % (half of them from {first:+.1f} to {third:+.1f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("turns", nargs="?", type=int, default=30)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--header", default=_MARKS, help="what marks the lane; others than the default cost a filter")
    given = parser.parse_args()
    asyncio.run(measure(given.turns, given.count, given.header))


if __name__ == "__main__":
    main()
