"""All processes of one supervisor: those that outlive us, and those that end with us.

Shell. In: `Launch`es with the uid of the pod they belong to. Out: held `Process`es, whose parent is the holder, and
`Child`ren of our own, which the holder kills when we die. Records let the next start sweep what even the holder, killed
itself, could not reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graylane.cluster.processes import holding
from graylane.cluster.processes.child import Child, Exit, Launch
from graylane.cluster.processes.holding import HolderLost, Keeping, Link, Process
from graylane.cluster.processes.records import Record, Records, await_end
from graylane.cluster.processes.stdio import Output

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ran:
    """A short command's result; `exit` is None when it was killed at its timeout."""

    exit: Exit | None
    output: str


class ProcessTable:
    """Use `open()` before the first `start` and `close()` at the end."""

    def __init__(
        self,
        directory: Path,
        setting: str = "",
        last: Sequence[str] = (),
        patience: float = holding.PATIENCE_SECONDS,
        claim: socket.socket | None = None,
    ) -> None:
        """`setting`: what is held under another one is of no use, and ended. `last`: a command to run when all that
        is held was ended because nobody claimed it for `patience` seconds. `claim` stays open for as long as that."""
        self._directory = directory
        self._setting, self._last, self._patience = setting, list(last), patience
        self._claim = claim
        self._records = Records(directory)
        self._children: set[Child] = set()
        self._link: Link | None = None
        self._holder: subprocess.Popen[bytes] | None = None
        self._coming: socket.socket | None = None  # the way to a holder that has been started, and not claimed yet

    def open(self) -> tuple[list[Process], list[Record]]:
        """What an earlier run left: that which goes on or has ended, and that which was out of control and is killed.

        Raises `UserError` where another living process has claimed it.
        """
        link = holding.find(self._directory, self._lost)
        if link is not None and link.found["setting"] != self._setting:
            _LOG.warning("what is held is ended: setting=%s wanted=%s", link.found["setting"], self._setting)
            link.end(last=True)
            link = None
        found: list[Process] = []
        if link is not None:
            try:
                found = [link.take(known) for known in link.found["held"]]
                self._claim = link.kept() or self._claim
            except HolderLost:  # killed at this moment
                found, link = [], None
        swept = self._records.sweep(spared=[process.pid for process in found])
        self._link = link
        if link is None:
            self._coming = self._start_holder()
        for process in found:
            self._remove_record_of(process)
        holding.leave_word(self._directory, self._last)
        return found, swept

    def hold(self, launch: Launch, owner: str, keeping: Keeping, output: Output | None = None) -> Process:
        """A process that outlives us. Raises OSError when it cannot be executed."""
        try:
            process = self._ensure_holder().start(launch, keeping, output)
        except HolderLost:
            self._lost()
            process = self._ensure_holder().start(launch, keeping, output)
        self._records.add(process.pid, owner)
        self._remove_record_of(process)
        return process

    def start(self, launch: Launch, owner: str, on_output: Output) -> Child:
        """One that ends with us. Raises OSError when it cannot be executed."""
        self._ensure_holder()
        child = Child(launch, on_output)
        self._children.add(child)
        self._say("guard", child)
        self._records.add(child.pid, owner)
        child.gone.add_done_callback(lambda _: self._forget(child))
        return child

    async def run(self, launch: Launch, owner: str, timeout_seconds: float) -> Ran:
        """Run a short command (an exec probe or hook) to its end; at most 10 KiB of its output are kept."""
        output = bytearray()
        child = self.start(launch, owner, lambda _, data: output.extend(data[: 10240 - len(output)]))
        done, _ = await asyncio.wait([child.exited], timeout=timeout_seconds)
        if not done:
            child.kill()
            await child.exited
        return Ran(child.exited.result() if done else None, output.decode(errors="replace").strip())

    def close(self) -> None:
        """Kill whatever still runs, and end the holder."""
        for child in list(self._children):
            child.kill()
        if self._coming is not None:
            self._ensure_holder()
        if self._link is not None:
            self._link.end(last=False)
            self._bury(self._link)
            self._link = None
            holding.leave_word(self._directory, ())

    def _remove_record_of(self, process: Process) -> None:
        """Once it has ended."""
        process.gone.add_done_callback(lambda _: self._records.remove(process.pid))

    def _forget(self, child: Child) -> None:
        self._children.discard(child)
        self._say("unguard", child)
        self._records.remove(child.pid)

    def _say(self, what: str, child: Child) -> None:
        if self._link is not None:
            self._link.say({"do": what, "group": child.pid})

    # -- the holder

    def _ensure_holder(self) -> Link:
        """Start it, or start it again should it have been killed: then it learns of our living children anew."""
        self._lost()
        if self._link is None:
            connection, self._coming = self._coming or self._start_holder(), None
            self._link = Link(connection, self._lost)
            self._link.say({"do": "settle", "setting": self._setting, "last": self._last})
            if self._claim is not None:
                self._link.keep(self._claim)
            for child in self._children:
                self._say("guard", child)
        return self._link

    def _start_holder(self) -> socket.socket:
        """It takes a moment, in which we may do something else."""
        self._holder, connection = holding.start(self._directory, self._patience)
        return connection

    def _lost(self) -> None:
        """The holder is gone, or as good as: without a parent that learns of its end nothing of it may go on."""
        link = self._link
        if link is None or link.open:
            return
        self._link = None
        self._bury(link)
        held = list(link.processes.values())
        self._records.sweep(spared=[child.pid for child in self._children])
        for process in held:
            process.has_exited(-signal.SIGKILL, 0.0)
            process.is_gone()

    def _bury(self, link: Link) -> None:
        """It has ended, or is stopped and will not obey."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(link.pid, signal.SIGKILL)
        await_end([link.pid])
        if self._holder is not None:
            self._holder.wait()
            self._holder = None
