"""One screen of the live view: the chain or a page of text, a note, the keys.

Pure. In: a `Picture` and what is open, now, the terminal's size. Out: exactly as many lines as fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from graylane.chain.picture import Picture
from graylane.chain.states import MEANINGS
from graylane.chain.waits import troubles_of
from graylane.chain.workloads import Role, is_ready
from graylane.cli.layout import table, wrap
from graylane.cli.live.keys import Page, Ui, footer
from graylane.cli.status_text import lines
from graylane.model.meta import Obj, dig, name_of

_WORDS = (
    ("lane", "the header that dyes a request: with it, it is answered by the canary wherever there is one"),
    ("base, canary", "pods that are ready, of those that are wanted"),
    ("plain, dyed", "who answers such requests by the rules as stored, and the share of those seen that was so"),
    ("leaks", "dyed requests that base answered although there is a canary, and calls that lost the dye"),
    ("routes live", "proxies that have acknowledged everything they were sent"),
    ("p99, err", "of base and canary: the 99th percentile, and the share of errors; ▲ marks a clear difference"),
)


def screen(found: Picture, ui: Ui, opened: Sequence[str], now: datetime, width: int, height: int) -> list[str]:
    body = _body(found, ui, opened, now, width)
    foot = [*wrap(ui.note, "  ", width), *wrap(footer(ui), "  ", width)]
    room = max(1, height - len(foot) - 1)
    start = min(ui.offset, max(0, len(body) - room))
    shown = body[start : start + room]
    if start + room < len(body):
        shown[-1] = f"… {len(body) - start - room + 1} lines more"
    return [line[:width] for line in [*shown, *[""] * (room - len(shown)), "", *foot]][:height]


def _body(found: Picture, ui: Ui, opened: Sequence[str], now: datetime, width: int) -> list[str]:
    if ui.page is Page.CHAIN:
        return lines(found, now, width)
    if ui.page is Page.PODS:
        return pods(found, width)
    if ui.page is Page.EXPLAIN:
        return explained(found, width)
    return [line for text in opened for line in (wrap(text, "  ", width) if len(text) > width else [text])]


def explained(found: Picture, width: int) -> list[str]:
    """Why each release waits, in whole sentences, then the words of the screen."""
    told = [
        line
        for release in found.view.releases
        for line in wrap(f"{release.name}: " + (release.waits_for or release.outcome or "rests"), "  ", width)
    ]
    words = [*_WORDS, *MEANINGS.items()]
    return [*told, "", *(line for word, text in words for line in wrap(f"{word}: {text}", "  ", width))]


def pods(found: Picture, width: int) -> list[str]:
    """Behind each hop: which pods there are, and why one of them is not ready."""
    rows = [("hop", "role", "pod", "address", "")]
    for row in (row for way in found.ways for row in way.rows):
        hop = row.sighted.hop
        for role, group in ((Role.BASE, hop.base), (Role.CANARY, hop.canary)):
            rows += [(hop.service, role.value, *_pod(pod)) for pod in group.pods]
    return table(rows, width) if len(rows) > 1 else ["no pods"]


def _pod(pod: Obj) -> tuple[str, str, str]:
    ready = "ready" if is_ready(pod) else "; ".join(troubles_of(pod)) or "not ready"
    return name_of(pod), str(dig(pod, "status", "podIP", default="-")), ready
