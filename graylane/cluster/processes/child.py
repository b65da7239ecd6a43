"""One process group: started, signalled, and its end noticed at once.

Shell. In: `Launch`. Out: `Child`, whose `exited` future holds an `Exit` as soon as the leader ends. No polling and no
SIGCHLD: a pidfd becomes readable at the leader's end (elsewhere a thread waits for it). What it reads and writes goes
through `stdio`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graylane.cluster.processes import on_terminal, sessions
from graylane.cluster.processes.stdio import Ends, Inlet, Outlet, Output

_LOOK_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute; `argv[0]` is looked up on the PATH of `env`.

    With `stdin` it can be fed; with `terminal` it has one of its own, and writes all its output there, as stdout.
    `through` is a command that executes the words after it, once it has made of the process what it is to be.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    stdin: bool = False
    terminal: bool = False
    through: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """`code` is as a shell or a container runtime tells it: 128 + `signal` for a killed process."""

    code: int
    signal: int = 0

    @classmethod
    def of(cls, returncode: int) -> Exit:
        return cls(128 - returncode, -returncode) if returncode < 0 else cls(returncode)


class Child:
    """A running process group. `on_output(stream, data)` gets what it writes, `("stdout" | "stderr", bytes)`."""

    def __init__(self, launch: Launch, on_output: Output) -> None:
        """Start it. Raises OSError when there is nothing to execute or the directory is missing."""
        self._loop = asyncio.get_running_loop()
        ends = Ends.open(stdin=launch.stdin, terminal=launch.terminal)
        try:
            self._popen = _started(launch, ends)
        except BaseException:
            ends.abandon()
            raise
        ends.handed_over()
        self.pid = self._popen.pid
        self.inlet = Inlet(ends.writing, terminal=ends.terminal)
        self.outlet = Outlet(ends, on_output)
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()  # the whole group, not only its leader
        self._stopping = False
        self._terminal = launch.terminal
        self._watch()

    async def stop(self, grace_seconds: float, first: signal.Signals = signal.SIGTERM) -> Exit:
        """`first` to the whole group, SIGKILL to what is left of it after `grace_seconds`; safe to call again.

        The group, because `sh -c "a; b"` does not hand signals on. Members that outlive the leader keep the rest of the
        grace period: the leader may be just that shell.
        """
        self._stopping = True
        deadline = self._loop.time() + grace_seconds
        if grace_seconds > 0:
            self._signal(first)
            await asyncio.wait([self.exited], timeout=grace_seconds)
            while self._alive() and self._loop.time() < deadline:  # noqa: ASYNC110 - a group's end sends no event
                await asyncio.sleep(_LOOK_EVERY)
        self.kill()
        exit = await asyncio.shield(self.exited)
        self._group_is_gone()
        return exit

    def kill(self) -> None:
        """SIGKILL to the whole group, now; to all jobs of a shell that had a terminal."""
        if self.gone.done():
            return  # its number may be another's by now
        self._signal(signal.SIGKILL)
        if self._terminal:
            sessions.kill(self.pid)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _alive(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # macOS says so of a group that holds only zombies
            return False
        return True

    def _watch(self) -> None:
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            threading.Thread(target=self._wait_in_thread, daemon=True).start()
            return
        self._loop.add_reader(pidfd, self._ended, pidfd)

    def _wait_in_thread(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop may be closed already
            self._loop.call_soon_threadsafe(self._ended, None)

    def _ended(self, pidfd: int | None) -> None:
        if pidfd is not None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
        if not self._stopping:
            # As the end of a container's PID 1 ends the container. The leader is not reaped yet, so its group is ours.
            self.kill()
        returncode = self._popen.wait()
        self.outlet.drain()
        if not self.exited.done():
            self.exited.set_result(Exit.of(returncode))
        if not self._stopping:  # else members that outlive their leader may still have something to say
            self._group_is_gone()

    def _group_is_gone(self) -> None:
        self.outlet.drain()
        self.outlet.close()
        self.inlet.close()
        if not self.gone.done():
            self.gone.set_result(None)


def _started(launch: Launch, ends: Ends) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr = ends.theirs
    return subprocess.Popen(
        words_of(launch),
        env=dict(launch.env),
        cwd=launch.cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # a group of its own: one signal reaches it all, and Ctrl-C reaches none of it
    )


def words_of(launch: Launch) -> tuple[str, ...]:
    """All that is executed. Raises OSError where only a helper would find out that there is no such program."""
    terminal = (sys.executable, "-I", "-S", on_terminal.__file__) if launch.terminal else ()
    helpers = (*terminal, *launch.through)
    if helpers:
        _look_up(launch)
    return (*helpers, *launch.argv)


def _look_up(launch: Launch) -> None:
    """Here, for a helper could tell only the process's own output that there is no such program."""
    program = launch.argv[0]
    where = str(launch.cwd / program) if "/" in program else program
    if shutil.which(where, path=launch.env.get("PATH", os.defpath)) is None:
        reason = errno.EACCES if "/" in program and Path(where).exists() else errno.ENOENT
        raise OSError(reason, os.strerror(reason), program)
