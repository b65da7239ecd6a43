"""The chain on one screen, readable without colour and in a pipe.

Pure. In: a `Picture`, now, a width. Out: lines; colour is added later by `output.py`, from the words themselves. Of
fewer than 100 columns the p99 and error columns fold away, and below that the widest column gives way.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from graylane.chain.picture import Picture, Row, Way
from graylane.chain.problems import Confirmation
from graylane.chain.releases import Release
from graylane.chain.states import MEANINGS, OK
from graylane.chain.view import ChainView
from graylane.cli.hops_text import FOLDED, columns
from graylane.cli.layout import WIDTH, duration, packed, rate, table, wrap

_EMPTY = """\
No Rollout in namespace {namespace}, and no Service with pods behind it.
Start with a manifest: `kubectl apply -f …`, or see the whole scenario with
`graylane demo`. Another namespace: -n NAME."""
_OFF = "requests not seen: up --ledger=off"
_NO_RELEASE = "No Rollout in namespace {namespace}: create one to release a Deployment behind a lane."
_LOST = "! {sentence} ({lost} of {total} requests)"
_FAILED = "! {service}: {failed} of {total} requests failed in {seconds:g} s"
_NO_HOPS = "No rule of this host leads to a Service that is here."
_ASKED = "Served by: as the rules ask"
_SEEN = "Served by: as the rules ask, and the share of requests seen in {seconds:g} s that were"
_PAIRS = "p99 and errors: base/canary"


def lines(found: Picture, now: datetime, width: int = WIDTH) -> list[str]:
    """The whole view; empty parts are left out, an empty namespace says what to do first."""
    view = found.view
    if not view.entries and not view.releases:
        return _EMPTY.format(namespace=view.namespace).splitlines()
    ways = [_way(found, way, width) for way in found.ways] or [[]]
    ways[0] = _head(view, now, width) + ways[0]
    ways[-1] += _warnings(found, width) + _problems(view, width) + _next(view, width)
    return _join([*ways, legend(found, width)])


def _join(parts: Iterable[list[str]]) -> list[str]:
    """Parts with one empty line between them."""
    joined: list[str] = []
    for part in filter(None, parts):
        joined += ["", *part] if joined else part
    return joined


# -- releases


def _head(view: ChainView, now: datetime, width: int) -> list[str]:
    found = [] if view.namespace == "default" else [f"namespace {view.namespace}"]
    if len(view.dyes) > 1:
        found += [f"dye {number} = {dye}" for number, dye in enumerate(view.dyes, 1)]
    if not view.releases:
        return [*found, _NO_RELEASE.format(namespace=view.namespace)]
    return found + [line for release in view.releases for line in release_lines(release, now, width)]


def release_lines(release: Release, now: datetime | None, width: int) -> list[str]:
    """Without `now`, without how long it has waited."""
    parts = [f"release {release.name}", *([f"lane {' or '.join(map(str, release.lane))}"] if release.lane else [])]
    if not release.waits_for:
        return packed([*parts, release.phase, *([release.outcome] if release.outcome else [])], width)
    traffic = "" if release.lane and release.traffic == "header" else release.traffic  # the lane tells as much
    step = " ".join(filter(None, ["step", release.step, traffic])) if release.step != "-" else release.phase
    age = f" {duration(now - release.since)}" if now and release.since else ""
    return packed([*parts, step, f"waiting{age}: {_wait(release)}"], width)


def _wait(release: Release) -> str:
    return "approval" if release.awaits_approval else release.waits_for


def _next(view: ChainView, width: int) -> list[str]:
    """What to type: one command for all releases for which it is the same."""
    names: dict[str, list[str]] = {}
    for release in view.releases:
        for command in release.next:
            verb = command.removesuffix(f" {release.name}")
            names.setdefault(verb, []).extend([release.name] if verb != command else [])
    where = [] if view.namespace == "default" else ["-n", view.namespace]
    commands = [" ".join([verb, *who, *where]) if who else verb for verb, who in names.items()]
    return packed([f"next: {commands[0]}", *commands[1:]], width) if commands else []


# -- ways in


def _way(found: Picture, way: Way, width: int) -> list[str]:
    heads, rows = columns(found, way, width)
    return [*_entry(found, way, width), "", *(table([heads, *rows], width) if rows else [_NO_HOPS])]


def _entry(found: Picture, way: Way, width: int) -> list[str]:
    title = f"entry {way.entry.gateway}, host {way.entry.host}" if way.entry.gateway else "inside the mesh"
    parts = [title]
    if not found.seen.nothing:
        parts += [f"dyed {rate(way.dyed_rate)} r/s"] * bool(found.view.dyes) + [f"plain {rate(way.plain_rate)} r/s"]
        if found.view.dyes and found.seen.settled:
            parts.append(f"leaks {way.leaks:,} of {way.dyed:,} dyed")
    return packed([*parts, *_routes(found, way), *[_OFF] * (not found.kept)], width)


def _routes(found: Picture, way: Way) -> list[str]:
    if way.routes is None:
        return []
    if way.routes is Confirmation.CANNOT_TELL:
        return ["routes: the mesh does not tell who has them"]
    live = f"{found.proxies.live}/{found.proxies.total}" if found.proxies and found.proxies.total else ""
    if way.routes is Confirmation.ASKED:
        return ["routes asked" + (f", {live} proxies up to date" if live else "")]
    return [f"routes live on {live} proxies" if live else "routes live"]


# -- what is amiss


def _warnings(found: Picture, width: int) -> list[str]:
    told = [line for way in found.ways for row in way.rows for line in _faults(found, row, width)]
    for each in found.seen.lost:
        text = _LOST.format(sentence=each, lost=each.lost, total=each.lost + each.kept)
        told += wrap(text, "  ", width)
    return told


def _faults(found: Picture, row: Row, width: int) -> list[str]:
    """Requests that would get an error, each with its reason, and those that did get one."""
    hop, kinds = row.sighted.hop, ["plain", *(str(dye) for dye in found.view.dyes)]
    told = [
        f"! {hop.service}, {kind} requests: {served.problem}"
        for kind, served in zip(kinds, (hop.plain, *hop.served), strict=True)
        if served.problem
    ]
    if row.sighted.failed:
        counts = {"failed": row.sighted.failed, "total": row.sighted.total, "seconds": found.seen.seconds}
        told.append(_FAILED.format(service=hop.service, **counts))
    return [line for text in told for line in wrap(text, "  ", width)]


def _problems(view: ChainView, width: int) -> list[str]:
    return [line for problem in view.problems for line in wrap(f"! {problem}", "  ", width)]


def legend(found: Picture, width: int) -> list[str]:
    """Explains the words that occur."""
    if not found.ways:
        return []
    states = dict.fromkeys(row.state for way in found.ways for row in way.rows if row.state != OK)
    seen = not found.seen.nothing and found.seen.settled
    told = [_SEEN.format(seconds=found.seen.seconds) if seen else _ASKED]
    told += [_PAIRS] * (not found.seen.nothing and width >= FOLDED)
    return wrap("; ".join([*told, *(f"{state}: {MEANINGS[state]}" for state in states)]) + ".", "  ", width)
