"""What we started, on disk, so that a restart finds and ends whatever survived us.

Shell. In: process groups we start and end. Out: one small file each; `sweep` kills groups whose file was left behind.
A pid alone proves nothing after a reboot or a wrap-around, so a record also holds when its process started.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from graylane.cluster.processes import sessions

_END_WITHIN = 2.0  # seconds that a killed process may take


@dataclass(frozen=True, slots=True)
class Record:
    """A process group: its leader's pid, the leader's start as the system tells it, and whose it is (a pod's uid)."""

    group: int
    started: str
    owner: str


class Records:
    """A directory of records."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, group: int, owner: str) -> None:
        """Remember a group that was just started."""
        record = Record(group, started(group) or "", owner)
        temporary = self._directory / f"{group}.new"
        temporary.write_text(json.dumps(asdict(record)))
        temporary.rename(self._directory / f"{group}.json")

    def remove(self, group: int) -> None:
        (self._directory / f"{group}.json").unlink(missing_ok=True)

    def sweep(self, spared: Collection[int] = ()) -> list[Record]:
        """Kill and forget every recorded group that still is what it was, but the `spared`; returns the killed ones."""
        left = {record.group: record for record in self._read() if record.group not in spared}
        members = list(_members(set(left)))
        for pid, _ in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await_end([pid for pid, _ in members])
        kept = {f"{group}.json" for group in spared}
        for path in [each for pattern in ("*.json", "*.new") for each in self._directory.glob(pattern)]:
            if path.name not in kept:
                path.unlink(missing_ok=True)
        killed = {group for _, group in members}
        return [record for group, record in left.items() if group in killed]

    def _read(self) -> Iterator[Record]:
        for path in self._directory.glob("*.json"):
            with contextlib.suppress(ValueError, TypeError, OSError):
                record = Record(**json.loads(path.read_text()))
                if _same(record):
                    yield record


def started(pid: int) -> str | None:
    """When `pid` started, as text that is equal only for the same process; None when there is no such process."""
    if sys.platform == "linux":
        fields = sessions.stat(pid)
        return f"{_boot()} {fields[19]}" if fields else None
    asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None


def _same(record: Record) -> bool:
    """Whether the group may still be ours: its leader is the one we started, or has gone and left its group behind."""
    now = started(record.group)
    if now is not None:
        return now == record.started
    return sys.platform == "linux" and record.started.startswith(_boot())


def _members(groups: set[int]) -> Iterator[tuple[int, int]]:
    """(pid, group) of every process that a group's leader brought about; where there is no /proc, the leaders alone."""
    if sys.platform == "linux":
        yield from sessions.members(groups)
    else:
        yield from ((group, group) for group in groups)


def await_end(pids: Iterable[int]) -> None:
    """Of killed processes. Addresses and ports are free only then, and whoever comes next wants the same ones."""
    deadline = time.monotonic() + _END_WITHIN
    for pid in pids if hasattr(os, "pidfd_open") else ():
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
            try:
                _wait_readable(descriptor, deadline - time.monotonic())
            finally:
                os.close(descriptor)


def _wait_readable(descriptor: int, seconds: float) -> None:
    waiting = select.poll()  # `select` itself knows no descriptors above 1023
    waiting.register(descriptor, select.POLLIN)
    waiting.poll(max(seconds, 0) * 1000)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
