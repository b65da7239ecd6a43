"""Reads the chain once, or follows it, and prints what it became.

Shell. In: `Screen` and a scope. Out: text or documents on stdout. On a terminal the screen is drawn anew in place, with
keys (`live/`); in a pipe the first look is printed whole and then only what changed, so that a CI log reads as a story.
Documents follow each other: JSON one to a line.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from graylane.chain.observed import KINDS, observed
from graylane.chain.picture import Picture, document
from graylane.chain.view import ChainView, chain_view
from graylane.cli.connect import connect
from graylane.cli.exits import Exit, GaveUp, ReleaseEnded
from graylane.cli.goals import Goal, missing
from graylane.cli.layout import WIDTH
from graylane.cli.naming import no_rollout
from graylane.cli.options import Format, Scope
from graylane.cli.output import dump, dump_line, emit
from graylane.cli.reading import read
from graylane.cli.releasing import parse_name
from graylane.cli.sighting import look
from graylane.cli.status_text import lines
from graylane.cli.story_text import changes, told
from graylane.client import ApiClient
from graylane.kit.cache import View
from graylane.kit.loop import Manager
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import format_time, name_of

_SETTLE_SECONDS = 0.05  # one cause changes several objects; look once
_AGAIN_SECONDS = 5.0  # what proxies see changes without any object


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


@dataclass(slots=True)
class Chain:
    """The chain as watches keep it, until these have caught up as one reading found it: who looks need not wait.

    `news` is set by every change of it; `first` is what was there at the beginning.
    """

    manager: Manager
    namespace: str
    screen: Screen
    reading: View
    caught_up: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    first: ChainView | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _deadline: float = 0.0

    @property
    def client(self) -> ApiClient:
        return self.manager.client

    def begin(self) -> None:
        """Raises `NotFound` for a name that does not exist."""
        require_rollouts(self.screen, self.reading, self.namespace)
        self.first = self.view()
        self._deadline = asyncio.get_running_loop().time() + self.screen.timeout

    @property
    def objects(self) -> View:
        return self.manager.view() if self.caught_up else self.reading

    def view(self) -> ChainView:
        self.news.clear()
        return chain_view(self.objects, self.namespace, self.screen.names)

    async def _catch_up(self) -> None:
        await self.manager.synced()
        self.caught_up = True
        self.news.set()

    def reached(self, view: ChainView) -> bool:
        """Raises what ends the wait otherwise."""
        gone = sorted(self.screen.names - {release.name for release in view.releases})
        if gone:
            raise ReleaseEnded(f"rollout {', '.join(gone)} was deleted", Exit.RELEASE_DROPPED)
        if self.screen.until is None:
            return False
        if self.screen.until.reached(view, self.first):
            return True
        if asyncio.get_running_loop().time() > self._deadline:
            raise GaveUp(f"waited {self.screen.timeout:g} s: {missing(view)}")
        return False

    async def changed(self, seconds: float) -> None:
        """Returns after a change, or when the time is over. The watches begin now: what was read is shown by now."""
        if not self.tasks:
            self.tasks = [asyncio.create_task(self.manager.run()), asyncio.create_task(self._catch_up())]
        try:
            async with asyncio.timeout(min(seconds, self._left())):
                await self.news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_SETTLE_SECONDS)

    def _left(self) -> float:
        if self.screen.until is None:
            return float("inf")
        return max(0.0, self._deadline - asyncio.get_running_loop().time()) + _SETTLE_SECONDS


async def show(screen: Screen, scope: Scope) -> None:
    """One reading. A Rollout that is named and does not exist is an error."""
    async with connect(scope) as (client, namespace):
        view = observed(await read(client, KINDS, namespace))
        require_rollouts(screen, view, namespace)
        now = datetime.now(UTC)
        found = await look(client, chain_view(view, namespace, screen.names), now)
    if screen.format is Format.TEXT:
        emit(lines(found, now, width()))
    else:
        print(dump(_document(found, now), screen.format), flush=True)


async def follow(screen: Screen, scope: Scope) -> None:
    async with following(screen, scope) as chain:
        if screen.format is not Format.TEXT:
            await _stream(chain)
        elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            from graylane.cli.live.session import watch

            await watch(chain)
        else:
            await _tell(chain)


@asynccontextmanager
async def following(screen: Screen, scope: Scope) -> AsyncIterator[Chain]:
    async with connect(scope) as (client, namespace):
        # Caches ask again for ever: what a first reading is refused for is told instead.
        reading = observed(await read(client, KINDS, namespace))
        manager = Manager(client, namespace=namespace)
        chain = Chain(manager, namespace, screen, reading)
        for kind in KINDS:
            manager.on_change(kind, lambda _: chain.news.set())
        chain.begin()
        try:
            yield chain
        finally:
            for task in chain.tasks:
                task.cancel()
            await asyncio.gather(*chain.tasks, return_exceptions=True)


async def _tell(chain: Chain) -> None:
    """The first look whole, then a line for each thing that changed."""
    known: dict[str, str] | None = None
    while True:
        view, now = chain.view(), datetime.now(UTC)
        found = await look(chain.client, view, now)
        said = told(found)
        if known is None:
            emit(lines(found, now, width()))
        else:
            emit_each(changes(known, said, now))
        known = said
        if chain.reached(view):
            return
        await chain.changed(_AGAIN_SECONDS)


def emit_each(found: list[str]) -> None:
    if found:
        emit(found)


async def _stream(chain: Chain) -> None:
    form = chain.screen.format
    known: dict[str, str] | None = None
    while True:
        view, now = chain.view(), datetime.now(UTC)
        found = await look(chain.client, view, now)
        said = told(found)
        if said != known:
            text = _document(found, now)
            print(dump_line(text) if form is Format.JSON else f"---\n{dump(text, form)}", flush=True)
        known = said
        if chain.reached(view):
            return
        await chain.changed(_AGAIN_SECONDS)


def _document(found: Picture, now: datetime) -> dict[str, object]:
    return {"at": format_time(now), **document(found)}


def require_rollouts(screen: Screen, view: View, namespace: str) -> None:
    for name in sorted(screen.names):
        if view.get(ROLLOUT, namespace, name) is None:
            raise no_rollout(name, namespace, map(name_of, view.list(ROLLOUT, namespace)))


def width() -> int:
    """The terminal's, or $COLUMNS; in a pipe that says nothing, what every screen has."""
    return shutil.get_terminal_size((WIDTH, 24)).columns
