"""Which writes may go out now, in which order.

Pure. In: the TrafficRouting, its next status, the composed targets. Out: effects. The status goes first, so that a
Rollout never sees a TrafficRouting that says Healthy while routes are in; our finalizer comes before the first route
and goes after the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from graylane.kit.effects import Effect, Patch
from graylane.model.kinds import TRAFFIC_ROUTING
from graylane.model.meta import Obj, finalizers_of, key_of
from graylane.model.patches import create_merge_patch, guarded
from graylane.model.trafficrouting import FINALIZER
from graylane.trafficrouting.compose import Composed
from graylane.trafficrouting.lane import World


def plan(obj: Obj, world: World, status: dict[str, Any], writes: Iterable[Composed]) -> tuple[Effect, ...]:
    """Finalizer, status, routes; the finalizer's removal last, and then without a status: the object may be gone."""
    changes = [item.change for item in writes if item.change is not None]
    if not world.protected and (release := _set_finalizer(obj, present=False)):
        return (*changes, *release)
    protect = _set_finalizer(obj, present=True) if world.protected else ()
    return (*protect, *_set_status(obj, status, as_read=not protect), *changes)


def due(composed: Sequence[Composed], *, blocked: bool) -> tuple[Composed, ...]:
    """The targets to write now.

    Taking out routes is always right. A definition goes only when no route of ours is left to point at it; a route
    comes only when every definition stands confirmed. `blocked`: something is missing, so nothing begins, but what has
    begun is kept up.
    """
    adding = [item for item in composed if item.adds]
    removing = [item for item in composed if not item.adds]
    allowed = _in_order(removing) + [item for item in _in_order(adding) if item.target.routed or not blocked]
    return tuple(item for item in allowed if item.change is not None)


def _in_order(items: Sequence[Composed]) -> list[Composed]:
    """Those that go first, and the others once these are settled."""
    open_to_all = all(item.is_settled for item in items if item.goes_first)
    return [item for item in items if item.goes_first or open_to_all]


def _set_finalizer(obj: Obj, *, present: bool) -> tuple[Effect, ...]:
    """Conditional, because finalizers are one list and Rollouts write theirs to it at the same time."""
    finalizers = finalizers_of(obj)
    if (FINALIZER in finalizers) is present or (present and obj["metadata"].get("deletionTimestamp")):
        return ()  # a finalizer cannot be added to an object that is being deleted
    wanted = [*finalizers, FINALIZER] if present else [name for name in finalizers if name != FINALIZER]
    return (Patch(TRAFFIC_ROUTING, key_of(obj), guarded(obj, {"metadata": {"finalizers": wanted}})),)


def _set_status(obj: Obj, status: dict[str, Any], *, as_read: bool) -> tuple[Effect, ...]:
    """Conditional, because a Rollout may have let go while a script ran: routes must not follow its farewell.

    Not so right behind the finalizer, whose own condition has just said that nothing changed, and changed the version.
    """
    patch = create_merge_patch(obj.get("status") or {}, status)
    if not patch:
        return ()
    body = guarded(obj, {"status": patch}) if as_read else {"status": patch}
    return (Patch(TRAFFIC_ROUTING, key_of(obj), body, subresource="status"),)
