"""The named pipe on which Envoy tells of requests: nothing on disk, and nothing to be waited for.

Shell. In: a path, one of a directory that is ours alone. Out: lines, a handful at a time, as Envoy flushes them. While
nobody reads, Envoy's writes fail and it goes on; while we are slow, it keeps what it could not write.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

from graylane.errors import UserError

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 18
_CAPACITY = 1 << 20  # what a pipe may hold without asking the superuser
_LONGEST_LINE = 1 << 16
_INSTEAD = "keep the data elsewhere, or go without: graylane up --ledger=off"

Take = Callable[[list[str]], None]
"""Takes some lines, in the order in which requests ended."""


class Pipe:
    """`start` before Envoy is told of `path`: it would wait for a reader, and nothing else would go on meanwhile."""

    def __init__(self, path: Path, take: Take) -> None:
        self._path = path
        self._take = take
        self._descriptor = -1
        self._rest = b""

    def start(self) -> None:
        """Raises `UserError` where there can be no pipe."""
        try:
            self._open()
        except OSError as error:
            raise UserError(f"{self._path}, on which Envoy tells of requests: {error.strerror}; {_INSTEAD}") from None
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _open(self) -> None:
        """An Envoy that is there already has the pipe open, and goes on with it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.is_fifo():
            self._path.unlink(missing_ok=True)
            os.mkfifo(self._path, 0o600)
        # Open for writing too, else every moment without an Envoy would be the end of the file.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._widen()

    def _widen(self) -> None:
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # a limit of this user's; the usual size will do
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _CAPACITY)

    def stop(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        """What is half a line waits for its other half."""
        try:
            told, _, self._rest = (self._rest + os.read(self._descriptor, _CHUNK)).rpartition(b"\n")
        except BlockingIOError:
            return
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        if not told:
            return
        try:
            self._take(told.decode(errors="replace").split("\n"))
        except Exception:
            # What we cannot read must not keep us from what comes after it.
            _LOG.exception("some requests were not taken into the ledger")
