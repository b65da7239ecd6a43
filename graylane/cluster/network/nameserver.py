"""The name server that pods ask: a process of its own, held, so that pods find each other while we are away.

Shell. In: a manager's caches, the address to answer on. Out: the zone in a file, written anew at most every moment, and
`resolver` running on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from graylane.cluster.network import names, resolver
from graylane.cluster.processes.child import Launch
from graylane.cluster.processes.holding import Keeping, Process
from graylane.cluster.processes.table import ProcessTable
from graylane.errors import UserError
from graylane.kit import Manager
from graylane.model.kinds import ENDPOINT_SLICE, SERVICE

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.05  # so that a burst of changes costs one zone
_LOOK_EVERY = 0.01
_AGAIN_AFTER = 1.0
PORT = 53


class NameServer:
    """Answers from `start` to `stop`, and beyond when we are killed."""

    def __init__(self, manager: Manager, data_dir: Path, domain: str = "cluster.local") -> None:
        self._manager = manager
        self._domain = domain
        self._directory = data_dir / "processes" / "names"
        self._file = resolver.ZoneFile(self._directory / "zone.json")
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: ProcessTable | None = None

    async def start(self, address: str, port: int = PORT) -> None:
        """Returns once it listens. Raises `UserError` when it cannot."""
        words = (sys.executable, "-m", resolver.__name__, address, str(port), str(self._directory / "zone.json"))
        self._processes = ProcessTable(self._directory, " ".join(words))
        left, _ = self._processes.open()
        process = next((each for each in left if not each.exited.done()), None) or self._begin(words)
        await self._listens(process, address, port)
        for kind in (SERVICE, ENDPOINT_SLICE):
            self._manager.on_change(kind, lambda _: self._wake.set())
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._follow(process, words))]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._processes is not None:
            self._processes.close()

    def _begin(self, words: tuple[str, ...]) -> Process:
        assert self._processes is not None
        launch = Launch(words, dict(os.environ), self._directory)
        return self._processes.hold(launch, "names", Keeping("names", self._directory / "resolver.log", {}))

    async def _listens(self, process: Process, address: str, port: int) -> None:
        while not process.exited.done():
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return
            await asyncio.sleep(_LOOK_EVERY)
        raise UserError(f"the pods' name server cannot listen on {address}:{port}; see {self._directory}/resolver.log")

    async def _write(self) -> None:
        """What an earlier run has written is served until all is known."""
        await self._manager.synced()
        while True:
            self._wake.clear()
            view = self._manager.view()
            self._file.write(names.zone_of(view.list(SERVICE), view.list(ENDPOINT_SLICE), self._domain))
            await asyncio.sleep(_PAUSE_SECONDS)
            await self._wake.wait()

    async def _follow(self, process: Process, words: tuple[str, ...]) -> None:
        while True:
            await asyncio.shield(process.exited)
            _LOG.warning("the pods' name server ended and is started again: log=%s", self._directory / "resolver.log")
            process.forget()
            await asyncio.sleep(_AGAIN_AFTER)
            process = self._begin(words)
