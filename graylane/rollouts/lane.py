"""What a Rollout's TrafficRouting says about its routes.

Pure. In: a `View` and a Rollout. Out: `Lane`. The contract (docs/decisions/0002): our finalizer asks for routes,
`status.activeFor` says whose are confirmed, `Healthy` with nobody in it says that none are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graylane.kit.cache import View
from graylane.model.kinds import SERVICE, TRAFFIC_ROUTING
from graylane.model.meta import (
    Key,
    Obj,
    condition,
    controller_of,
    dig,
    finalizers_of,
    generation_of,
    is_deleting,
    name_of,
    namespace_of,
)
from graylane.model.rollout import PROGRESSING_FINALIZER, TRAFFIC_ROUTING_NAME, Rollout
from graylane.rollouts.parts import Lane

_WITHOUT_ROUTES = frozenset({"", "Initial", "Healthy"})


def lane_of(view: View, rollout: Rollout) -> Lane | None:
    """None: the Rollout names no TrafficRouting and releases pods only."""
    if not rollout.routing:
        return None
    obj = view.get(TRAFFIC_ROUTING, rollout.key.namespace, rollout.routing)
    if rollout.embedded:
        return _own_lane(obj, rollout)
    if obj is None:
        return Lane(rollout.routing, None, False, False, False, True, _absent(rollout), "")
    return _lane(obj, rollout)


def _own_lane(obj: Obj | None, rollout: Rollout) -> Lane:
    """For routes embedded in the Rollout: through a TrafficRouting that the Rollout makes and owns."""
    if obj is None:
        return Lane(rollout.routing, None, False, False, False, True, "", "it is being made")
    if (controller_of(obj) or {}).get("uid") != rollout.uid:
        where = f"TrafficRouting {rollout.key.namespace}/{rollout.routing}"
        words = f"{where} is somebody else's; the routes in the Rollout need its name, so delete or rename it"
        return Lane(rollout.routing, obj, False, False, False, True, words, "", trouble_of_name=True)
    current = int(dig(obj, "status", "observedGeneration", default=0)) == generation_of(obj)
    confirmed = (condition(obj, "RoutesConfirmed") or {}).get("status") != "False"
    strategy = dig(obj, "spec", "strategy", default={})
    entries = dig(obj, "spec", "objectRef", default=[])
    leads_to = tuple(str(entry["canaryService"]) for entry in entries if entry.get("canaryService"))
    lane = _lane(obj, rollout)
    clear = lane.clear and bool(dig(obj, "status", "phase"))  # one for inherited routes begins with them
    return replace(lane, clear=clear, strategy=strategy, confirmed=current and confirmed, leads_to=leads_to)


def former_of(view: View, rollout: Rollout) -> tuple[Obj, ...]:
    """Ours, for routes that were in the Rollout before its spec was changed."""
    made: list[Obj] = view.owned_by(TRAFFIC_ROUTING, rollout.uid)
    return tuple(obj for obj in made if name_of(obj) != rollout.routing)


def _lane(obj: Obj, rollout: Rollout) -> Lane:
    held, active = rollout.finalizer in finalizers_of(obj), active_for(obj)
    idle = dig(obj, "status", "phase", default="") in _WITHOUT_ROUTES
    return Lane(
        name=rollout.routing,
        obj=obj,
        deleting=is_deleting(obj),
        held=held,
        live=held and rollout.key.name in active,
        clear=not held and not active and idle,
        trouble=_trouble(obj, rollout),
        shared_with=tuple(_others(obj, rollout)),
        says="" if idle else str(dig(obj, "status", "message", default="")),
    )


def _others(obj: Obj, rollout: Rollout) -> Iterator[str]:
    for finalizer in sorted(finalizers_of(obj)):
        if finalizer.startswith(PROGRESSING_FINALIZER) and finalizer != rollout.finalizer:
            yield finalizer.removeprefix(PROGRESSING_FINALIZER)


def strays_of(view: View, rollout: Rollout) -> tuple[Obj, ...]:
    """Other TrafficRoutings that hold or serve this Rollout: its annotation was changed or removed meanwhile.

    By an index, since each of a thousand looks would otherwise pass all TrafficRoutings of the namespace.
    """
    cache = view.caches.get(TRAFFIC_ROUTING)
    found = cache.indexed(_users, str(rollout.key)).values() if cache else ()
    return tuple(sorted((obj for obj in found if name_of(obj) != rollout.routing), key=name_of))


def _users(routing: Obj) -> set[str]:
    """The Rollouts, as `namespace/name`, that hold a TrafficRouting or that it serves."""
    holders = {
        name.removeprefix(PROGRESSING_FINALIZER)
        for name in finalizers_of(routing)
        if name.startswith(PROGRESSING_FINALIZER)
    }
    return {str(Key(namespace_of(routing), name)) for name in holders | set(active_for(routing))}


def services_of(view: View, rollout: Rollout, routing: Obj | None) -> tuple[str, ...]:
    """The Services through which routes reach canary pods: of every entry of `objectRef`, or the Rollout's own."""
    if rollout.embedded:
        return (rollout.embedded.canary_service or rollout.embedded.service,)
    entries = dig(routing, "spec", "objectRef", default=[])
    found = (_canary_service(view, routing, entry) for entry in entries if routing and entry.get("service"))
    return tuple(dict.fromkeys(found))


def _canary_service(view: View, routing: Obj, entry: Obj) -> str:
    """An Ingress or an HTTPRoute tells versions apart by Service, so the stable one never lists a canary pod."""
    stable = str(entry["service"])
    if named := entry.get("canaryService"):
        return str(named)
    own = f"{stable}-canary"
    by_service = entry.get("ingress") or entry.get("gateway")
    return own if by_service and view.get(SERVICE, namespace_of(routing), own) else stable


def active_for(routing: Obj) -> list[str]:
    return dig(routing, "status", "activeFor", default=[])  # type: ignore[no-any-return]


def _absent(rollout: Rollout) -> str:
    return (
        f"TrafficRouting {rollout.key.namespace}/{rollout.routing} not found; "
        f"create it or correct the annotation {TRAFFIC_ROUTING_NAME}"
    )


def _trouble(obj: Obj, rollout: Rollout) -> str:
    """The TrafficRouting's own words for what it lacks; said once, however it begins."""
    where = f"TrafficRouting {rollout.key.namespace}/{rollout.routing}"
    if is_deleting(obj):
        return f"{where} is being deleted; create it again to go on"
    accepted = condition(obj, "Accepted")
    if accepted is None or accepted.get("status") != "False":
        return ""
    text = str(accepted.get("message") or accepted.get("reason") or "is not accepted")
    return text if text.startswith("TrafficRouting") else f"{where}: {text}"
