"""customNetworkRefs: any object, rewritten by a Lua script.

Pure. In: what a TrafficRouting wants of one object (`Contribution`) and the object's original. Out: the `obj` that
scripts see, the interface documented in docs/lua.md; and which kinds define what others point at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Subset definitions come before the routes that point at them, and go after them.
_DEFINITIONS = frozenset({("networking.istio.io", "DestinationRule")})
_NO_WEIGHT = -1


@dataclass(frozen=True, slots=True)
class Contribution:
    """One TrafficRouting's wish for one object, complete: anybody can run the script again from it."""

    service: str
    namespace: str
    strategy: Mapping[str, Any]
    canary_service: str = ""  # another Service for the canary; empty: the same one, told apart by a subset

    def to_json(self) -> dict[str, Any]:
        text = {"service": self.service, "namespace": self.namespace, "strategy": dict(self.strategy)}
        return text | ({"canaryService": self.canary_service} if self.canary_service else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Contribution:
        return cls(
            service=str(value["service"]),
            namespace=str(value["namespace"]),
            strategy=value["strategy"],
            canary_service=str(value.get("canaryService", "")),
        )


def script_input(data: Mapping[str, Any], wish: Contribution) -> dict[str, Any]:
    """The global `obj`. Names, casing and the odd numbers without a weight (-1 and 101) are OpenKruise's."""
    canary, stable = weights(wish)
    obj = {
        "data": dict(data),
        "canaryWeight": canary,
        "stableWeight": stable,
        "matches": wish.strategy.get("matches"),
        "stableService": wish.service,
        "canaryService": wish.canary_service or wish.service,
        "requestHeaderModifier": wish.strategy.get("requestHeaderModifier"),
        "namespace": wish.namespace,
    }
    return {name: value for name, value in obj.items() if value is not None}


def weights(wish: Contribution) -> tuple[int, int]:
    """The canary's and the stable version's percent, as scripts see them."""
    weight = wish.strategy.get("weight")
    canary = _NO_WEIGHT if weight is None else int(weight)
    return canary, 100 - canary


def defines_targets(group: str, kind: str) -> bool:
    """Whether objects of this kind define what routes point at."""
    return (group, kind) in _DEFINITIONS
