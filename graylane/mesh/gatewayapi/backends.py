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


@dataclass(frozen=True, slots=True)
class Backends:
    """`lost` is the weight of backends that cannot be had: such requests get a 500.

    As in Istio, `problem` is that of the last of them, and a backend without weight has none.
    """

    routes: tuple[Obj, ...]
    lost: int
    problem: Problem | None = None

    @property
    def total(self) -> int:
        return self.lost + sum(int(entry["weight"]) for entry in self.routes)


def backends(view: View, route: Obj, refs: list[Obj], *, at_gateway: bool) -> Backends:
    found, lost, problem = [], 0, None
    for ref in refs:
        weight = int(ref.get("weight", 1))
        wrong = unusable(view, route, ref, at_gateway=at_gateway) if weight else None
        if wrong is not None:
            problem, lost = wrong, lost + weight
        elif weight:
            found.append({"destination": destination(route, ref), "weight": weight})
    return Backends(tuple(found), lost, problem)


def destination(route: Obj, ref: Obj) -> dict[str, Any]:
    host = fqdn(str(ref["name"]), str(ref.get("namespace") or namespace_of(route)), DOMAIN)
    return {"host": host, "port": {"number": int(ref["port"])}}


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
        return Problem("UnsupportedValue", f"port is required in backendRef {key}")
    service = view.get(SERVICE, *key)
    numbers = [port.get("port") for port in dig(service, "spec", "ports", default=[])]
    if service is None or ref["port"] not in numbers:
        return Problem("BackendNotFound", f"backend({key.name}.{key.namespace}:{ref['port']}) not found")
    return None
