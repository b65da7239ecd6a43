"""Processes by number and start time, so that a reused number is never mistaken for the old process.

Shell. In: a pid. Out: `Process`: is it alive, signal it, wait for its end. Linux reads /proc; elsewhere `ps` is asked.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """`started` is opaque and only compared: clock ticks since boot on Linux, seconds elsewhere."""

    pid: int
    started: int

    @staticmethod
    def of(pid: int) -> Process | None:
        started = _start_time(pid)
        return None if started is None else Process(pid, started)

    @staticmethod
    def own() -> Process:
        return Process(os.getpid(), _start_time(os.getpid()) or 0)

    def is_alive(self) -> bool:
        return _start_time(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens when the process is gone already."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, timeout: float) -> bool:
        """Whether the process ended within `timeout` seconds. Woken by the kernel where it can tell us."""
        deadline = time.monotonic() + timeout
        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            return self._poll(deadline)
        try:
            while self.is_alive() and (left := deadline - time.monotonic()) > 0:
                select.select([descriptor], [], [], left)
        finally:
            os.close(descriptor)
        return not self.is_alive()

    def _poll(self, deadline: float) -> bool:
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.is_alive()


def _start_time(pid: int) -> int | None:
    """None when there is no such process, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_time_by_ps(pid)
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _start_time_by_ps(pid: int) -> int | None:
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    try:
        return int(time.mktime(time.strptime(answer.stdout.strip())))
    except ValueError:
        return None


def command_of(pid: int) -> str:
    """What a process calls itself, shortened; "" when we may not look."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    text = " ".join(word.decode(errors="replace") for word in words if word)
    return text if len(text) <= 60 else text[:59] + "…"
