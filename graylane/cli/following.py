"""Reads the chain once, or follows it, and prints what it became.

Shell. In: `Screen` and a scope. Out: text or documents on stdout. On a terminal the screen is drawn anew in place; in a
pipe only what changed is printed, so that a CI log reads as a story.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from graylane.chain.document import document
from graylane.chain.observed import KINDS, observed
from graylane.chain.sightings import Sightings
from graylane.chain.sightings import document as sightings_document
from graylane.chain.view import ChainView, chain_view
from graylane.cli.connect import connect
from graylane.cli.exits import GaveUp
from graylane.cli.goals import Goal
from graylane.cli.naming import no_rollout
from graylane.cli.options import Format, Scope
from graylane.cli.output import dump, emit
from graylane.cli.reading import read
from graylane.cli.releasing import parse_name
from graylane.cli.seen_text import seen_lines
from graylane.cli.sighting import seen_by_proxies
from graylane.cli.status_text import lines
from graylane.kit.cache import View
from graylane.kit.loop import Manager, running
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import name_of

_SETTLE_SECONDS = 0.05  # one cause changes several objects; draw once
_CLEAR = "\x1b[H\x1b[J"


@dataclass(frozen=True, slots=True)
class Screen:
    """What to show, how, and until when."""

    rollouts: tuple[str, ...]
    format: Format
    until: Goal | None = None
    timeout: float = 300

    @property
    def names(self) -> frozenset[str]:
        return frozenset(map(parse_name, self.rollouts))


async def show(screen: Screen, scope: Scope) -> None:
    """One reading. A Rollout that is named and does not exist is an error."""
    async with connect(scope) as (client, namespace):
        view = observed(await read(client, KINDS, namespace))
        _require(screen, view, namespace)
        found = chain_view(view, namespace, screen.names)
        _print(screen, found, await seen_by_proxies(client, found))


async def follow(screen: Screen, scope: Scope) -> None:
    async with connect(scope) as (client, namespace):
        # Caches ask again for ever: what a first reading is refused for is told instead.
        await read(client, KINDS, namespace)
        manager = Manager(client, namespace=namespace)
        changed = asyncio.Event()
        for kind in KINDS:
            manager.on_change(kind, lambda _: changed.set())
        async with running(manager):
            _require(screen, manager.view(), namespace)
            await _redraw(screen, manager, namespace, changed)


async def _redraw(screen: Screen, manager: Manager, namespace: str, changed: asyncio.Event) -> None:
    """Draws after each change; on a terminal also each second, because waits grow older."""
    terminal = sys.stdout.isatty() and screen.format is Format.TEXT
    shown: object = None
    deadline = asyncio.get_running_loop().time() + screen.timeout
    while True:
        changed.clear()
        current = chain_view(manager.view(), namespace, screen.names)
        if terminal or _essence(screen, current) != shown:
            seen = await seen_by_proxies(manager.client, current)
            _print(screen, current, seen, clear=terminal, gap=shown is not None)
            shown = _essence(screen, current)
        if screen.until and screen.until.reached(current):
            return
        if screen.until and asyncio.get_running_loop().time() > deadline:
            raise GaveUp(f"waited {screen.timeout:g} s: {_missing(current)}")
        await _wait(changed, 1.0 if terminal or screen.until else None)


def _essence(screen: Screen, view: ChainView) -> object:
    """What a reader would notice: the passing of time alone is no change."""
    return lines(view, datetime.min.replace(tzinfo=UTC)) if screen.format is Format.TEXT else document(view)


async def _wait(changed: asyncio.Event, seconds: float | None) -> None:
    try:
        await asyncio.wait_for(changed.wait(), seconds)
    except TimeoutError:
        return
    await asyncio.sleep(_SETTLE_SECONDS)


def _require(screen: Screen, view: View, namespace: str) -> None:
    for name in screen.names:
        if view.get(ROLLOUT, namespace, name) is None:
            raise no_rollout(name, namespace, map(name_of, view.list(ROLLOUT, namespace)))


def _missing(view: ChainView) -> str:
    waits = [f"{release.name} waits for {release.waits_for or release.phase}" for release in view.releases]
    return "; ".join(waits) or "there is no Rollout"


def _print(screen: Screen, view: ChainView, seen: Sightings | None, *, clear: bool = False, gap: bool = False) -> None:
    if screen.format is not Format.TEXT:
        told = {**document(view), "observed": sightings_document(seen) if seen else None}
        print(("---\n" if gap and screen.format is Format.YAML else "") + dump(told, screen.format), flush=True)
        return
    if clear:
        print(_CLEAR, end="")
    observed = seen_lines(view, seen) if seen else []
    emit([""] * (gap and not clear) + lines(view, datetime.now(UTC)) + ["", *observed] * bool(observed))
