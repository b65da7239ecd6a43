"""One process group that the holder has: started, its output written down, stopped, its end known.

Shell. In: what a client asked for, the time. Out: a child process, lines in its log, an exit code. Of the holder's own
process: no event loop, no threads, the standard library alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from graylane.cluster.processes import sessions
from graylane.cluster.processes.logfiles import LogWriter
from graylane.cluster.processes.wire import Message

_PIECE = 65536


class Held:
    """`heard(stream, data)` gets what it writes, after the log has it."""

    def __init__(self, wanted: Message, prepare: Callable[[], None], heard: Callable[[str, bytes], None]) -> None:
        """Start it. Raises OSError when there is nothing to execute, or the directory is missing."""
        self.id: str = wanted["id"]
        self.notes: Message = wanted["notes"]
        self.terminal: bool = wanted["terminal"]
        self._flushes: bool = wanted["flush"]
        self.exit: int | None = None
        self.ended_at = 0.0
        self.stop_by: float | None = None
        self.gone = self.forgotten = self.listened = False
        self._heard = heard
        theirs, self.outputs, self.feeding = _ends(wanted["stdin"], self.terminal)
        try:
            self._log = LogWriter(Path(wanted["log"]))
            self._write("stderr", wanted["preface"].encode())
            self._popen = _started(wanted, theirs, prepare)
        except BaseException:
            self._close_all()
            raise
        finally:
            for descriptor in set(theirs):
                os.close(descriptor)
        self.pid = self._popen.pid

    @property
    def ended(self) -> bool:
        """Whether its leader has, and waits to be buried."""
        if self.exit is not None:
            return False
        if not hasattr(os, "waitid"):
            return self._popen.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def lingers(self) -> bool:
        """The leader has ended while it was being stopped, and others of its group may finish."""
        return self.exit is not None and not self.gone

    def describe(self) -> Message:
        known = {"id": self.id, "pid": self.pid, "notes": self.notes, "exit": self.exit, "at": self.ended_at}
        state = {"gone": self.gone, "stopping": self.stop_by is not None, "terminal": self.terminal}
        return {**known, **state, "input": self.feeding is not None}

    # -- its output

    def read(self, descriptor: int) -> bool | None:
        """Once; None where there is nothing now, False where there will be nothing more."""
        try:
            data = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return None
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        if data:
            self._write(self.outputs[descriptor], data)
            self._heard(self.outputs[descriptor], data)
        return bool(data)

    def drain(self) -> None:
        """Read all there is, but not for as long as somebody writes who has left the group."""
        for descriptor in self.outputs:
            for _ in range(_pieces(descriptor)):
                if not self.read(descriptor):
                    break

    def end_input(self) -> None:
        if self.feeding is not None and not self.terminal:
            os.close(self.feeding)
            self.feeding = None

    # -- its end

    def signal(self, number: int) -> None:
        if not self.gone:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to the whole group, now; to all jobs of a shell that had a terminal."""
        self.signal(signal.SIGKILL)
        if self.terminal and not self.gone:
            sessions.kill(self.pid)

    def stop(self, seconds: float, number: int) -> None:
        """`number` to the whole group, SIGKILL to what is left of it later; asked again, the earlier time holds."""
        by = time.monotonic() + seconds
        self.stop_by = by if self.stop_by is None else min(self.stop_by, by)
        self.signal(number if seconds > 0 else signal.SIGKILL)

    def bury(self) -> None:
        """Its leader has ended. As the end of a container's PID 1 does, that ends the group, but one that is stopping.

        The leader is not reaped yet when its group is killed, so the group's number is no other's.
        """
        if self.stop_by is None:
            self.kill()
        self.exit = self._popen.wait()
        self.ended_at = time.time()
        self.drain()
        if self._flushes:
            with contextlib.suppress(OSError):
                self._log.flush()
        if self.stop_by is None:
            self._leave()

    @property
    def overdue(self) -> bool:
        return self.stop_by is not None and time.monotonic() >= self.stop_by

    @property
    def left(self) -> bool:
        """Whether anybody of its group is still there."""
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group that holds only zombies
            return False
        return True

    def leave(self) -> None:
        """What of its group has outlived the leader until now goes."""
        self.kill()
        self._leave()

    def _leave(self) -> None:
        self.drain()
        self.gone = True
        self._close_all()

    def _write(self, stream: str, data: bytes) -> None:
        """A disk that is full costs lines, not the process."""
        with contextlib.suppress(OSError):
            self._log.write(stream, data)

    def _close_all(self) -> None:
        for descriptor in self.outputs:
            os.close(descriptor)
        self.outputs = {}
        if self.feeding is not None:
            os.close(self.feeding)
            self.feeding = None
        with contextlib.suppress(OSError, AttributeError):
            self._log.close()


def _ends(stdin: bool, terminal: bool) -> tuple[tuple[int, int, int], dict[int, str], int | None]:
    """The child's stdin, stdout and stderr; those we read, by stream; the one to write to."""
    if terminal:
        ours, slave = os.openpty()
        os.set_blocking(ours, False)
        return (slave, slave, slave), {ours: "stdout"}, os.dup(ours)
    source, feeding = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
    (out, stdout), (err, stderr) = os.pipe(), os.pipe()
    for descriptor in (out, err):
        os.set_blocking(descriptor, False)
    return (source, stdout, stderr), {out: "stdout", err: "stderr"}, feeding


def _pieces(descriptor: int) -> int:
    """How often it is read until nothing is left of what was in it before; a terminal gives 4 KiB at once."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) // _PIECE + 1
    except (AttributeError, OSError):  # AttributeError: not on macOS
        return 32


def _started(wanted: Message, theirs: tuple[int, int, int], prepare: Callable[[], None]) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr = theirs
    return subprocess.Popen(
        wanted["argv"],
        env=wanted["env"],
        cwd=wanted["cwd"],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        preexec_fn=prepare,  # there is one thread here
        start_new_session=True,  # a group of its own: one signal reaches it all, and Ctrl-C reaches none of it
    )
