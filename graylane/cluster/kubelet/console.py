"""The way into one container while it runs: commands beside its process, ears on its output, its stdin.

Shell. In: the container's present process, from its unit. Out: children that live no longer than it, and its output
as it comes. Pods are processes, so "in the container" means: same environment, same working directory, same fate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from graylane.cluster.kubelet.runs import TERMINAL
from graylane.cluster.processes.child import Child, Launch
from graylane.cluster.processes.holding import HolderLost, Process
from graylane.cluster.processes.stdio import Output
from graylane.cluster.processes.table import ProcessTable


class NotRunning(Exception):
    """There is no process to go to."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """A container's present process. `once`: who attaches first and ends the input ends it for good."""

    process: Process
    launch: Launch
    owner: str
    once: bool


class Console:
    """One per container, through all its runs."""

    def __init__(self, processes: ProcessTable) -> None:
        self._processes = processes
        self._occupant: Occupant | None = None
        self._listeners: list[Output] = []
        self._visitors: set[Child] = set()

    # -- for the container's unit

    def heard(self, stream: str, data: bytes) -> None:
        """What the container's process writes goes to whoever listens; the log has it already."""
        for listener in list(self._listeners):
            listener(stream, data)

    def began(self, process: Process, launch: Launch, owner: str, *, once: bool) -> None:
        self._occupant = Occupant(process, launch, owner, once)
        process.output = self.heard

    def ended(self) -> None:
        """The container's process has ended, and so must all that was started beside it."""
        self._occupant = None
        for child in list(self._visitors):
            child.kill()

    @property
    def sessions(self) -> frozenset[int]:
        """Of the container's process and of all that was started beside it; none while it does not run."""
        if self._occupant is None:
            return frozenset()
        return frozenset((self._occupant.process.pid, *(child.pid for child in self._visitors)))

    # -- for visitors

    @property
    def occupant(self) -> Occupant:
        """Raises `NotRunning`."""
        if self._occupant is None:
            raise NotRunning
        return self._occupant

    def execute(self, words: Sequence[str], output: Output, *, stdin: bool, terminal: bool) -> Child:
        """Start a command beside the container's process. Raises `NotRunning`, or OSError as `Child` does."""
        home, owner = self.occupant.launch, self.occupant.owner
        env = {**TERMINAL, **home.env} if terminal else home.env
        launch = replace(home, argv=tuple(words), env=env, stdin=stdin, terminal=terminal)
        child = self._processes.start(launch, owner, output)
        self._visitors.add(child)
        child.gone.add_done_callback(lambda _: self._visitors.discard(child))
        return child

    @contextlib.contextmanager
    def listening(self, listener: Output) -> Iterator[None]:
        """To the present process, from now on. Raises `NotRunning`."""
        process = self.occupant.process
        self._listeners.append(listener)
        _listen(process, True)
        try:
            yield
        finally:
            self._listeners.remove(listener)
            if not self._listeners:
                _listen(process, False)


def _listen(process: Process, on: bool) -> None:
    with contextlib.suppress(HolderLost):  # then it is at its end
        process.listen(on)


def not_executed(words: Sequence[str], error: OSError) -> str:
    """Why a command could not be started, in a container runtime's words."""
    program = words[0] if words else "command"
    missing = isinstance(error, FileNotFoundError) and "/" not in program
    return f'exec: "{program}": {"executable file not found in $PATH" if missing else error.strerror or error}'
