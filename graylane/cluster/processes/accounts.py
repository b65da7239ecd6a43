"""How much CPU time a container has used, counted as a cgroup would: what ended processes used stays counted.

Pure. In: the processes of its sessions, look after look. Out: an `Account` that never falls, through the ends of
children, of whole process trees and of the container's own runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Identity = tuple[int, int]
"""A pid and when it started: a pid alone may be somebody else's by the next look."""


class Process(NamedTuple):
    """One process at one instant. Times are in clock ticks; `reaped` is what its ended children used."""

    pid: int
    session: int
    started: int
    own: int
    reaped: int
    resident_bytes: int

    @property
    def identity(self) -> Identity:
        return self.pid, self.started


class _Known(NamedTuple):
    own: int
    reaped: int


@dataclass(frozen=True, slots=True)
class Account:
    """`ticks` used so far, and what was known of each process when they were counted."""

    ticks: int = 0
    resident_bytes: int = 0
    _known: Mapping[Identity, _Known] = field(default_factory=dict)

    def advanced(self, present: Iterable[Process]) -> Account:
        """After another look.

        The time of a child that ended turns up in whoever waited for it. Most of it has been counted as the child's own
        already, so only what goes beyond that is new; where nobody of ours waited, nothing is taken back.
        """
        found = list(present)
        new = {process.identity: _Known(process.own, process.reaped) for process in found}
        none = _Known(0, 0)
        own = sum(max(known.own - self._known.get(each, none).own, 0) for each, known in new.items())
        reaped = sum(max(known.reaped - self._known.get(each, none).reaped, 0) for each, known in new.items())
        gone = sum(known.own + known.reaped for each, known in self._known.items() if each not in new)
        resident = sum(process.resident_bytes for process in found)
        return Account(self.ticks + own + max(reaped - gone, 0), resident, new)
