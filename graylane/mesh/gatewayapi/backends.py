"""Where a rule of a route leads: Services that exist and may be referred to.

Pure. In: a `View`, the route, its backendRefs. Out: destinations with weights, and what is wrong with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from graylane.chain.hosts import DOMAIN, fqdn
from graylane.kit.cache import View
from graylane.mesh.gatewayapi.grants import Problem, may_refer
from graylane.mesh.gatewayapi.routes import kind_of
from graylane.model.kinds import SERVICE
from graylane.model.meta import Key, Obj, dig, namespace_of

HEADERS = {"RequestHeaderModifier": "request", "ResponseHeaderModifier": "response"}
NO_PORT, BAD_FILTER = "InvalidDestination", "InvalidFilter"


@dataclass(frozen=True, slots=True)
class Backends:
    """`lost` is the weight of backends that cannot be had: such requests get a 500.

    As in Istio, `problem` is that of the last of them, and a backend without weight has none; a port that a Service
    lacks is none of the reference's, it is only `told`.
    """

    routes: tuple[Obj, ...]
    lost: int
    problem: Problem | None = None
    told: Problem | None = None

    @property
    def fatal(self) -> Problem | None:
        """What takes the whole route with it."""
        return self.problem if self.problem and self.problem.reason in (NO_PORT, BAD_FILTER) else None

    @property
    def total(self) -> int:
        return self.lost + sum(int(entry["weight"]) for entry in self.routes)


def backends(view: View, route: Obj, refs: list[Obj], *, at_gateway: bool) -> Backends:
    found: list[Obj] = []
    lost = 0
    problem: Problem | None = None
    told: Problem | None = None
    for ref in (ref for ref in refs if ref.get("weight", 1)):
        weight = int(ref.get("weight", 1))
        wrong = unusable(view, route, ref, at_gateway=at_gateway)
        fatal = wrong if wrong and wrong.reason == NO_PORT else _odd_filter(ref)
        if fatal is not None:
            return Backends((), 0, fatal)
        absent = None if wrong else _without_port(view, route, ref)
        problem, told = wrong or problem, absent or told
        if wrong or absent:
            lost += weight
        else:
            found.append({"destination": destination(route, ref), "weight": weight, **_own_headers(ref)})
    return Backends(tuple(found), lost, problem, told)


def destination(route: Obj, ref: Obj) -> dict[str, Any]:
    host = fqdn(str(ref["name"]), str(ref.get("namespace") or namespace_of(route)), DOMAIN)
    return {"host": host, "port": {"number": int(ref["port"])}}


def _odd_filter(ref: Obj) -> Problem | None:
    odd = next((str(each["type"]) for each in ref.get("filters") or () if each["type"] not in HEADERS), None)
    return Problem(BAD_FILTER, f"unsupported filter type {odd!r} of a backend") if odd else None


def _own_headers(ref: Obj) -> dict[str, Any]:
    """Header filters of the backend itself."""
    found = {HEADERS[str(each["type"])]: edits(each) for each in ref.get("filters") or ()}
    return {"headers": found} if found else {}


def edits(filter: Obj) -> dict[str, Any]:
    block = filter.get("requestHeaderModifier") or filter.get("responseHeaderModifier") or {}
    found: dict[str, Any] = {}
    for operation in ("set", "add"):
        if block.get(operation):
            found[operation] = {str(each["name"]): str(each["value"]) for each in block[operation]}
    if block.get("remove"):
        found["remove"] = list(block["remove"])
    return found


def unusable(view: View, route: Obj, ref: Obj, *, at_gateway: bool) -> Problem | None:
    """Why a reference leads nowhere. In the mesh no grant is needed, as a client may call any Service anyway."""
    group, kind = ref.get("group") or "", ref.get("kind") or "Service"
    key = Key(str(ref.get("namespace") or namespace_of(route)), str(ref["name"]))
    asked = replace(SERVICE, group=group, kind=kind)
    if at_gateway and not may_refer(view, kind_of(route), namespace_of(route), asked, key):
        told = f"backendRef {key} not accessible to a route in namespace {namespace_of(route)!r}"
        return Problem("RefNotPermitted", f"{told} (missing a ReferenceGrant?)")
    if (group, kind) != (SERVICE.group, SERVICE.kind):
        return Problem("InvalidKind", f"referencing unsupported backendRef: group {group!r} kind {kind!r}")
    if not ref.get("port"):
        return Problem(NO_PORT, f"port is required in backendRef {key}")
    if view.get(SERVICE, *key) is None:
        return Problem("BackendNotFound", f"backend({key.name}.{key.namespace}:{ref['port']}) not found")
    return None


def _without_port(view: View, route: Obj, ref: Obj) -> Problem | None:
    key = Key(str(ref.get("namespace") or namespace_of(route)), str(ref["name"]))
    ports = dig(view.get(SERVICE, *key), "spec", "ports", default=[])
    if any(port.get("port") == ref["port"] for port in ports):
        return None
    return Problem(
        "BackendNotFound", f"backend({key.name}.{key.namespace}) has no port {ref['port']}: requests get 500"
    )
