"""What an Envoy that ended says about its end: the lines of its log that tell why, and which request was at hand.

Pure. In: what it writes, piece by piece. Out: a few lines, for `lastState.terminated.message` of its pod.

An Envoy that crashes shows what its thread worked on: the request's headers and the address the client came to. One
that ends while it is given its configuration shows no request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST_LINES, _LONGEST = 8, 200
_TOLD = re.compile(r"Caught \w|Watchdog \w|assert failure|terminate called|\[critical\]\[(?:assert|main)\]")
_REQUEST = re.compile(r"^\s*'(:authority|:path|:method)', |localAddress\(\): ")
_STAMP = re.compile(r"^(?:\[[^\]]*\] ?)+")
_FRAME = re.compile(r"^.*?(?=localAddress\(\): )")


class LastWords:
    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._take(line.decode(errors="replace") for line in lines)

    @property
    def text(self) -> str:
        """ "" for an Envoy that said nothing of its end."""
        return "\n".join(self._lines)

    def _take(self, lines: Iterable[str]) -> None:
        for line in lines:
            if len(self._lines) < _MOST_LINES and (_TOLD.search(line) or (self._lines and _REQUEST.search(line))):
                said = _FRAME.sub("", _STAMP.sub("", line)).strip()[:_LONGEST]
                if said not in self._lines:
                    self._lines.append(said)
