"""What is remembered of requests: the latest one by one, the last minutes as counts.

Pure. In: requests as they are noted, the time. Out: `LedgerView`, and hops with their parents. Memory is bounded twice:
by how many are kept and by how old they may grow; what is counted under no name of its own is told as `uncounted`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice

from graylane.chain.latency import Took, bucket_of, together
from graylane.chain.seen import Count, LedgerView, Linked
from graylane.mesh.ledger.carried import carried
from graylane.mesh.ledger.entry import Kind, Note
from graylane.mesh.ledger.links import below, linked

_SLICE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """`hops` are kept one by one, for `seconds`; counts for as long, of `kinds` in each slice of time.

    `linked` of them are looked at for who passes headers on, since that is asked for again and again.
    """

    hops: int = 10_000
    linked: int = 2_000
    seconds: float = 600.0
    kinds: int = 2_000


@dataclass(slots=True)
class _Slice:
    """The counts of `_SLICE_SECONDS`."""

    number: int
    counts: dict[Count, dict[int, int]] = field(default_factory=dict)  # of what happened, as a `Count` of nothing
    uncounted: int = 0


class Ledger:
    """`taken` grows with each hop, and numbers it."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.taken = 0
        self._limits = limits
        self._notes: deque[Note] = deque(maxlen=limits.hops)
        self._slices: deque[_Slice] = deque()

    def take(self, notes: Iterable[Note], now: float) -> None:
        tallies: dict[Kind, dict[int, int]] = {}
        for note in notes:
            self.taken = note.number = self.taken + 1
            self._notes.append(note)
            tally, bucket = tallies.setdefault(note.kind, {}), bucket_of(note.ended - note.at)
            tally[bucket] = tally.get(bucket, 0) + 1
        for kind, tally in tallies.items():
            self._count(kind.count, tally, now)
        self._forget(now)

    def _count(self, key: Count, tally: Took, now: float) -> None:
        number = int(now // _SLICE_SECONDS)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        latest = self._slices[-1]
        known = latest.counts.get(key)
        if known is None and len(latest.counts) >= self._limits.kinds:
            latest.uncounted += sum(tally.values())
        else:
            latest.counts[key] = together((known or {}, tally))

    def _forget(self, now: float) -> None:
        oldest = now - self._limits.seconds
        while self._notes and self._notes[0].ended < oldest:
            self._notes.popleft()
        while self._slices and (self._slices[0].number + 1) * _SLICE_SECONDS < oldest:
            self._slices.popleft()

    def view(self, seconds: float, lanes: frozenset[str], now: float) -> LedgerView:
        """The last `seconds`, in whole slices of time."""
        self._forget(now)
        first = int((now - seconds) // _SLICE_SECONDS)
        total: defaultdict[Count, list[Took]] = defaultdict(list)
        shown = [each for each in self._slices if each.number >= first]
        for each in shown:
            for kind, took in each.counts.items():
                total[kind].append(took)
        counts = sorted((_counted(kind, together(took)) for kind, took in total.items()), key=_order)
        latest = islice(reversed(self._notes), self._limits.linked)
        recent = [note.hop for note in latest if note.ended >= now - seconds]
        uncounted = sum(each.uncounted for each in shown)
        requests = sum(each.count for each in counts) + uncounted
        return LedgerView(seconds, requests, uncounted, tuple(counts), carried(linked(recent), lanes))

    def requests(self, wanted: Callable[[Note], bool], now: float) -> list[Linked]:
        """Those that are wanted, with all that may have been sent on their behalf."""
        self._forget(now)
        roots = [note.hop for note in self._notes if wanted(note)]
        if not roots:
            return []
        start, end = min(hop.at for hop in roots), max(hop.ended for hop in roots)
        meanwhile = [note.hop for note in self._notes if note.at <= end and note.ended >= start]
        return below(list(linked(meanwhile)), [hop.number for hop in roots])


def _counted(kind: Count, took: Took) -> Count:
    return replace(kind, count=sum(took.values()), took=took)


def _order(each: Count) -> tuple[object, ...]:
    return (not each.gateway, each.caller, each.host, each.port, each.headers, each.pod, each.code)


def of_client(addresses: Iterable[str]) -> Callable[[Note], bool]:
    wanted = frozenset(addresses)
    return lambda note: note.gateway and note.client in wanted
