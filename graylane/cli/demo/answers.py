"""What the sample services answer, and which pods that means.

Pure. In: one HTTP answer's text. Out: the hops it names, in order: service, version, pod address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOP = re.compile(r"-> (?P<app>[^(\s]+)\(version: (?P<version>[^,]*), ip: (?P<ip>[^)]*)\)")


@dataclass(frozen=True, slots=True)
class HopAnswer:
    """One service's greeting."""

    app: str
    version: str
    ip: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's fate. `sent` and `done` are seconds of a monotonic clock; `error` is "" when an answer came."""

    sent: float
    done: float
    dyed: bool
    fresh: bool
    status: int
    body: str
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error and self.status == 200 and bool(self.hops)

    @property
    def hops(self) -> tuple[HopAnswer, ...]:
        return parse(self.body)

    @property
    def path(self) -> str:
        """`base→canary`: the versions on the way, for people."""
        return "→".join(hop.version for hop in self.hops) or self.error or f"HTTP {self.status}"


def parse(body: str) -> tuple[HopAnswer, ...]:
    """Nothing at all unless the whole text is greetings: half a chain with an error behind it is no answer."""
    found = list(_HOP.finditer(body))
    if "".join(match[0] for match in found) != body.strip().replace("\n", ""):
        return ()
    return tuple(HopAnswer(match["app"], match["version"], match["ip"]) for match in found)
