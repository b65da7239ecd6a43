"""What chance allows a sample: how often to ask, which counts to accept, so that tests fail for a change, not by luck.

Pure, but for `everyone`, which asks. In: shares. Out: numbers of draws, and counts, that are missed once in `CHANCE`.
One of 10^12 samples, some hundred of them a run: one run in 10^9 fails though all is well.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

T = TypeVar("T")
CHANCE = 1e-12
_LEAST = 10  # so that who should not answer at all has a chance to


def tries(share: float, chance: float = CHANCE) -> int:
    """After so many draws something of this share has shown itself."""
    return math.ceil(math.log(chance) / math.log1p(-share))


def likely(total: int, share: float, chance: float = CHANCE) -> range:
    """How often something of this share is drawn among `total`: all counts but both tails."""
    return range(_tail(total, share, chance / 2), total - _tail(total, 1 - share, chance / 2) + 1)


def _tail(total: int, share: float, chance: float) -> int:
    """How many of the lowest counts are, all together, no likelier than this."""
    below = 0.0
    for count in range(total + 1):
        below += _exactly(count, total, share)
        if below > chance:
            return count
    return total


def _exactly(count: int, total: int, share: float) -> float:
    """By logarithms, since the number of ways is too large for a float."""
    if share in (0, 1):
        return float(count == total * share)
    ways = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(ways + count * math.log(share) + (total - count) * math.log1p(-share))


async def everyone(ask: Callable[[], Awaitable[T]], wanted: Collection[T], share: float | None = None) -> None:
    """Every one of `wanted` answers, and nobody else; the rarest has at least `share`, by default half an equal one."""
    rarest = share or 0.5 / len(wanted)
    seen: set[T] = set()
    for number in range(tries(rarest, CHANCE / len(wanted))):
        seen.add(answer := await ask())
        assert answer in wanted, f"{answer!r} answered"
        if number + 1 >= _LEAST and len(seen) == len(wanted):
            return
    raise AssertionError(f"only {seen} of {set(wanted)} answered")
