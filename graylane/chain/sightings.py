"""Who was seen to serve each hop of the chain, beside who is asked to.

Pure. In: a `ChainView`, the ledger's `LedgerView`. Out: `Sightings`: for each row of the view how many requests of each
kind were answered by whom, and who loses a header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graylane.chain.hosts import full_name
from graylane.chain.requests import Dye, DyeHeader
from graylane.chain.seen import Carried, Count, LedgerView
from graylane.chain.view import ChainView, EntryView, HopView
from graylane.chain.workloads import Group, Role
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
class SightedHop:
    """`dyed` holds one entry for each dye of the view, in its order."""

    hop: HopView
    plain: Sighted
    dyed: tuple[Sighted, ...]

    @property
    def failed(self) -> int:
        return self.plain.failed + sum(each.failed for each in self.dyed)


@dataclass(frozen=True, slots=True)
class Sightings:
    """`entries` are those of the view, with its rows; `lost` are the headers that did not arrive where they should."""

    seconds: float
    entries: tuple[tuple[EntryView, tuple[SightedHop, ...]], ...]
    lost: tuple[Carried, ...]

    @property
    def nothing(self) -> bool:
        rows = [row for _, hops in self.entries for row in hops]
        return not any(each.total for row in rows for each in (row.plain, *row.dyed))


def sightings(view: ChainView, ledger: LedgerView) -> Sightings:
    entries = tuple((entry, tuple(_rows(view, entry, ledger.counts))) for entry in view.entries)
    services = {full_name(hop.service, view.namespace) for entry in view.entries for hop in entry.hops}
    lost = tuple(each for each in ledger.carried if each.lost and each.service in services and _marks(view, each))
    return Sightings(ledger.seconds, entries, lost)


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
        yield SightedHop(hop, sighted[0], tuple(sighted[1:]))


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
            return any(re.fullmatch(header.value, value) for value in values)
        except re.error:  # RE2 knows spellings that Python does not
            return False
    return header.value in values


def _sighted(hop: HopView, counts: list[Count]) -> Sighted:
    served: Counter[str] = Counter()
    for each in counts:
        if not each.failed:
            served[_role(hop, each.pod.partition("/")[2])] += each.count
    return Sighted(dict(served), sum(each.count for each in counts if each.failed))


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
        "entries": [
            {
                "gateway": entry.gateway or None,
                "host": entry.host or None,
                "hops": [
                    {"service": row.hop.service, "plain": _json(row.plain), "dyed": [_json(each) for each in row.dyed]}
                    for row in rows
                ],
            }
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


def _json(sighted: Sighted) -> dict[str, object]:
    return {"served": dict(sighted.served), "failed": sighted.failed}
