"""A verification as lines of at most 80 columns.

Pure. In: a `Report`, what was sent. Out: lines.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from graylane.chain.seen import Headers
from graylane.cli.layout import table, wrap
from graylane.mesh.verify.report import Cell, Report, Row

_HEADS = ("hop", "dyed: predicted", "seen", "plain: predicted", "seen", "")
_AGREES = "All that was seen agrees with what was predicted."
_UNOBSERVED = "No rule and no lane looks at {name}: whether services pass it on was not seen."
_LEGEND = "Predicted from the objects as stored when the first request was sent."


@dataclass(frozen=True, slots=True)
class Summary:
    gateway: str
    dye: Headers
    count: int
    unobserved: tuple[str, ...] = ()


def lines(found: Report, summary: Summary) -> list[str]:
    dye = ", ".join(f"{name}: {value}" for name, value in summary.dye)
    head = f"gateway {summary.gateway}   {summary.count} dyed ({dye}), {summary.count} plain"
    shown = table([_HEADS, *(_cells(row) for row in found.rows)])
    troubles = [line for each in found.troubles for line in wrap(f"! {each}", "  ")]
    notes = [*([_AGREES] if found.agrees else []), *(_UNOBSERVED.format(name=name) for name in summary.unobserved)]
    told = [line for text in (*notes, _LEGEND) for line in wrap(text, "")]
    return [*wrap(head, "  "), *shown, *troubles, *told]


def _cells(row: Row) -> tuple[str, ...]:
    depth = len(row.path) - 1
    indent = "  " * (depth - 1) + "└ " if depth else ""
    agrees = row.dyed.agrees and row.plain.agrees
    return (indent + row.path[-1], *_pair(row.dyed), *_pair(row.plain), "ok" if agrees else "!")


def _pair(cell: Cell) -> tuple[str, str]:
    predicted = ", ".join(cell.predicted) or "-"
    return predicted, _counted(cell.seen) or "nothing"


def _counted(seen: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in seen.most_common())
