"""Kills our process groups when we die, however we die.

Shell. In, on stdin: lines `+PGID` and `-PGID` from the parent. Out: SIGKILL to every group still listed once the parent
is gone. Run as a script by `table.py`, with the standard library alone, in a session of its own.

Why not PR_SET_PDEATHSIG on each child: it needs code between fork and exec (unsafe beside gRPC's threads, and slow), it
fires when the *thread* that forked ends, it does not reach grandchildren (`sh -c "server &"`), and macOS has none.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal

_LOOK_EVERY = 0.2


def main() -> None:
    """Returns once the parent is gone and its groups are killed."""
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = _listen(parent)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for pid in _jobs(groups):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _jobs(sessions: set[int]) -> list[int]:
    """What a shell with a terminal started: each job has a group of its own, all are in the shell's session."""
    found = []
    for name in os.listdir("/proc") if sessions and os.path.isdir("/proc/self") else ():
        with contextlib.suppress(OSError):  # not a process, or one that has just ended
            if name.isdigit() and os.getsid(int(name)) in sessions:
                found.append(int(name))
    return found


def _listen(parent: int) -> set[int]:
    """The groups alive when the parent ended.

    End of input alone is not trusted: a process forked from the parent may hold our pipe open. So we watch the parent
    itself as well, by pidfd where there is one, else by asking now and then who our parent is.
    """
    groups: set[int] = set()
    pending = b""
    watched = [0, *_pidfd(parent)]
    while True:
        readable, _, _ = select.select(watched, [], [], _LOOK_EVERY if len(watched) == 1 else None)
        data = os.read(0, 65536) if 0 in readable else b""
        pending = _apply(groups, pending + data)
        if (readable and not data) or os.getppid() != parent:
            return groups


def _pidfd(parent: int) -> list[int]:
    try:
        return [os.pidfd_open(parent)]
    except (AttributeError, OSError):
        return []


def _apply(groups: set[int], text: bytes) -> bytes:
    """Carry out the complete lines of `text`; returns the incomplete rest."""
    *lines, rest = text.split(b"\n")
    for line in lines:
        (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    return rest


if __name__ == "__main__":
    main()
