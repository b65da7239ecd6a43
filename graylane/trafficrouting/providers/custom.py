"""customNetworkRefs: any object, rewritten by a Lua script.

Pure. In: what a TrafficRouting wants of one object (`Contribution`) and the object's original. Out: the `obj` that
scripts see, the interface documented in docs/lua.md; what they may return; and which kinds define what others point at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graylane.trafficrouting.lua.script import LuaError, Script

# Subset definitions come before the routes that point at them, and go after them.
_DEFINITIONS = frozenset({("networking.istio.io", "DestinationRule")})
_NO_WEIGHT = -1
_SEEN = ("spec", "labels", "annotations")


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


def script_output(script: Script, data: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a script's result counts. Raises `LuaError` for one that would empty the object, or cannot be stored.

    OpenKruise refuses them too, but for a missing spec in 0.6, which empties the user's object.
    """
    if isinstance(data.get("spec"), dict) and not isinstance(result.get("spec"), dict):
        raise LuaError(
            script.name, 0, "no spec was returned; return obj.data, or a table with spec, labels, annotations"
        )
    for field in ("labels", "annotations"):
        require_texts(script, field, result.get(field) or {})
    return {name: result[name] for name in _SEEN if result.get(name) or (name == "spec" and name in result)}


def require_texts(script: Script, field: str, values: Any) -> None:
    """Raises `LuaError` that names the entry of labels or annotations which is no text."""
    entries = values.items() if isinstance(values, dict) else [("", values)]
    for name, value in entries:
        if not (name and isinstance(value, str)):
            where = f"{field}[{name!r}]" if name else field
            raise LuaError(
                script.name, 0, f"{where} is no text; labels and annotations map texts to texts: tostring(…)"
            )


def weights(wish: Contribution) -> tuple[int, int]:
    """The canary's and the stable version's percent, as scripts see them."""
    weight = wish.strategy.get("weight")
    canary = _NO_WEIGHT if weight is None else int(weight)
    return canary, 100 - canary


def defines_targets(group: str, kind: str) -> bool:
    """Whether objects of this kind define what routes point at."""
    return (group, kind) in _DEFINITIONS
