"""One request as a routing rule sees it, and the dye that marks a lane.

Pure. In: a TrafficRouting's matches. Out: `Dye` (headers to send) and `Request` (what rules are matched against).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graylane.model.meta import Obj, dig

MESH = "mesh"


@dataclass(frozen=True, slots=True, order=True)
class DyeHeader:
    """One header of a dye; `regex` means that `value` is an expression which the sent value must match."""

    name: str
    value: str
    regex: bool = False

    def __str__(self) -> str:
        return f"{self.name}{'~' if self.regex else ':'}{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class Dye:
    """The headers that put a request into a lane; all of them are needed."""

    headers: tuple[DyeHeader, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.headers))

    @staticmethod
    def all_of(routing: Obj) -> tuple[Dye, ...]:
        """One dye for each entry of a TrafficRouting's `spec.strategy.matches`; none for a split by weight."""
        matches = dig(routing, "spec", "strategy", "matches", default=[])
        return tuple(dye for match in matches if (dye := _dye(match)).headers)


def _dye(match: Mapping[str, Any]) -> Dye:
    return Dye(
        tuple(
            DyeHeader(str(entry["name"]).lower(), str(entry["value"]), entry.get("type") == "RegularExpression")
            for entry in match.get("headers") or []
        )
    )


@dataclass(frozen=True, slots=True)
class Request:
    """What a rule may look at. `gateway` is `mesh` or a gateway's `namespace/name`; header names are lower case."""

    host: str
    path: str = "/"
    port: int = 80
    method: str = "GET"
    scheme: str = "http"
    headers: Mapping[str, DyeHeader] = field(default_factory=dict)
    gateway: str = MESH
    source_namespace: str = ""
    source_labels: Mapping[str, str] = field(default_factory=dict)

    def dyed(self, dye: Dye) -> Request:
        return replace(self, headers={**self.headers, **{header.name: header for header in dye.headers}})
