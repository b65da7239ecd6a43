"""What processes and the machine have used, as the system counts it.

Shell (reads /proc). In: session ids, each a container's. Out: `Process`es by session, and the machine's own totals;
nothing where there is no /proc. All of it is one look at every process, some 10 µs each.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from graylane.cluster.processes.accounts import Process

_PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)  # of the fields of the line `cpu` in /proc/stat: idle and waiting for a disk
_WORK = 8  # fields behind these repeat what is counted already (guests)


class Machine(NamedTuple):
    """CPU time used since boot, and memory that is not to be had without taking it from somebody."""

    ticks: int
    memory_bytes: int


def of_sessions(sessions: Collection[int]) -> dict[int, list[Process]]:
    """Every living process of each session; a session that has none is left out."""
    found: dict[int, list[Process]] = {}
    for process in _processes() if sessions else ():
        if process.session in sessions:
            found.setdefault(process.session, []).append(process)
    return found


def of_machine() -> Machine | None:
    """None where there is no /proc."""
    try:
        times = _read("/proc/stat").partition(b"\n")[0].split()[1:]
        memory = dict(line.split(b":", 1) for line in _read("/proc/meminfo").splitlines())
    except OSError:
        return None
    ticks = sum(int(value) for index, value in enumerate(times[:_WORK]) if index not in _IDLE)
    return Machine(ticks, _kibibytes(memory[b"MemTotal"]) - _kibibytes(memory[b"MemAvailable"]))


def _kibibytes(text: bytes) -> int:
    return int(text.split()[0]) * 1024


def _processes() -> Iterator[Process]:
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and (process := _process(name)) is not None:
                yield process


def _process(pid: str) -> Process | None:
    """None for one that ended just now. A zombie still counts: nobody has waited for it yet."""
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        return None
    fields = text.rpartition(b")")[2].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Process(int(pid), int(fields[3]), int(fields[19]), own, reaped, int(fields[21]) * _PAGE)


def _read(path: str) -> bytes:
    """Without the layers of a file object, which take longer than the system does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
