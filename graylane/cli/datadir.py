"""The data directory of an embedded cluster: who runs in it, and where its files are.

Shell. In: a directory. Out: a lock that only a living process holds, and a record of what that process serves. The lock
is a POSIX record lock: it dies with its process, `kill -9` included, and is not inherited by the pods.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from graylane.cli.processes import Process
from graylane.errors import UserError

# Everything that a cluster writes into its directory: what --purge deletes, so that nothing else of the user's goes.
_FOLDERS = ("api", "envoy", "kubelet", "pki", "pods", "processes", "volumes")
_OURS = (*_FOLDERS, "addresses.json", "graylane.log*", "kubeconfig*", ".kubeconfig.*", "lock", "pid", "running.*")
_OWNER_ALONE = 0o700


def default_data() -> Path:
    """`$XDG_STATE_HOME/graylane`, by default `~/.local/state/graylane`."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "graylane"


@dataclass(frozen=True, slots=True)
class Running:
    """What an `up` that is ready serves, and which process it is; `started` guards against a reused pid."""

    pid: int
    started: int
    kubeconfig: str
    gateway: str

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)


@dataclass(frozen=True, slots=True)
class DataDir:
    """One directory, one cluster."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "graylane.log"

    @property
    def _record(self) -> Path:
        return self.path / "running.json"

    @property
    def _lock(self) -> Path:
        """Only ever opened to take it: closing any descriptor of the file would give a POSIX lock back."""
        return self.path / "lock"

    @property
    def _pid(self) -> Path:
        return self.path / "pid"

    def running(self) -> Running | None:
        """The record of a process that is alive and ready; None when there is none."""
        try:
            found = Running(**json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.process.is_alive() else None

    def holder(self) -> Process | None:
        """The living process that claimed the directory, ready or still starting."""
        try:
            pid, started = map(int, self._pid.read_text().split())
        except (OSError, ValueError):
            return None
        process = Process(pid, started)
        return process if process.is_alive() else None

    def announce(self, running: Running) -> None:
        """Write the record at once or not at all, so that a reader never sees half of it."""
        draft = self._record.with_suffix(".new")
        draft.write_text(json.dumps(asdict(running)))
        draft.replace(self._record)

    def withdraw(self) -> None:
        self._record.unlink(missing_ok=True)

    def make(self) -> None:
        """There, and for its owner alone, since Secrets and keys are in it. Raises `UserError`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=_OWNER_ALONE)
            self._shut()
        except OSError as error:
            raise UserError(
                f"data directory {self.path} cannot be used: {error.strerror}; choose another with --data"
            ) from error

    def purge(self) -> list[str]:
        """Delete what a cluster leaves, and the directory if nothing else is in it; returns what else there is.

        Raises `UserError` where there are files, but none that every cluster leaves: `pods` may be anybody's there.
        """
        if any(self.path.iterdir()) and not self._lock.exists() and not self.log.exists():
            raise UserError(f"{self.path} holds no cluster's data, so nothing is deleted; name another with --data")
        for found in self._ours():
            if found.is_dir() and not found.is_symlink():
                shutil.rmtree(found)
            else:
                found.unlink()
        left = sorted(entry.name for entry in self.path.iterdir())
        if not left:
            self.path.rmdir()
        return left

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Be the one process of this directory for the length of the block; raises `UserError` if another is."""
        self.make()
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(descriptor, self)
            self._enter()
            try:
                yield
            finally:
                self._leave()
        finally:
            os.close(descriptor)

    def _enter(self) -> None:
        own = Process.own()
        self.withdraw()
        self._pid.write_text(f"{own.pid} {own.started}")

    def _leave(self) -> None:
        """The record goes before the lock, so that nobody takes us for ready while another starts."""
        self.withdraw()
        self._pid.unlink(missing_ok=True)

    def _ours(self) -> set[Path]:
        return {found for pattern in _OURS for found in self.path.glob(pattern)}

    def _shut(self) -> None:
        """A directory with other things of the user's stays as open as it is (`--data /tmp`): only our folders shut."""
        if self._ours().issuperset(self.path.iterdir()):
            self.path.chmod(_OWNER_ALONE)
            return
        for name in _FOLDERS:
            folder = self.path / name
            folder.mkdir(exist_ok=True, mode=_OWNER_ALONE)
            folder.chmod(_OWNER_ALONE)


def _take(descriptor: int, data: DataDir) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        running = data.running()
        what = f"its kubeconfig is {running.kubeconfig}" if running else "it is still starting"
        raise UserError(
            f"a cluster already runs in {data.path}: {what}; stop it with `graylane down`, or choose another --data"
        ) from error
