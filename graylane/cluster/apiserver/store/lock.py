"""One process per data directory, said in one line when there are two.

Shell. In: the directory. Out: a held lock that the kernel releases however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from graylane.errors import UserError


class DirectoryLock:
    """Held from construction to `release`; a second holder gets a `UserError` naming the first one's process id."""

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UserError(f"cannot use the data directory {directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise UserError(
                f"the data directory {directory} is in use by process {owner}; stop it or choose another --data"
            ) from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same, only without a name
            os.ftruncate(self._file, 0)
            os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        os.close(self._file)
