"""The listeners of a Gateway: which can be opened, and why others cannot.

Pure. In: a `View`, a Gateway. Out: `Listener`s. Which of those that contradict each other is served, the mesh decides
as for Gateways of Istio: the oldest, of one Gateway the first by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from graylane.kit.cache import View
from graylane.mesh.gatewayapi.certificates import not_acted_on, terminated
from graylane.mesh.gatewayapi.grants import Problem
from graylane.mesh.gatewayapi.routes import ROUTES
from graylane.model.kinds import HTTP_ROUTE, Kind
from graylane.model.meta import Key, Obj, dig, key_of

ROUTED = ("HTTP", "HTTPS")


@dataclass(frozen=True, slots=True)
class Listener:
    """One port of a Gateway. `problem` and `unresolved` keep it closed; routes attach to it all the same.

    `takes` are the kinds of routes it is for, `unknown` those of `allowedRoutes` that are not served here, `ignored`
    TLS options for other implementations.
    """

    gateway: Key
    name: str
    port: int
    hostname: str
    protocol: str = "HTTP"
    tls: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    unresolved: Problem | None = None
    takes: tuple[Kind, ...] = ROUTES
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        return self.problem is None and self.unresolved is None


def listeners(view: View, gateway: Obj) -> tuple[Listener, ...]:
    return tuple(_read(view, gateway, entry) for entry in dig(gateway, "spec", "listeners", default=[]))


def _read(view: View, gateway: Obj, entry: Obj) -> Listener:
    protocol = str(entry["protocol"])
    kinds = dig(entry, "allowedRoutes", "kinds", default=[])
    unknown = tuple(str(each.get("kind")) for each in kinds if _served(each) is None)
    takes = ROUTES if not kinds else tuple(dict.fromkeys(filter(None, map(_served, kinds))))
    found = Listener(
        key_of(gateway),
        str(entry["name"]),
        int(entry["port"]),
        str(entry.get("hostname") or "*"),
        protocol,
        takes=takes if protocol in ROUTED else (),
        unknown=unknown,
    )
    if protocol not in ROUTED:
        told = f"protocol {protocol} is not supported here, only {' and '.join(ROUTED)}"
        return replace(found, problem=Problem("UnsupportedProtocol", told))
    if protocol == "HTTP":
        return found
    tls, unresolved = terminated(view, gateway, entry)
    return replace(found, tls=tls, unresolved=unresolved, ignored=not_acted_on(entry))


def _served(asked: Obj) -> Kind | None:
    named = (asked.get("group", HTTP_ROUTE.group), asked.get("kind"))
    return next((kind for kind in ROUTES if (kind.group, kind.kind) == named), None)
