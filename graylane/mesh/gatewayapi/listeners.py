"""The listeners of a Gateway: which can be opened, and why others cannot.

Pure. In: a `View`, a Gateway. Out: `Listener`s. Those that contradict each other are all kept closed: the API has no
winner among them.
"""

from __future__ import annotations

from collections import Counter
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
    conflict: bool = False
    takes: tuple[Kind, ...] = ROUTES
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        return self.problem is None and self.unresolved is None


def listeners(view: View, gateway: Obj) -> tuple[Listener, ...]:
    return _without_conflicts([_read(view, gateway, entry) for entry in dig(gateway, "spec", "listeners", default=[])])


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


def _without_conflicts(found: list[Listener]) -> tuple[Listener, ...]:
    candidates = [each for each in found if each.problem is None]
    spoken: dict[int, set[str]] = {}
    for each in candidates:
        spoken.setdefault(each.port, set()).add(each.protocol)
    named = Counter((each.port, each.hostname) for each in candidates)
    return tuple(_judged(each, spoken.get(each.port, set()), named[each.port, each.hostname]) for each in found)


def _judged(listener: Listener, spoken: set[str], named: int) -> Listener:
    if listener.problem is not None:
        return listener
    if len(spoken) > 1:
        told = f"port {listener.port} is asked for with protocols {' and '.join(sorted(spoken))}"
        return replace(listener, problem=Problem("ProtocolConflict", told), conflict=True)
    if named > 1:
        told = f"port {listener.port} has another listener for host {listener.hostname}"
        return replace(listener, problem=Problem("HostnameConflict", told), conflict=True)
    return listener
