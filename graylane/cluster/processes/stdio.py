"""What connects us to a process: pipes, or a terminal of its own.

Shell. In: what its `Launch` wants. Out: `Ends` to start it with, an `Outlet` that reads what it writes, an `Inlet` to
its stdin. Both are told apart by the process's end only: `close` is safe at any time, and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass

Output = Callable[[str, bytes], None]

_PIECE = 65536
_END_OF_INPUT = b"\x04"  # what a terminal's user types for it


@dataclass(frozen=True, slots=True)
class Ends:
    """File descriptors: the child's stdin, stdout and stderr; those we read, by stream; the one we write, or None."""

    theirs: tuple[int, int, int]
    reading: dict[int, str]
    writing: int | None
    terminal: bool

    @classmethod
    def open(cls, *, stdin: bool, terminal: bool) -> Ends:
        if terminal:
            ours, slave = os.openpty()
            return cls((slave, slave, slave), {ours: "stdout"}, os.dup(ours), terminal=True)
        source, feeding = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
        (out, stdout), (err, stderr) = os.pipe(), os.pipe()
        return cls((source, stdout, stderr), {out: "stdout", err: "stderr"}, feeding, terminal=False)

    def handed_over(self) -> None:
        """The child has its ends: close our copies, or its output would never end."""
        for fd in set(self.theirs):
            os.close(fd)

    def abandon(self) -> None:
        """There is no child after all."""
        self.handed_over()
        for fd in (*self.reading, *([] if self.writing is None else [self.writing])):
            os.close(fd)


class Outlet:
    """Hands on what a process writes as it comes, unless told to `hold`: then the process waits in its write."""

    def __init__(self, ends: Ends, on_output: Output) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._open = dict(ends.reading)
        for fd in self._open:
            os.set_blocking(fd, False)
        self.hold(False)

    def hold(self, on: bool) -> None:
        for fd in self._open:
            if on:
                self._loop.remove_reader(fd)
            else:
                self._loop.add_reader(fd, self._read, fd)

    def drain(self) -> None:
        """Read all there is, held or not."""
        for fd in list(self._open):
            self._read(fd, until_dry=True)

    def close(self) -> None:
        for fd in list(self._open):
            self._close(fd)

    def _read(self, fd: int, until_dry: bool = False) -> None:
        while fd in self._open:
            try:
                data = os.read(fd, _PIECE)
            except BlockingIOError:
                return
            except OSError:  # EIO: nobody has the terminal open any more
                data = b""
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


class Inlet:
    """A process's stdin, or the keyboard of its terminal. What a process that ended does not read is dropped."""

    def __init__(self, fd: int | None, *, terminal: bool, closed: Callable[[], None] | None = None) -> None:
        """`closed` is told of its end, for whoever has it open as well."""
        self._loop = asyncio.get_running_loop()
        self._terminal = terminal
        self._fd = fd
        self._closed = closed
        self._turn = asyncio.Lock()
        self._room: asyncio.Future[None] | None = None
        if self._fd is not None:
            os.set_blocking(self._fd, False)

    @property
    def open(self) -> bool:
        return self._fd is not None

    async def feed(self, data: bytes) -> None:
        """Returns once the system has taken all of it, which lasts as long as the process does not read."""
        async with self._turn:
            while data and self._fd is not None:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    await self._wait(self._fd)
                except OSError:  # EPIPE, EIO: there is nobody to read it
                    self.close()

    async def end(self) -> None:
        """No more input will come. A terminal stays: it carries the output as well."""
        if self._terminal:
            await self.feed(_END_OF_INPUT)
            return
        async with self._turn:
            self.close()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size; its foreground processes get SIGWINCH."""
        if self._terminal and self._fd is not None:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        if self._fd is None:
            return
        self._ready(self._fd)
        os.close(self._fd)
        self._fd = None
        if self._closed is not None:
            self._closed()

    async def _wait(self, fd: int) -> None:
        self._room = self._loop.create_future()
        self._loop.add_writer(fd, self._ready, fd)
        try:
            await self._room
        finally:
            if self._fd is not None:
                self._loop.remove_writer(fd)

    def _ready(self, fd: int) -> None:
        self._loop.remove_writer(fd)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
