"""Who was seen to serve each hop, beside who is asked to, as lines of at most 80 columns.

Pure. In: `Sightings`. Out: lines; none where nothing was seen.
"""

from __future__ import annotations

import textwrap

from graylane.chain.seen import Carried
from graylane.chain.sightings import Sighted, SightedHop, Sightings
from graylane.chain.view import ChainView, EntryView, Served
from graylane.cli.status_text import WIDTH, table

_LOST = "! {sentence} ({lost} of {total} requests)"


def seen_lines(view: ChainView, found: Sightings) -> list[str]:
    if found.nothing:
        return []
    told = [line for entry, rows in found.entries for line in _entry(view, found, entry, rows)]
    return told + [line for each in found.lost for line in _lost(each)]


def _entry(view: ChainView, found: Sightings, entry: EntryView, rows: tuple[SightedHop, ...]) -> list[str]:
    if not any(each.total for row in rows for each in (row.plain, *row.dyed)):
        return []
    dyed = ["dyed"] if len(view.dyes) == 1 else [f"dye {number}" for number in range(1, len(view.dyes) + 1)]
    pairs = [head for name in ("plain", *dyed) for head in (f"{name}: asked", "seen")]
    head = [f"seen, {found.seconds:g} s", *pairs, "failed"]
    return table([head, *(_cells(row) for row in rows)])


def _cells(row: SightedHop) -> list[str]:
    hop = row.hop
    indent = "  " * (hop.depth - 1) + "└ " if hop.depth else ""
    pairs = [_pair(hop.plain, row.plain), *map(_pair, hop.served, row.dyed)]
    return [indent + hop.service, *(cell for pair in pairs for cell in pair), str(row.failed)]


def _pair(asked: Served, sighted: Sighted) -> tuple[str, str]:
    served = sorted(sighted.served.items(), key=lambda entry: -entry[1])
    return str(asked), ", ".join(f"{role} {count}" for role, count in served) or "-"


def _lost(each: Carried) -> list[str]:
    text = _LOST.format(sentence=each, lost=each.lost, total=each.lost + each.kept)
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
