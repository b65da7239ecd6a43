"""What the Gateway API's objects say about themselves: Accepted, ResolvedRefs, Programmed, and who is attached.

Pure. In: a `View`, what is `Wanted`, now. Out: status patches, only where something differs. `Programmed`, and on
routes `Reconciled`, become true when every proxy has acknowledged what the object became: more than Istio means by the
former.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from graylane.kit import Patch
from graylane.kit.cache import View
from graylane.mesh.findings import is_of_port
from graylane.mesh.gatewayapi.attach import CONTROLLER, Attachment, is_ours
from graylane.mesh.gatewayapi.grants import Problem
from graylane.mesh.gatewayapi.listeners import Listener, listeners
from graylane.mesh.gatewayapi.objects import Target, Wanted
from graylane.mesh.gatewayapi.ports import addresses, doors, elsewhere
from graylane.mesh.gatewayapi.routes import ROUTES, RouteId
from graylane.model.kinds import GATEWAY_CLASS, KUBE_GATEWAY, Kind
from graylane.model.meta import Condition, Obj, condition, dig, generation_of, key_of, set_condition

RECONCILED = "Reconciled"
_TAKEN = "IST0145"
_PORT, _HOST = "PortUnavailable", "HostnameConflict"
_SERVED = " and ".join(kind.kind for kind in ROUTES)
_FINE = "No errors found"
_WAITS = Condition("", "False", "Pending", "not every proxy has acknowledged it yet")


def statuses(view: View, found: Wanted, now: datetime) -> Iterator[Patch]:
    for obj in view.list(GATEWAY_CLASS):
        if dig(obj, "spec", "controllerName") == CONTROLLER:
            accepted = Condition("Accepted", "True", "Accepted", "Handled by Istio controller")
            yield from _patch(GATEWAY_CLASS, obj, {"conditions": _set(obj, _conditions(obj), [accepted], now)})
    for obj in view.list(KUBE_GATEWAY):
        if is_ours(view, obj):
            yield from _patch(KUBE_GATEWAY, obj, _gateway(view, obj, found, now))
    for kind in ROUTES:
        for obj in view.list(kind):
            yield from _patch(kind, obj, _route(view, (kind, key_of(obj)), obj, found, now))


def _patch(kind: Kind, obj: Obj, status: Obj) -> Iterator[Patch]:
    old = obj.get("status") or {}
    if any(old.get(name) != value for name, value in status.items()):
        patch = {"metadata": {"resourceVersion": dig(obj, "metadata", "resourceVersion")}, "status": status}
        yield Patch(kind, key_of(obj), patch, subresource="status")


def _conditions(obj: Obj) -> list[Obj]:
    return dig(obj, "status", "conditions", default=[])  # type: ignore[no-any-return]


def _set(obj: Obj, conditions: list[Obj], said: list[Condition], now: datetime) -> list[Obj]:
    generation = generation_of(obj)
    for each in said:
        conditions = set_condition(conditions, each, now, observedGeneration=generation)
    return conditions


def _gateway(view: View, gateway: Obj, found: Wanted, now: datetime) -> Obj:
    every = listeners(view, gateway)
    said = [_accepted(view, gateway, every, found), _programmed(view, gateway, every, found)]
    old = {each.get("name"): each.get("conditions") or [] for each in dig(gateway, "status", "listeners", default=[])}
    return {
        "addresses": [{"type": "IPAddress", "value": address} for address in addresses(view, gateway)],
        "conditions": _set(gateway, _conditions(gateway), said, now),
        "listeners": [_listener(view, gateway, each, found, old.get(each.name, []), now) for each in every],
    }


def _accepted(view: View, gateway: Obj, every: tuple[Listener, ...], found: Wanted) -> Condition:
    """As in Istio a Gateway is accepted, whatever its listeners refer to, but for those that are not served at all."""
    bad = [each.name for each in every if each.problem or _refusal(view, found, each)]
    if not bad:
        return Condition("Accepted", "True", "Accepted", "Resource accepted")
    some = "True" if len(bad) < len(every) else "False"
    return Condition("Accepted", some, "ListenersNotValid", f"listeners {', '.join(bad)} are not valid")


def _programmed(view: View, gateway: Obj, every: tuple[Listener, ...], found: Wanted) -> Condition:
    if not addresses(view, gateway):
        return Condition("Programmed", "False", "AddressNotAssigned", "no gateway pod opens its ports")
    if others := elsewhere(view, gateway):
        here = ", ".join(addresses(view, gateway))
        told = f"{', '.join(others)}: no address of this gateway, which is opened at {here}"
        return Condition("Programmed", "False", "AddressNotUsable", told)
    if not all(_is_live(view, target) for target in _targets(every, found)):
        return replace(_WAITS, type="Programmed")
    return Condition("Programmed", "True", "Programmed", "Resource programmed, acknowledged by every proxy")


def _targets(every: tuple[Listener, ...], found: Wanted) -> Iterator[Target]:
    names = ((each.gateway, each.name) for each in every)
    return (found.of_listener[name] for name in names if name in found.of_listener)


def _listener(view: View, gateway: Obj, listener: Listener, found: Wanted, old: list[Obj], now: datetime) -> Obj:
    return {
        "name": listener.name,
        "attachedRoutes": len(found.counts.get((listener.gateway, listener.name), ())),
        "supportedKinds": [{"group": kind.group, "kind": kind.kind} for kind in listener.takes],
        "conditions": _set(gateway, old, _of_listener(view, gateway, listener, found), now),
    }


def _of_listener(view: View, gateway: Obj, listener: Listener, found: Wanted) -> list[Condition]:
    target = found.of_listener.get((listener.gateway, listener.name))
    refused = listener.problem or _refusal(view, found, listener)
    closed = refused or listener.unresolved
    accepted = Condition("Accepted", "True", "Accepted", _accepted_message(listener))
    conflicted = Condition("Conflicted", "False", "NoConflicts", _FINE)
    programmed = Condition("Programmed", "True", "Programmed", _where(view, gateway, listener))
    resolved = Condition("ResolvedRefs", "True", "ResolvedRefs", _FINE)
    if refused is not None:
        accepted = Condition("Accepted", "False", refused.reason, refused.message)
    if refused is not None and refused.reason == _HOST:
        conflicted = Condition("Conflicted", "True", refused.reason, refused.message)
    if closed is not None:
        programmed = Condition("Programmed", "False", "Invalid", closed.message)
    elif target is None or not _is_live(view, target):
        programmed = replace(_WAITS, type="Programmed")
    if listener.unresolved is not None:
        resolved = Condition("ResolvedRefs", "False", listener.unresolved.reason, listener.unresolved.message)
    if listener.unknown:
        told = f"kinds {', '.join(listener.unknown)} are not supported here, only {_SERVED}"
        resolved = Condition("ResolvedRefs", "False", "InvalidRouteKinds", told)
    return [accepted, conflicted, programmed, resolved]


def _accepted_message(listener: Listener) -> str:
    return f"tls.options {', '.join(listener.ignored)} are not acted on here" if listener.ignored else _FINE


def _where(view: View, gateway: Obj, listener: Listener) -> str:
    found = doors(view, gateway, listener)
    return (
        f"open at {', '.join(found)}" if found else "open inside the cluster: no Service has this port as a node port"
    )


def _refusal(view: View, found: Wanted, listener: Listener) -> Problem | None:
    """What the mesh has against the Gateway that a listener became: somebody else has its port, or its server name."""
    target = found.of_listener.get((listener.gateway, listener.name))
    obj = view.get(target[0], *target[1]) if target else None
    if obj is None or dig(obj, "status", "observedGeneration") != generation_of(obj):
        return None
    for each in dig(obj, "status", "validationMessages", default=[]):
        if each.get("level") == "ERROR":
            message = str(each.get("message"))
            taken = _PORT if is_of_port(message) else _HOST
            return Problem(taken if dig(each, "type", "code") == _TAKEN else "Invalid", message)
    return None


def _is_live(view: View, target: Target) -> bool:
    """Whether every proxy has acknowledged an object as it is now."""
    obj = view.get(target[0], *target[1])
    known = condition(obj, RECONCILED) if obj else None
    current = obj is not None and dig(obj, "status", "observedGeneration") == generation_of(obj)
    return current and known is not None and known.get("status") == "True"


def _route(view: View, key: RouteId, route: Obj, found: Wanted, now: datetime) -> Obj:
    """Entries of other controllers are left as they are."""
    old = dig(route, "status", "parents", default=[])
    kept = [each for each in old if each.get("controllerName") != CONTROLLER]
    mine = [each for each in old if each.get("controllerName") == CONTROLLER]
    return {"parents": [*kept, *(_parent(view, key, route, each, mine, found, now) for each in found.attached[key])]}


def _parent(
    view: View, key: RouteId, route: Obj, attachment: Attachment, mine: list[Obj], found: Wanted, now: datetime
) -> Obj:
    old = next((each.get("conditions") or [] for each in mine if each.get("parentRef") == attachment.ref), [])
    said = _of_route(view, key, attachment, found)
    return {"parentRef": attachment.ref, "controllerName": CONTROLLER, "conditions": _set(route, old, said, now)}


def _of_route(view: View, key: RouteId, attachment: Attachment, found: Wanted) -> list[Condition]:
    result = found.translations[key, attachment.parent is None]
    told = attachment.told or result.told
    accepted = Condition("Accepted", "True", "Accepted", "Route was valid")
    if attachment.problem is not None:
        accepted = Condition("Accepted", "False", attachment.problem.reason, attachment.problem.message)
    resolved = Condition("ResolvedRefs", "True", "ResolvedRefs", told.message if told else "All references resolved")
    if result.unresolved is not None:
        resolved = Condition("ResolvedRefs", "False", result.unresolved.reason, result.unresolved.message)
    live = all(_as_wanted(view, found, target) for target in found.of_route[key])
    reconciled = Condition(RECONCILED, "True", "Acknowledged", "every proxy is up to date")
    refused = attachment.problem or (None if result.rules else result.unresolved)
    if refused is not None:
        reconciled = Condition(RECONCILED, "False", "Rejected", refused.message)
    elif not live:
        reconciled = replace(_WAITS, type=RECONCILED)
    return [accepted, resolved, reconciled]


def _as_wanted(view: View, found: Wanted, target: Target) -> bool:
    """Live, and already what the route asks for now."""
    obj = view.get(target[0], *target[1])
    return obj is not None and obj.get("spec") == found.objects[target]["spec"] and _is_live(view, target)
