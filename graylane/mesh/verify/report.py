"""Many judged requests, added up: one row for each hop, and what is wrong in sentences.

Pure. In: `Judged`s. Out: `Report`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from graylane.mesh.verify.judge import Fits, Judged

_LOST = "{caller} receives {header}, its call to {service} lacks it"
_NOT_SEEN = "{caller} is configured to call {service}; no such call was seen"
_AT_GATEWAY = "no proxy told of a request for {service}"
_CANNOT_TELL = "calls of {caller} to {service} could not be told from those for other requests in flight"
_HIDDEN = "what {service} receives of a lane's headers is not known, since {filters} may change it on its way in"


@dataclass(slots=True)
class Cell:
    """One kind of request at one hop: how many fared how."""

    predicted: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    fits: Counter[Fits] = field(default_factory=Counter)

    @property
    def agrees(self) -> bool:
        """What could not be told does not count, unless nothing could."""
        told = self.fits.total() - self.fits[Fits.CANNOT_TELL]
        return self.fits[Fits.AGREES] == told and (told > 0 or not self.fits)


@dataclass(slots=True)
class Row:
    path: tuple[str, ...]
    dyed: Cell = field(default_factory=Cell)
    plain: Cell = field(default_factory=Cell)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence, and of how many requests it is true. `certain` ones make a verification fail."""

    sentence: str
    count: int
    total: int
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.sentence} ({self.count} of {self.total} requests)"


@dataclass(frozen=True, slots=True)
class Report:
    rows: tuple[Row, ...]
    troubles: tuple[Trouble, ...]

    @property
    def agrees(self) -> bool:
        return not any(trouble.certain for trouble in self.troubles) and all(
            cell.agrees for row in self.rows for cell in (row.dyed, row.plain)
        )


def report(judged: Iterable[Judged]) -> Report:
    everything = list(judged)
    rows: dict[tuple[str, ...], Row] = {}
    troubles: Counter[tuple[str, bool]] = Counter()
    totals: Counter[tuple[tuple[str, ...], bool]] = Counter((each.path, each.dyed) for each in everything)
    of: dict[tuple[str, bool], set[tuple[tuple[str, ...], bool]]] = {}
    for each in everything:
        row = rows.setdefault(each.path, Row(each.path))
        cell = row.dyed if each.dyed else row.plain
        cell.fits[each.fits] += 1
        cell.predicted.update([each.predicted] if each.predicted else [])
        cell.seen.update([each.seen] if each.seen else [])
        for told in _troubles(each):
            troubles[told] += 1
            of.setdefault(told, set()).add((each.path, each.dyed))
    return Report(
        tuple(_in_order(rows)),
        tuple(
            Trouble(sentence, count, sum(totals[kind] for kind in of[sentence, certain]), certain)
            for (sentence, certain), count in troubles.items()
        ),
    )


def _in_order(rows: dict[tuple[str, ...], Row], above: tuple[str, ...] = ()) -> Iterable[Row]:
    """As they were called: each hop, then what is called from there."""
    for path, row in rows.items():
        if path[:-1] == above:
            yield row
            yield from _in_order(rows, path)


def _troubles(each: Judged) -> Iterable[tuple[str, bool]]:
    *above, service = each.path
    caller = above[-1] if above else "the gateway"
    for header in each.lost:
        yield _LOST.format(caller=caller, header=header, service=service), True
    if each.hidden:
        yield _HIDDEN.format(service=service, filters=", ".join(each.hidden)), False
    if each.fits is Fits.NOT_SEEN:
        yield (_NOT_SEEN if above else _AT_GATEWAY).format(caller=caller, service=service), True
    elif each.fits is Fits.CANNOT_TELL:
        yield _CANNOT_TELL.format(caller=caller, service=service), False
    elif each.fits is Fits.DIFFERS:
        kind = "dyed" if each.dyed else "plain"
        by = f" by {each.rule}" if each.rule else ""
        yield f"{service}, {kind} requests: {each.why}{by}", True


def document(found: Report) -> dict[str, Any]:
    """The contract of `graylane verify -o json`."""
    return {
        "agrees": found.agrees,
        "hops": [
            {"path": list(row.path), "service": row.path[-1], "dyed": _cell(row.dyed), "plain": _cell(row.plain)}
            for row in found.rows
        ],
        "troubles": [
            {"message": each.sentence, "requests": each.count, "of": each.total, "certain": each.certain}
            for each in found.troubles
        ],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "agrees": cell.agrees,
        "predicted": dict(cell.predicted),
        "seen": dict(cell.seen),
        "fits": {fits.value: count for fits, count in cell.fits.items()},
    }
