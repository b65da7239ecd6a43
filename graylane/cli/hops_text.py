"""The rows of the chain's table: one for each hop, in columns that fold away where a screen is narrow.

Pure. In: a `Picture`, one way in, a width. Out: heads and cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graylane.chain.picture import Picture, Row, Way
from graylane.chain.sightings import Performance, Sighted
from graylane.chain.states import fails_more, slower
from graylane.chain.view import Served
from graylane.chain.workloads import Role

FOLDED = 100  # below, there is no room for what each version's answers took
_ROOMY = 132  # from here on, columns have their whole names
MORE = "▲"


@dataclass(frozen=True, slots=True)
class _Column:
    """`short` is for narrow screens; `wide`: shown only from 100 columns on."""

    name: str
    short: str
    cell: Callable[[Row], str]
    wide: bool = False


def columns(found: Picture, way: Way, width: int) -> tuple[list[str], list[list[str]]]:
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
    shown = [column for column in columns if not column.wide or (seen and width >= FOLDED)]
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
