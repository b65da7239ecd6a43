"""Who was seen to serve each hop of the chain, beside who is asked to.

Pure. In: a `ChainView`, the ledger's `LedgerView`. Out: `Sightings`: for each row of the view how many requests of each
kind were answered by whom, and who loses a header.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graylane.chain.hosts import full_name
from graylane.chain.latency import percentile, together
from graylane.chain.requests import Dye, DyeHeader
from graylane.chain.seen import Carried, Count, LedgerView
from graylane.chain.view import ChainView, EntryView, HopView
from graylane.chain.workloads import Group, Role
from graylane.errors import UserError
from graylane.model import re2
from graylane.model.meta import name_of

GONE = "gone"
"""A pod that is none of the hop's any more."""


@dataclass(frozen=True, slots=True)
class Sighted:
    """One kind of request at one hop: who answered how many, and how many failed."""

    served: Mapping[str, int]
    failed: int

    @property
    def total(self) -> int:
        return sum(self.served.values()) + self.failed


@dataclass(frozen=True, slots=True)
class Performance:
    """Of one version's answers at one hop: how many, how many of them errors, and the 99th percentile in seconds."""

    count: int = 0
    failed: int = 0
    p99: float | None = None

    @property
    def failed_share(self) -> float:
        return self.failed / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class SightedHop:
    """`dyed` holds one entry for each dye of the view, in its order. `base` and `canary` are of all kinds together."""

    hop: HopView
    plain: Sighted
    dyed: tuple[Sighted, ...]
    base: Performance = Performance()
    canary: Performance = Performance()

    @property
    def failed(self) -> int:
        return self.plain.failed + sum(each.failed for each in self.dyed)

    @property
    def total(self) -> int:
        return self.plain.total + sum(each.total for each in self.dyed)

    @property
    def strays(self) -> int:
        """Dyed requests that base answered where all of them were to reach the canary."""
        asked = zip(self.hop.served, self.dyed, strict=True)
        return sum(seen.served.get(Role.BASE, 0) for served, seen in asked if served.canary == 100)

    @property
    def exposed(self) -> int:
        """Plain requests that a canary answered where none was to."""
        return self.plain.served.get(Role.CANARY, 0) if not self.hop.plain.canary else 0


@dataclass(frozen=True, slots=True)
class Sightings:
    """`entries` are those of the view, with its rows; `lost` are the headers that did not arrive where they should.

    `settled`: routes were the same in all that time, so that asked and seen may be compared.
    """

    seconds: float
    entries: tuple[tuple[EntryView, tuple[SightedHop, ...]], ...]
    lost: tuple[Carried, ...]
    settled: bool = True

    @property
    def nothing(self) -> bool:
        return not any(row.total for _, hops in self.entries for row in hops)


NOTHING_SEEN = LedgerView(0, 0, 0, (), ())
"""Where the mesh keeps no ledger."""


def sightings(view: ChainView, ledger: LedgerView, *, settled: bool = True) -> Sightings:
    entries = tuple((entry, tuple(_rows(view, entry, ledger.counts))) for entry in view.entries)
    services = {full_name(hop.service, view.namespace) for entry in view.entries for hop in entry.hops}
    lost = tuple(each for each in ledger.carried if each.lost and each.service in services and _marks(view, each))
    return Sightings(ledger.seconds, entries, lost, settled)


def _marks(view: ChainView, carried: Carried) -> bool:
    """Whether the header that was lost would have put the request into a lane."""
    headers = ((carried.header, carried.value),)
    return any(_holds(header, headers) for dye in view.dyes for header in dye.headers)


def _rows(view: ChainView, entry: EntryView, counts: tuple[Count, ...]) -> Iterable[SightedHop]:
    above: list[HopView] = []
    for hop in entry.hops:
        del above[hop.depth :]
        caller = above[-1] if above else None
        above.append(hop)
        host = full_name(hop.service, view.namespace)
        here = [each for each in counts if each.host == host and _called_by(each, caller, entry)]
        kinds = [_kind(view.dyes, each) for each in here]
        sighted = [
            _sighted(hop, [each for each, kind in zip(here, kinds, strict=True) if kind == wanted])
            for wanted in range(-1, len(view.dyes))
        ]
        base, canary = (_performance(hop, here, role) for role in (Role.BASE, Role.CANARY))
        yield SightedHop(hop, sighted[0], tuple(sighted[1:]), base, canary)


def _called_by(count: Count, caller: HopView | None, entry: EntryView) -> bool:
    if caller is None:
        return count.gateway or not entry.gateway
    return count.caller.partition("/")[2] in {*_names(caller.base), *_names(caller.canary)}


def _kind(dyes: tuple[Dye, ...], count: Count) -> int:
    """The first dye that the request had; −1 for a plain one."""
    fitting = (
        number for number, dye in enumerate(dyes) if all(_holds(header, count.headers) for header in dye.headers)
    )
    return next(fitting, -1)


def _holds(header: DyeHeader, headers: Iterable[tuple[str, str]]) -> bool:
    """Several lines of one header are told of as one."""
    values = [line.strip() for name, value in headers if name == header.name for line in (value, *value.split(","))]
    if header.regex:
        try:
            return any(re2.compile_pattern(header.value).fullmatch(value) for value in values)
        except UserError:
            return False
    return header.value in values


def _sighted(hop: HopView, counts: list[Count]) -> Sighted:
    served: Counter[str] = Counter()
    for each in counts:
        if not each.failed:
            served[_role(hop, each.pod.partition("/")[2])] += each.count
    return Sighted(dict(served), sum(each.count for each in counts if each.failed))


def _performance(hop: HopView, counts: list[Count], role: Role) -> Performance:
    own = [each for each in counts if _role(hop, each.pod.partition("/")[2]) == role]
    failed = sum(each.count for each in own if each.failed)
    return Performance(sum(each.count for each in own), failed, percentile(together(each.took for each in own), 0.99))


def role_in(view: ChainView, service: str, pod: str) -> str:
    """Base, canary or gone: what a pod is to the hop that it answered for; "" of a hop that is not shown."""
    hops = (hop for entry in view.entries for hop in entry.hops if hop.service == service)
    return next((_role(hop, pod) for hop in hops), "")


def _role(hop: HopView, pod: str) -> str:
    if pod in _names(hop.base):
        return Role.BASE.value
    return Role.CANARY.value if pod in _names(hop.canary) else GONE


def _names(group: Group) -> set[str]:
    return {name_of(pod) for pod in group.pods}


def document(found: Sightings) -> dict[str, object]:
    """The part `observed` of `graylane status -o json`."""
    return {
        "seconds": found.seconds,
        "settled": found.settled,
        "entries": [
            {"gateway": entry.gateway or None, "host": entry.host or None, "hops": [_row(row) for row in rows]}
            for entry, rows in found.entries
        ],
        "lost": [
            {
                "service": each.service,
                "called": each.called,
                "header": each.header,
                "value": each.value,
                "lost": each.lost,
                "kept": each.kept,
                "example": each.example or None,
                "message": str(each),
            }
            for each in found.lost
        ],
    }


def _row(row: SightedHop) -> dict[str, object]:
    return {
        "service": row.hop.service,
        "plain": _json(row.plain),
        "dyed": [_json(each) for each in row.dyed],
        "base": _measured(row.base),
        "canary": _measured(row.canary),
    }


def _measured(performance: Performance) -> dict[str, object]:
    p99 = None if performance.p99 is None else round(performance.p99 * 1000, 2)
    return {"requests": performance.count, "failed": performance.failed, "p99Milliseconds": p99}


def _json(sighted: Sighted) -> dict[str, object]:
    return {"served": dict(sighted.served), "failed": sighted.failed}
