"""How Envoys ended, as the mirror pod tells that stands for them.

Pure. In: the pod, as it changes; who connected when. Out: each `End` once, and whether it speaks of what there is to
be given now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from graylane.mesh.read import MIRROR
from graylane.model.meta import Key, Obj, annotations_of, dig, key_of

_FROM_OUTSIDE = (0, 130, 137, 143)  # it was asked to end, by a signal that nobody sends himself
_SIGNALS = {132: "SIGILL", 134: "SIGABRT", 135: "SIGBUS", 136: "SIGFPE", 139: "SIGSEGV"}
_AT = re.compile(r"localAddress\(\): (?P<address>[\d.]+):(?P<port>\d+)")
_STUCK = re.compile(r"Watchdog")


@dataclass(frozen=True, slots=True)
class End:
    """How one Envoy ended. `instance` is another for each; `words` are what its log says of its end."""

    instance: str
    code: int
    words: str = ""

    @property
    def crashed(self) -> bool:
        return self.code not in _FROM_OUTSIDE

    @property
    def listener(self) -> str:
        """By which the request had come that was at hand, "" for none."""
        found = _AT.search(self.words)
        return f"{found['address']}_{found['port']}" if found else ""

    def __str__(self) -> str:
        how = f"{self.code} ({_SIGNALS[self.code]})" if self.code in _SIGNALS else str(self.code)
        stuck = " after it had been stuck for 10 s" if _STUCK.search(self.words) else ""
        return f"with exit code {how}{stuck}"


def end_of(pod: Obj) -> End | None:
    """The last end of the Envoy that a mirror pod stands for."""
    found = dig(pod, "status", "containerStatuses", 0, "lastState", "terminated")
    if not found:
        return None
    return End(str(found.get("containerID")), int(found.get("exitCode") or 0), str(found.get("message") or ""))


@dataclass(slots=True)
class Ends:
    _last: dict[Key, str] = field(default_factory=dict)
    _connections: int = 0
    _guarded: int = 0

    def told_by(self, pod: Obj) -> End | None:
        """An end not told of before. What is known of one when a pod is first seen lies in the past."""
        if MIRROR not in annotations_of(pod):
            return None
        end, key = end_of(pod), key_of(pod)
        known, self._last[key] = self._last.get(key), end.instance if end else ""
        return end if end is not None and known not in (None, end.instance) else None

    def current(self, connections: int, greeted: int) -> bool:
        """Whether an Envoy that has just ended had been given what there is to give, or something newer than that.

        `connections` are all there were, `greeted` is the serial of what there was for the last of them.
        """
        connected, self._connections = connections > self._connections, connections
        return connected and greeted >= self._guarded

    def speak_of(self, serial: int) -> None:
        """From now on only the ends count of those that are greeted with this, or something newer."""
        self._guarded = serial
