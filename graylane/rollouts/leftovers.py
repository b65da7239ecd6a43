"""What to do about Rollouts that cannot be read, and what to clean up after those that are gone.

Pure. In: a `View`. Out: effects. A Rollout removed by force, or one whose spec is refused, must not leave finalizers
that nobody takes off.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from graylane.kit.cache import View
from graylane.kit.effects import Delete, Effect, Event, Patch
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, ROLLOUT, SERVICE, TRAFFIC_ROUTING, Kind
from graylane.model.meta import (
    Condition,
    Key,
    Obj,
    dig,
    finalizers_of,
    find_condition,
    is_deleting,
    key_of,
    set_condition,
    uid_of,
)
from graylane.model.patches import create_merge_patch, guarded
from graylane.model.rollout import (
    BATCH_RELEASE_FINALIZER,
    CANARY_DEPLOYMENT,
    CANARY_FINALIZER,
    PROGRESSING_FINALIZER,
    ROLLOUT_FINALIZER,
)
from graylane.model.selectors import LabelSelector
from graylane.rollouts.canary import rollout_of
from graylane.rollouts.embedded import pinned_by, unpin
from graylane.rollouts.lane import active_for
from graylane.rollouts.status import NOTHING, WAITING


def refuse(view: View, obj: Obj, problem: str, now: datetime) -> Iterator[Effect]:
    """Say what is wrong with the spec and touch nothing else; but let the Rollout be deleted.

    `observedGeneration` stays: the rest of the status is about the spec before, which health checks shall not take for
    this one.
    """
    if is_deleting(obj):
        remains = list(release_orphans(view, key_of(obj)))
        yield from remains
        if not remains and not _canaries(view, key_of(obj)) and ROLLOUT_FINALIZER in finalizers_of(obj):
            yield _without(ROLLOUT, obj, ROLLOUT_FINALIZER)
        return
    old = dig(obj, "status", default={})
    conditions = dig(old, "conditions", default=[])
    text = f"the spec is refused: {problem}"
    waiting = set_condition(conditions, Condition(WAITING, "True", "InvalidSpec", text), now)
    wanted = {"canaryStatus": NOTHING} | old | {"message": text, "conditions": waiting}
    change = create_merge_patch(old, wanted)
    if change:
        yield Patch(ROLLOUT, key_of(obj), guarded(obj, {"status": change}), subresource="status")
    if (find_condition(conditions, WAITING) or {}).get("message") != text:
        yield Event(ROLLOUT, obj, "Warning", "InvalidSpec", text)


def release_orphans(view: View, key: Key) -> Iterator[Effect]:
    """Take the finalizers of a Rollout that is gone off what it left, routes first."""
    finalizer = PROGRESSING_FINALIZER + key.name
    routings = view.list(TRAFFIC_ROUTING, key.namespace)
    for routing in routings:
        if finalizer in finalizers_of(routing):
            yield _without(TRAFFIC_ROUTING, routing, finalizer)
    if any(finalizer in finalizers_of(routing) or key.name in active_for(routing) for routing in routings):
        return
    canaries = _canaries(view, key)
    if not canaries:
        yield from (unpin(service) for service in view.list(SERVICE, key.namespace) if pinned_by(service) == key.name)
    for canary in canaries:
        if CANARY_FINALIZER in finalizers_of(canary):
            yield _without(DEPLOYMENT, canary, CANARY_FINALIZER)
        if not is_deleting(canary):
            yield Delete(DEPLOYMENT, key_of(canary), uid=uid_of(canary))
    yield from _record(view, key)


def _canaries(view: View, key: Key) -> list[Obj]:
    """By name, since the uid went with the Rollout."""
    found = view.list(DEPLOYMENT, key.namespace, LabelSelector.parse(CANARY_DEPLOYMENT))
    return [item for item in found if rollout_of(item) == key]


def _record(view: View, key: Key) -> Iterator[Effect]:
    """Collected with its Rollout, unless OpenKruise's finalizer is on it."""
    found = view.get(BATCH_RELEASE, *key)
    if found is None or rollout_of(found) != key:
        return
    if BATCH_RELEASE_FINALIZER in finalizers_of(found):
        yield _without(BATCH_RELEASE, found, BATCH_RELEASE_FINALIZER)
    if not is_deleting(found):
        yield Delete(BATCH_RELEASE, key, uid=uid_of(found))


def _without(kind: Kind, obj: Obj, finalizer: str) -> Patch:
    left = [item for item in finalizers_of(obj) if item != finalizer]
    return Patch(kind, key_of(obj), guarded(obj, {"metadata": {"finalizers": left}}))
