"""The live view from its first paint to its end.

Shell. In: a `Chain` that watches keep. Out: a screen drawn after each change, each key and each second; the last look
stays on the terminal when it ends. Approvals and aborts are bound to the revision and step that were on the screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from graylane.chain.picture import Picture
from graylane.chain.releases import Release
from graylane.cli.exits import line_of
from graylane.cli.following import Chain, width
from graylane.cli.goals import check_endings, check_standing
from graylane.cli.live.keys import Action, Do, Open, Page, Quit, Ui, Verb, pressed
from graylane.cli.live.page import screen
from graylane.cli.live.terminal import Terminal
from graylane.cli.output import coloured, emit, highlight
from graylane.cli.release_verbs import Wish, grant
from graylane.cli.releasing import abort, approve
from graylane.cli.sighting import look
from graylane.cli.status_text import lines
from graylane.errors import GraylaneError

_TICK_SECONDS = 1.0  # waits grow older
_VERBS = {Verb.APPROVE: approve, Verb.ABORT: abort}


async def watch(chain: Chain) -> None:
    """Raises what `--until` ends with; a user who quits gets what befell the releases so far."""
    session = Session(chain)
    try:
        with session.terminal.mine():
            await session.run()
    finally:
        if session.found is not None:
            emit(lines(session.found, datetime.now(UTC), width()))
    if session.quit:
        session.check()


class Session:
    def __init__(self, chain: Chain) -> None:
        self.terminal = Terminal(chain.news.set)
        self.found: Picture | None = None
        self.quit = False
        self._chain = chain
        self._ui = Ui()
        self._opened: Sequence[str] = ()
        self._work: set[asyncio.Task[None]] = set()
        self._released: set[str] = set()

    async def run(self) -> None:
        keys = asyncio.create_task(self._listen())
        try:
            while not self.quit:
                view, now = self._chain.view(), datetime.now(UTC)
                self._released |= {release.name for release in view.releases if release.phase == "Progressing"}
                self.found = await look(self._chain.client, view, now)
                self._draw()
                if self._chain.reached(view):
                    return
                await self._chain.changed(_TICK_SECONDS)
        finally:
            for task in (keys, *self._work):
                task.cancel()
            await asyncio.gather(keys, *self._work, return_exceptions=True)

    def check(self) -> None:
        """Raises what befell the releases that we saw going on: what was before is not ours to judge."""
        if self.found is not None:
            check_standing(self.found.view)
            shown = [release for release in self.found.view.releases if release.name in self._released]
            check_endings(replace(self.found.view, releases=tuple(shown)))

    async def _listen(self) -> None:
        while not self.quit:
            key = await self.terminal.keys.get()
            if not key:
                return
            if self.found is None:
                continue
            self._ui, action = pressed(self._ui, key, self.found.view)
            self._act(action, self.found)
            self._draw()

    def _act(self, action: Action, found: Picture) -> None:
        match action:
            case Quit():
                self.quit = True
                self._chain.news.set()
            case Do(verb, releases):
                self._start(lambda: self._grant(verb, releases))
            case Open(Page.DIFF):
                from graylane.cli.live.step_diff import step_diff  # as below: imported when wanted, not before a paint

                self._opened = step_diff(self._chain.objects, self._chain.namespace, found.view.releases)
            case Open(Page.TRACE):
                self._opened = ["sending one dyed request …"]
                self._start(lambda: self._trace(found))

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        async def told() -> None:
            try:
                await work()
            except GraylaneError as error:
                self._ui = Ui(self._ui.page, note=line_of(error))
            self._draw()

        task = asyncio.create_task(told())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _grant(self, verb: Verb, releases: tuple[Release, ...]) -> None:
        said: list[str] = []
        for release in releases:
            step = release.step.partition("/")[0]
            wish = Wish(_VERBS[verb], (release.name,), release.revision, int(step) if step.isdigit() else 0)
            try:
                said += await grant(self._chain.client, self._chain.namespace, wish)
            except GraylaneError as error:
                said.append(line_of(error))
        self._ui = Ui(note="; ".join(text.removeprefix("rollout.rollouts.kruise.io/") for text in said))

    async def _trace(self, found: Picture) -> None:
        from graylane.cli.live.tracing import traced

        self._opened = await traced(self._chain.client, found, self.terminal.size.columns)

    def _draw(self) -> None:
        if self.found is None or self.quit:
            return
        columns, rows = self.terminal.size
        shown = screen(self.found, self._ui, self._opened, datetime.now(UTC), columns, rows)
        on = coloured(sys.stdout)
        with contextlib.suppress(OSError):  # the terminal may be gone; SIGHUP tells us so
            self.terminal.draw([highlight(line, on=on) for line in shown])
