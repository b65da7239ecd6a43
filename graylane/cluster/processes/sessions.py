"""Who belongs to a session: every process that a child of ours started and that did not leave on purpose.

Shell. In: session ids; each of our children leads one. Out: pids, from /proc; none where there is no /proc. A process
group is not enough once a shell has job control: then it gives every job a group of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_ROUNDS = 5  # a member may fork while we look; what is forked later than that has a dead parent to thank


def kill(session: int) -> None:
    """SIGKILL to all of it."""
    for _ in range(_ROUNDS):
        found = list(members({session}))
        for pid, _ in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return


def members(sessions: set[int]) -> Iterator[tuple[int, int]]:
    """(pid, session) of every living member."""
    for pid in _pids() if sessions else ():
        fields = stat(pid)
        if fields and int(fields[3]) in sessions:
            yield pid, int(fields[3])


def stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the command name: [0] state, [1] parent, [2] group, [3] session, [19] start.

    None for a process that is no more, or is a zombie.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
