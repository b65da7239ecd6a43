"""How each hop is doing, in a word or two: what is asked for beside what was seen.

Pure. In: a row of the chain with what was seen of it. Out: a state. The table `STATES` is read from the top; its first
row that applies names the state. Slower and failing canaries are information, no gate: nothing waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graylane.chain.problems import Confirmation
from graylane.chain.sightings import Performance, SightedHop

ENOUGH = 100
"""Requests to either version before they are compared: of fewer, the 99th percentile is the slowest one alone."""
SLOWER = 1.5
"""Times base's 99th percentile: two buckets of `latency.py`, each up to 15 % too high, differ by 1.32 without cause."""
SLOWER_SECONDS = 0.002
"""And at least this much: of answers within a millisecond or two, a scheduler's turn is a multiple."""
FAILS_MORE = 0.01
"""More of its answers are errors than of base's: one in a hundred is what `ENOUGH` can show."""

OK = "ok"


@dataclass(frozen=True, slots=True)
class Place:
    """A row, and what is around it: whether any hop of the chain has a canary, and whether seen may be compared."""

    row: SightedHop
    released: bool
    settled: bool

    @property
    def fails(self) -> bool:
        return any(served.problem for served in (self.row.hop.plain, *self.row.hop.served))

    @property
    def exposes(self) -> bool:
        return self.settled and self.row.exposed > 0

    @property
    def strays(self) -> bool:
        return self.settled and self.row.strays > 0

    @property
    def unconfirmed(self) -> bool:
        return not self.row.hop.direct and self.row.hop.routes is Confirmation.ASKED

    @property
    def starts(self) -> bool:
        return self.row.hop.canary.ready < self.row.hop.canary.wanted

    @property
    def lacks_base(self) -> bool:
        return self.row.hop.base.ready < self.row.hop.base.wanted

    @property
    def falls_back(self) -> bool:
        return self.released and not self.row.hop.canary.wanted

    @property
    def is_spread(self) -> bool:
        """Of one answered by base alone, or by the canary alone, it does not matter that no rule asks for it."""
        plain = self.row.hop.plain
        return not plain.rule and plain.base > 0 and plain.canary > 0


STATES: tuple[tuple[Callable[[Place], bool], str], ...] = (
    (lambda p: p.fails, "errors"),
    (lambda p: p.exposes, "plain on canary"),
    (lambda p: p.strays, "dyed on base"),
    (lambda p: p.starts, "canary not ready"),
    (lambda p: p.lacks_base, "base not ready"),
    (lambda p: p.unconfirmed, "routes asked"),
    (lambda p: p.is_spread, "spread"),
    (lambda p: fails_more(p.row.base, p.row.canary), "fails more"),
    (lambda p: slower(p.row.base, p.row.canary), "slower than base"),
    (lambda p: p.falls_back, "fallback"),
    (lambda _: True, OK),
)

MEANINGS = {
    "errors": "some requests get an error by the rules as stored",
    "plain on canary": "a canary answered requests without the dye, and no rule asks for that",
    "dyed on base": "base answered dyed requests though the rules send all of them to the canary",
    "canary not ready": "fewer canary pods are ready than are wanted",
    "base not ready": "fewer base pods are ready than are wanted",
    "routes asked": "not every proxy has the rules yet",
    "spread": "no rule tells base from canary, so each gets requests of both kinds, by its number of pods",
    "fails more": f"the canary fails {FAILS_MORE:.0%} of requests more than base or above, of {ENOUGH} or more",
    "slower than base": f"the canary's p99 is {SLOWER:g} times base's or more, of {ENOUGH} requests or more",
    "fallback": "there is no canary here, so dyed requests are answered by base",
    OK: "as asked",
}


def state_of(place: Place) -> str:
    return next(state for applies, state in STATES if applies(place))


def comparable(base: Performance, canary: Performance) -> bool:
    return min(base.count, canary.count) >= ENOUGH


def slower(base: Performance, canary: Performance) -> bool:
    if not comparable(base, canary) or base.p99 is None or canary.p99 is None:
        return False
    return canary.p99 >= base.p99 * SLOWER and canary.p99 - base.p99 >= SLOWER_SECONDS


def fails_more(base: Performance, canary: Performance) -> bool:
    return comparable(base, canary) and canary.failed_share - base.failed_share >= FAILS_MORE
