"""Everything one look at the chain shows: what is asked for, beside what proxies have and what they saw.

Pure. In: a `ChainView`, the ledger's view and istiod's word of its proxies, where there are any, and now. Out:
`Picture`, and its document, the contract of `graylane status -o json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.chain.document import document as view_document
from graylane.chain.problems import Confirmation
from graylane.chain.seen import NO_LEDGER, LedgerView
from graylane.chain.sightings import NOTHING_SEEN, SightedHop, Sightings, sightings
from graylane.chain.sightings import document as sightings_document
from graylane.chain.states import Place, state_of
from graylane.chain.view import ChainView, EntryView

WINDOW_SECONDS = 60
_SLICE_SECONDS = 5  # the ledger answers in whole slices of time, the first of which may have begun this much earlier
_TYPES = ("cluster", "listener", "route", "endpoint")


@dataclass(frozen=True, slots=True)
class Proxies:
    """`live`: how many have acknowledged all that they were sent."""

    live: int
    total: int


@dataclass(frozen=True, slots=True)
class Row:
    """One hop as it is shown."""

    sighted: SightedHop
    state: str


@dataclass(frozen=True, slots=True)
class Way:
    """One entry and its hops. Rates are per second; `leaks` of `dyed` went where they were not to go."""

    entry: EntryView
    rows: tuple[Row, ...]
    plain_rate: float
    dyed_rate: float
    dyed: int
    leaks: int
    routes: Confirmation | None


@dataclass(frozen=True, slots=True)
class Picture:
    """Not `kept`: the mesh was told to keep no ledger."""

    view: ChainView
    seen: Sightings
    proxies: Proxies | None
    ways: tuple[Way, ...]
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """How far back to look; `settled`: nothing has moved in that time, so what was seen may be judged."""

    seconds: float
    settled: bool


def window(view: ChainView, now: datetime) -> Window:
    """The last minute, or what has passed since a shown release last moved: before, other routes were asked for."""
    changed = max((release.changed for release in view.releases if release.changed), default=None)
    if changed is None:
        return Window(WINDOW_SECONDS, settled=True)
    quiet = (now - changed).total_seconds() - _SLICE_SECONDS - 1  # times in a status are whole seconds
    return Window(float(int(max(_SLICE_SECONDS, min(WINDOW_SECONDS, quiet)))), settled=quiet >= _SLICE_SECONDS)


def picture(
    view: ChainView, ledger: LedgerView | None, proxies: Proxies | None, *, settled: bool = True, kept: bool = True
) -> Picture:
    seen = sightings(view, ledger or NOTHING_SEEN, settled=settled)
    return Picture(view, seen, proxies, tuple(_ways(view, seen)), kept)


def proxies_of(syncz: Iterable[Mapping[str, Any]]) -> Proxies:
    """From istiod's `/debug/syncz`, ours or Istio's."""
    each = list(syncz)
    live = sum(all(entry.get(f"{type}_sent") == entry.get(f"{type}_acked") for type in _TYPES) for entry in each)
    return Proxies(live, len(each))


def _ways(view: ChainView, seen: Sightings) -> Iterator[Way]:
    released = any(hop.canary.wanted for entry in view.entries for hop in entry.hops)
    for entry, hops in seen.entries:
        first = [row for row in hops if not row.hop.depth]
        services = {row.hop.service for row in hops}
        lost = sum(each.lost for each in seen.lost if each.service.partition(".")[0] in services)
        routes = [row.hop.routes for row in hops if not row.hop.direct]
        yield Way(
            entry,
            tuple(Row(row, state_of(Place(row, released, seen.settled))) for row in hops),
            _rate(sum(row.plain.total for row in first), seen.seconds),
            _rate(sum(each.total for row in first for each in row.dyed), seen.seconds),
            dyed=sum(each.total for row in hops for each in row.dyed) + lost,
            leaks=sum(row.strays for row in hops) + lost,
            routes=_weakest(routes),
        )


def _weakest(routes: list[Confirmation]) -> Confirmation | None:
    order = (Confirmation.ASKED, Confirmation.CANNOT_TELL, Confirmation.CONFIRMED)
    return next((value for value in order if value in routes), None)


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds else 0.0


def document(found: Picture) -> dict[str, Any]:
    told = view_document(found.view)
    for entry, way in zip(told["entries"], found.ways, strict=True):
        entry["hops"] = [{**hop, "state": row.state} for hop, row in zip(entry["hops"], way.rows, strict=True)]
        if found.seen.seconds:
            entry |= {
                "requestsPerSecond": {"plain": round(way.plain_rate, 3), "dyed": round(way.dyed_rate, 3)},
                "leaks": {"count": way.leaks, "dyed": way.dyed} if found.seen.settled else None,
            }
    proxies = found.proxies and {"live": found.proxies.live, "total": found.proxies.total}
    observed = sightings_document(found.seen) if found.seen.seconds else None
    return {**told, "proxies": proxies, "observed": observed if found.kept else NO_LEDGER}
