"""What the ledger costs a request: two chains in one Envoy, one told of and one not, asked in turns, then the other way
round.

Shell. In: how many rounds, of how many requests. Out: how much longer a request through the gateway and two hops takes
with the ledger than the one right before or after it without, in the middle and by percentile; the same of two chains
both without, which is what noise alone makes of it; processor time of the mesh. Two chains of processes that are alike
differ by some percent for as long as they live: what is told is the mean of both ways round, in which that cancels out.
Client and services are processes of their own, as they are in life. The services do nothing, so that no share could be
larger than this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from graylane.cluster.envoy.binary import FLUSH_MS
from graylane.mesh.compiler import compile
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.ledger.pipe import Pipe
from graylane.mesh.snapshot import Resource, Snapshot, Type, by_name
from graylane.testing import envoys
from graylane.testing.hops import Chain, ask

_WARM = 100
_PERCENTILES = (10, 25, 50, 75)
_MARKS = MeshConfig().named[0]
_ROUND = ((True, False), (False, True), (False, False), (False, False))
Pair = tuple[list[float], list[float]]


@dataclass
class Bench:
    """`took` are milliseconds of both chains, in turns: by round, one pair for each entry of `_ROUND`."""

    rig: envoys.Rig
    told: DebugServer
    path: Path
    chains: tuple[Chain, Chain]
    took: list[list[Pair]] = field(default_factory=list)
    mesh: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})

    async def configure(self, ledgers: Sequence[bool]) -> None:
        """One configuration of both, for one Envoy: two of them differ by themselves, by where they lie in memory."""
        found: dict[Type, dict[str, Resource]] = {type: {} for type in Type}
        for chain, ledger in zip(self.chains, ledgers, strict=True):
            compiled = compile(chain.inputs(str(self.path) if ledger else ""))
            if ledger:
                self.told.learn(compiled.plan)
            for type in Type:
                found[type] |= compiled.snapshot.of(type)
        self.rig.serial += 1
        await self.rig.server.publish(Snapshot(self.rig.serial, {type: by_name(found[type].values()) for type in Type}))
        await self.rig.acknowledged()

    async def round(self, count: int) -> None:
        pairs: list[Pair] = []
        for ledgers in _ROUND:
            await self.configure(ledgers)
            before = time.process_time()
            one, other = await ask(count + _WARM, [chain.door for chain in self.chains])
            await asyncio.sleep(2 * FLUSH_MS / 1000)  # the last lines are of this one too
            self.mesh[any(ledgers)].append((time.process_time() - before) / (count + _WARM) * 1e6)
            pairs.append((_settled(one), _settled(other)))
        self.took.append(pairs)


def _settled(latencies: list[float]) -> list[float]:
    """A listener that was replaced closes its connections with their next answer, so the first do not count."""
    return [each * 1e3 for each in latencies[_WARM:]]


async def measure(rounds: int, count: int, header: str) -> Bench:
    async with contextlib.AsyncExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger"
        told = DebugServer(lambda: (), MeshConfig().named)
        pipe = Pipe(path, told.take)
        pipe.start()
        stack.callback(pipe.stop)
        rig = await stack.enter_async_context(envoys.rig(flush_ms=FLUSH_MS))
        bench = Bench(rig, told, path, (Chain.anew("one", header=header), Chain.anew("other", header=header)))
        await bench.configure((False, False))
        for chain in bench.chains:
            await stack.enter_async_context(chain.services())
        for _ in range(rounds):
            await bench.round(count)
        return bench


def report(bench: Bench) -> Iterator[str]:
    rounds = bench.took
    requests, hops = len(rounds[0][0][0]), bench.told.ledger.taken
    yield f"{len(rounds)} rounds of {requests} requests, {hops} hops told; the middle of rounds, and half of them"
    yield _line("one by one", rounds, _neighbours)
    for percent in _PERCENTILES:
        bare = statistics.median(_percentile(each, percent) for pairs in rounds for pair in pairs[2:] for each in pair)
        yield _line(f"p{percent} of {bare:.3f} ms", rounds, partial(_percentiles, percent))
    with_it, without = (statistics.median(bench.mesh[each]) for each in (True, False))
    yield f"  processor time of the mesh: {with_it - without:.0f} µs for each request that it is told of"


def _line(name: str, rounds: Sequence[list[Pair]], ratio: Callable[[Pair], float]) -> str:
    cost = _spread([_difference(ratio(each[0]), ratio(each[1])) for each in rounds])
    noise = _spread([_difference(ratio(each[2]), ratio(each[3])) for each in rounds])
    return f"  {name}: {cost} with the ledger; {noise} without"


def _difference(one: float, other: float) -> float:
    """In percent, of the ratios of two chains the one and the other way round."""
    return (math.sqrt(one / other) - 1) * 100


def _neighbours(pair: Pair) -> float:
    return statistics.median(one / other for one, other in zip(*pair, strict=True))


def _percentiles(percent: int, pair: Pair) -> float:
    return _percentile(pair[0], percent) / _percentile(pair[1], percent)


def _percentile(latencies: Sequence[float], percent: int) -> float:
    return sorted(latencies)[len(latencies) * percent // 100]


def _spread(values: Sequence[float]) -> str:
    first, middle, third = statistics.quantiles(values, n=4)
    return f"{middle:+.1f} % ({first:+.1f} to {third:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=10)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--header", default=_MARKS, help="what marks the lane; others than the default cost a filter")
    given = parser.parse_args()
    for line in report(asyncio.run(measure(given.rounds, given.count, given.header))):
        print(line)


if __name__ == "__main__":
    main()
