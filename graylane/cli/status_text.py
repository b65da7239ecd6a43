"""The chain view as lines of at most 80 columns, readable without colour and in a pipe.

Pure. In: a `ChainView` and now. Out: lines; colour is added later by `output.py`, from the words themselves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from graylane.chain.problems import Confirmation
from graylane.chain.releases import Release
from graylane.chain.view import ChainView, EntryView, HopView

WIDTH = 80
_EMPTY = """\
No Rollout in namespace {namespace}, and no Service with pods behind it.
Start with a manifest: `kubectl apply -f …`, or see the whole scenario with
`graylane demo`. Another namespace: -n NAME."""
_NO_RELEASE = "No Rollout in namespace {namespace}: create one to release a Deployment behind a lane."
_LEGEND = "Who serves is predicted from the rules as stored; {}."
_MEANINGS = {
    Confirmation.CONFIRMED: "`confirmed` means that every proxy has taken them",
    Confirmation.ASKED: "`asked`, that a proxy has not yet",
    Confirmation.CANNOT_TELL: "`cannot tell`, that the mesh does not report on them",
}


def lines(view: ChainView, now: datetime) -> list[str]:
    """The whole view; empty parts are left out, an empty namespace says what to do first."""
    if not view.entries and not view.releases:
        return _EMPTY.format(namespace=view.namespace).splitlines()
    parts = [_lanes(view), *(_entry(view, entry) for entry in view.entries), _releases(view, now), _problems(view)]
    return _join([*parts, _legend(view)])


def _legend(view: ChainView) -> list[str]:
    """Explains the words that occur."""
    found = {hop.routes for entry in view.entries for hop in entry.hops if not hop.direct}
    meanings = [text for value, text in _MEANINGS.items() if value in found]
    return wrap(_LEGEND.format("; ".join(meanings)), "") if meanings else []


def _join(parts: Iterable[list[str]]) -> list[str]:
    """Parts with one empty line between them."""
    joined: list[str] = []
    for part in filter(None, parts):
        joined += ["", *part] if joined else part
    return joined


def _lanes(view: ChainView) -> list[str]:
    if len(view.dyes) == 1:
        return [f"namespace {view.namespace}   dyed = {view.dyes[0]}"]
    names = [f"dye {number} = {dye}" for number, dye in enumerate(view.dyes, 1)]
    return [f"namespace {view.namespace}", *names]


def _entry(view: ChainView, entry: EntryView) -> list[str]:
    title = f"gateway {entry.gateway}, host {entry.host}" if entry.gateway else "inside the mesh"
    dyed = ["dyed"] if len(view.dyes) == 1 else [f"dye {number}" for number in range(1, len(view.dyes) + 1)]
    heads = ["hop", "version", "base", "canary", "plain", *dyed, "routes"]
    return [title, *table([heads, *(_cells(hop) for hop in entry.hops)]), *_faults(view, entry)]


def _cells(hop: HopView) -> list[str]:
    indent = "  " * (hop.depth - 1) + "└ " if hop.depth else ""
    routes = "no rules" if hop.direct else hop.routes.value
    return [
        indent + hop.service,
        hop.version,
        str(hop.base),
        str(hop.canary),
        str(hop.plain),
        *map(str, hop.served),
        routes,
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their content; when that is more than the screen, the widest gives way."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    return ["  ".join(_fit(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _faults(view: ChainView, entry: EntryView) -> list[str]:
    """Requests that would get an error, each with its reason."""
    kinds = ["plain", *(str(dye) for dye in view.dyes)]
    return [
        line
        for hop in entry.hops
        for kind, served in zip(kinds, (hop.plain, *hop.served), strict=True)
        if served.problem
        for line in wrap(f"! {hop.service}, {kind} requests: {served.problem}", "  ")
    ]


def _releases(view: ChainView, now: datetime) -> list[str]:
    if not view.releases:
        return [_NO_RELEASE.format(namespace=view.namespace)]
    return [line for release in view.releases for line in _release(release, now)]


def _release(release: Release, now: datetime) -> list[str]:
    head = f"{release.name}  {release.phase}"
    if not release.waits_for:
        return wrap(f"{head}  {release.outcome}".rstrip(), "  ")
    age = f"  for {duration(now - release.since)}" if release.since else ""
    found = [f"{head}  step {release.step}  {release.state}{age}"]
    found += wrap(f"  waits for {release.waits_for}", "    ")
    return found + ([f"  next: {'   '.join(release.next)}"] if release.next else [])


def _problems(view: ChainView) -> list[str]:
    found = [line for problem in view.problems for line in wrap(f"  {problem}", "    ")]
    return ["problems", *found] if found else []


def wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


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
