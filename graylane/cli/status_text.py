"""The chain on one screen, readable without colour and in a pipe.

Pure. In: a `Picture`, now, a width. Out: lines; colour is added later by `output.py`, from the words themselves. Of
fewer than 100 columns the p99 and error columns fold away, and below that the widest column gives way.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.chain.picture import Picture, Row, Way
from graylane.chain.problems import Confirmation
from graylane.chain.releases import Release
from graylane.chain.sightings import Performance, Sighted
from graylane.chain.states import MEANINGS, OK, fails_more, slower
from graylane.chain.view import ChainView, Served
from graylane.chain.workloads import Role

WIDTH = 80
_FOLDED = 100  # below, there is no room for what each version's answers took
_ROOMY = 132  # from here on, columns have their whole names
MORE = "▲"
_EMPTY = """\
No Rollout in namespace {namespace}, and no Service with pods behind it.
Start with a manifest: `kubectl apply -f …`, or see the whole scenario with
`graylane demo`. Another namespace: -n NAME."""
_OFF = "requests not seen: up --ledger=off"
_NO_RELEASE = "No Rollout in namespace {namespace}: create one to release a Deployment behind a lane."
_LOST = "! {sentence} ({lost} of {total} requests)"
_FAILED = "! {service}: {failed} of {total} requests failed in {seconds:g} s"
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


# -- hops


def _way(found: Picture, way: Way, width: int) -> list[str]:
    heads, rows = _columns(found, way, width)
    return [*_entry(found, way, width), "", *table([heads, *rows], width)]


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


@dataclass(frozen=True, slots=True)
class _Column:
    """`short` is for narrow screens; `wide`: shown only from 100 columns on."""

    name: str
    short: str
    cell: Callable[[Row], str]
    wide: bool = False


def _columns(found: Picture, way: Way, width: int) -> tuple[list[str], list[list[str]]]:
    seen, view = not found.seen.nothing, found.view
    trees = dict(zip(map(id, way.rows), branches([row.sighted.hop.depth for row in way.rows]), strict=True))
    dyed = ["dyed"] if len(view.dyes) == 1 else [f"dye {number}" for number in range(1, len(view.dyes) + 1)]
    columns = [
        _Column("hop", "hop", lambda row: trees[id(row)] + row.sighted.hop.service),
        _Column("version", "version", lambda row: row.sighted.hop.version),
        _Column("base pods", "base", lambda row: str(row.sighted.hop.base)),
        _Column("canary pods", "canary", lambda row: _canary_pods(row)),
        _Column("plain served by", "plain", lambda row: _served(row.sighted.hop.plain, row.sighted.plain, found)),
        *(_dyed(found, number, name) for number, name in enumerate(dyed)),
        _Column("p99 b/c ms", "p99 ms", lambda row: _p99(row), wide=True),
        _Column("err b/c %", "err %", lambda row: _errors(row), wide=True),
        _Column("state", "state", lambda row: row.state),
    ]
    shown = [column for column in columns if not column.wide or (seen and width >= _FOLDED)]
    heads = [column.name if width >= _ROOMY else column.short for column in shown]
    return heads, [[column.cell(row) for column in shown] for row in way.rows]


def _dyed(found: Picture, number: int, name: str) -> _Column:
    def cell(row: Row) -> str:
        return _served(row.sighted.hop.served[number], row.sighted.dyed[number], found)

    return _Column(f"{name} served by", name, cell)


def _canary_pods(row: Row) -> str:
    canary = row.sighted.hop.canary
    return f"{canary} !" if canary.ready < canary.wanted else str(canary)


def _served(asked: Served, seen: Sighted, found: Picture) -> str:
    """Who is asked to answer, and the share of those seen that were answered so: `canary 100%`, `canary 20% 21%`."""
    answered = sum(seen.served.values())
    if not answered or not found.seen.settled or asked.problem:
        return str(asked)
    role = Role.CANARY if asked.canary else Role.BASE
    return f"{asked} {seen.served.get(role, 0) * 100 // answered}%"  # 100 % is all of them


def _p99(row: Row) -> str:
    base, canary = row.sighted.base, row.sighted.canary
    return _pair(base, canary, _milliseconds) + (f" {MORE}" if slower(base, canary) else "")


def _errors(row: Row) -> str:
    base, canary = row.sighted.base, row.sighted.canary
    return _pair(base, canary, lambda each: f"{each.failed_share * 100:.1f}") + (
        f" {MORE}" if fails_more(base, canary) else ""
    )


def _pair(base: Performance, canary: Performance, says: Callable[[Performance], str]) -> str:
    return "/".join(says(each) if each.count else "-" for each in (base, canary))


def _milliseconds(performance: Performance) -> str:
    value = (performance.p99 or 0.0) * 1000
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def branches(depths: Sequence[int]) -> list[str]:
    """`├ `, `│ └ `, …: who calls whom, of hops in the order of a walk that goes deep first."""
    return [
        "".join(
            ("├ " if level == depth else "│ ") if _goes_on(depths, index, level) else ("└ " if level == depth else "  ")
            for level in range(1, depth + 1)
        )
        for index, depth in enumerate(depths)
    ]


def _goes_on(depths: Sequence[int], index: int, level: int) -> bool:
    """Whether another hop of this level follows under the same caller."""
    following = next((depth for depth in depths[index + 1 :] if depth <= level), 0)
    return following == level


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
    told += [_PAIRS] * (not found.seen.nothing and width >= _FOLDED)
    return wrap("; ".join([*told, *(f"{state}: {MEANINGS[state]}" for state in states)]) + ".", "  ", width)


# -- laying out


def table(rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Columns as wide as their content; when that is more than the screen, the widest gives way."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return ["  ".join(_fit(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def packed(parts: Sequence[str], width: int) -> list[str]:
    """Parts beside each other, as many as a line holds; what follows is indented."""
    found: list[str] = []
    for part in parts:
        if found and len(found[-1]) + 2 + len(part) <= width:
            found[-1] += f"  {part}"
        else:
            found += wrap(("  " if found else "") + part, "    " if found else "  ", width)
    return found


def wrap(text: str, indent: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)


def rate(per_second: float) -> str:
    """`0.07`, `4.1`, `41`, `1.2k`."""
    if per_second >= 1000:
        return f"{per_second / 1000:.1f}k"
    if per_second >= 10 or not per_second:
        return f"{per_second:.0f}"
    return f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2f}"


def duration(passed: timedelta) -> str:
    """`42s`, `3m12s`, `2h05m`, `3d4h`; what a reader needs, no more."""
    seconds = max(0, int(passed.total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02}m"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h"
