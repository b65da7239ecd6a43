"""The chain as a story for logs: what it looked like, then only what changed, each on a line of its own.

Pure. In: `Picture`s. Out: one line for each thing worth telling, by a name that stays; how long something has waited
and how much was seen changes all the time and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from graylane.chain.picture import Picture, Row
from graylane.cli.status_text import release_lines
from graylane.model.meta import format_time

_ANY = 100_000  # columns: a line of a log is not wrapped


def told(found: Picture) -> dict[str, str]:
    said = {f"release {release.name}": release_lines(release, None, _ANY)[0] for release in found.view.releases}
    for way in found.ways:
        for row in way.rows:
            said[f"{way.entry.gateway} {way.entry.host} {row.sighted.hop.service}"] = _hop(found, row)
    for problem in found.view.problems:
        said[str(problem)] = f"! {problem}"
    for each in found.seen.lost:
        said[str(each)] = f"! {each}"
    return said


def changes(before: Mapping[str, str], after: Mapping[str, str], now: datetime) -> list[str]:
    at = format_time(now).partition("T")[2]
    new = [text for name, text in after.items() if before.get(name) != text]
    gone = [text for name, text in before.items() if name not in after]
    return [f"{at}  {text}" for text in new] + [f"{at}  over: {text.removeprefix('! ')}" for text in gone]


def _hop(found: Picture, row: Row) -> str:
    hop = row.sighted.hop
    kinds = ["dyed"] if len(hop.served) == 1 else [f"dye {number}" for number in range(1, len(hop.served) + 1)]
    served = [f"{kind} by {who}" for kind, who in zip(["plain", *kinds], (hop.plain, *hop.served), strict=True)]
    pods = [f"base {hop.base}", f"canary {hop.canary}"]
    return "  ".join([f"hop {hop.service}", hop.version, *pods, *served, row.state])
