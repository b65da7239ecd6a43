"""One process group: started, signalled, and its end noticed at once.

Shell. In: `Launch`. Out: `Child`, whose `exited` future holds an `Exit` as soon as the leader ends. No polling and no
SIGCHLD: a pidfd becomes readable at the leader's end (elsewhere a thread waits for it).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PIECE = 65536
_LOOK_EVERY = 0.02

Output = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute; `argv[0]` is looked up on the PATH of `env`."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


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
        self._popen = subprocess.Popen(
            launch.argv,
            env=dict(launch.env),
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a group of its own: one signal reaches it all, and Ctrl-C reaches none of it
        )
        self.pid = self._popen.pid
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()  # the whole group, not only its leader
        self._stopping = False
        self._on_output = on_output
        self._open: dict[int, str] = {}
        self._follow("stdout", self._popen.stdout)
        self._follow("stderr", self._popen.stderr)
        self._watch()

    async def stop(self, grace_seconds: float) -> Exit:
        """SIGTERM to the whole group, SIGKILL to what is left of it after `grace_seconds`; safe to call again.

        The group, because `sh -c "a; b"` does not hand signals on. Members that outlive the leader keep the rest of the
        grace period: the leader may be just that shell.
        """
        self._stopping = True
        deadline = self._loop.time() + grace_seconds
        if grace_seconds > 0:
            self._signal(signal.SIGTERM)
            await asyncio.wait([self.exited], timeout=grace_seconds)
            while self._alive() and self._loop.time() < deadline:  # noqa: ASYNC110 - a group's end sends no event
                await asyncio.sleep(_LOOK_EVERY)
        self._signal(signal.SIGKILL)
        exit = await asyncio.shield(self.exited)
        self._group_is_gone()
        return exit

    def kill(self) -> None:
        """SIGKILL to the whole group, now."""
        self._signal(signal.SIGKILL)

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
            self._signal(signal.SIGKILL)
        returncode = self._popen.wait()
        for fd in list(self._open):
            self._read(fd, until_dry=True)
        if not self.exited.done():
            self.exited.set_result(Exit.of(returncode))
        if not self._stopping:  # else members that outlive their leader may still have something to say
            self._group_is_gone()

    def _group_is_gone(self) -> None:
        for fd in list(self._open):
            self._read(fd, until_dry=True)
            self._close(fd)
        if not self.gone.done():
            self.gone.set_result(None)

    def _follow(self, stream: str, pipe: object) -> None:
        assert pipe is not None
        fd = os.dup(pipe.fileno())  # type: ignore[attr-defined]
        pipe.close()  # type: ignore[attr-defined]
        os.set_blocking(fd, False)
        self._open[fd] = stream
        self._loop.add_reader(fd, self._read, fd)

    def _read(self, fd: int, until_dry: bool = False) -> None:
        while fd in self._open:
            try:
                data = os.read(fd, _PIECE)
            except BlockingIOError:
                return
            if data:
                self._on_output(self._open[fd], data)
            else:
                self._close(fd)
            if not until_dry:
                return

    def _close(self, fd: int) -> None:
        if self._open.pop(fd, None) is not None:
            self._loop.remove_reader(fd)
            os.close(fd)
