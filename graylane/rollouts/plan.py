"""What must change so that the world becomes what the stage wants, as far as it is safe at this moment.

Pure. In: `Facts` after the decision. Out: effects, only the difference. Safe order is a cap, not a sequence: a route is
asked for only when ready canary pods are listed, taken back when none is left; what a route leads to goes only when no
route is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from graylane.kit.effects import Create, Delete, Effect, Event, Patch
from graylane.model.kinds import DEPLOYMENT, REPLICA_SET, TRAFFIC_ROUTING
from graylane.model.meta import Key, Obj, finalizers_of, name_of, uid_of
from graylane.model.patches import create_merge_patch, guarded
from graylane.model.revisions import bare_template, template_of
from graylane.model.rollout import (
    CANARY_FINALIZER,
    IN_PROGRESSING,
    STABLE_REVISION,
    WORKLOAD_TYPE,
    claim,
)
from graylane.rollouts import batch, embedded
from graylane.rollouts import canary as canaries
from graylane.rollouts.adoption import take_over
from graylane.rollouts.facts import Facts
from graylane.rollouts.lifecycle import WORLD, Hold
from graylane.rollouts.parts import Canary
from graylane.rollouts.release import Stage


def plan(facts: Facts, due: datetime | None) -> tuple[Effect, ...]:
    """Everything but the Rollout itself. Routes that must go are first, routes to add last. `due`: `batch.told_at`."""
    inherited = tuple(take_over(facts))
    if inherited:  # first it becomes ours, then anything is done to it
        return (*embedded.pin(facts), *inherited)
    return (
        *_close(facts),
        *embedded.pin(facts),
        *_stable(facts),
        *batch.record(facts, due),
        *_grow(facts),
        *embedded.serve(facts),
        *embedded.route(facts),
        *_open(facts),
        *_drop(facts),
        *batch.close(facts),
    )


# -- routes


def lane_wanted(facts: Facts) -> bool:
    """Whether our finalizer belongs on the TrafficRouting now: never without a ready, listed canary pod behind it."""
    lane = facts.lane
    if lane is None or lane.obj is None or lane.deleting or not WORLD[facts.release.stage].lane:
        return False
    if facts.listed < 1 or (facts.rollout.embedded and not _shares(facts)):
        return False
    return lane.held or (facts.canary_serves() and not facts.frozen())


def _shares(facts: Facts) -> bool:
    """Whether the step asks for traffic; once every step is approved, as the last one did."""
    return facts.step.strategy is not None and not (facts.lane and facts.lane.trouble_of_name)


def _open(facts: Facts) -> Iterator[Effect]:
    lane = facts.lane
    if lane and lane.obj and not lane.held and lane_wanted(facts):
        yield _finalizers(lane.obj, [*finalizers_of(lane.obj), facts.rollout.finalizer], "routes asked for")


def _close(facts: Facts) -> Iterator[Effect]:
    """Also takes our finalizer off TrafficRoutings that the Rollout no longer names."""
    lane = facts.lane
    held = [lane.obj] if lane and lane.obj and lane.held and not lane_wanted(facts) else []
    for routing in (*held, *facts.strays):
        left = [item for item in finalizers_of(routing) if item != facts.rollout.finalizer]
        if left != finalizers_of(routing):
            yield _finalizers(routing, left, "routes given back")


def _finalizers(routing: Obj, finalizers: list[str], reason: str) -> Patch:
    """Conditional, since a merge patch replaces the whole list and others write there too."""
    key = Key(str(routing["metadata"].get("namespace", "")), name_of(routing))
    return Patch(TRAFFIC_ROUTING, key, guarded(routing, {"metadata": {"finalizers": finalizers}}), reason=reason)


# -- the stable Deployment


def _stable(facts: Facts) -> Iterator[Effect]:
    if facts.stable is None:
        return
    patch = _mark(facts)
    match WORLD[facts.release.stage].stable:
        case Hold.HELD:
            patch = _hold(facts, patch)
        case Hold.FREE if facts.claimed():
            patch = _free(patch)
        case Hold.PROMOTED if facts.stable.revision == facts.release.canary_revision and facts.unpinned():
            patch = _free(patch) if facts.claimed() or facts.stable.paused else patch
        case Hold.RESTORED if facts.lane_clear():
            patch = _restore(facts, patch)
        case Hold.RELEASED if facts.claimed():
            patch = _free(patch) if facts.holds_stable() else _unclaim(patch)
            yield from _left_paused(facts)
    if patch:
        key = Key(facts.rollout.key.namespace, facts.stable.name)
        yield Patch(DEPLOYMENT, key, guarded(facts.stable.obj, patch))
    yield from _quench(facts)


def _left_paused(facts: Facts) -> Iterator[Effect]:
    """Un-pausing would roll out a version that nobody approved; leaving it paused must not be silent either."""
    if facts.stable and not facts.holds_stable():
        text = (
            f"Rollout {facts.rollout.key.name} let go of it with a version that was not approved, so it stays paused: "
            "`kubectl rollout resume` rolls the new template out, applying the old manifest goes back"
        )
        yield Event(DEPLOYMENT, facts.stable.obj, "Warning", "LeftPaused", text)


def _mark(facts: Facts) -> Obj:
    """The label by which OpenKruise's admission and tools find released workloads; it stays for ever."""
    if facts.release.stage is Stage.DISABLED or facts.deleted() or facts.stable is None or facts.stable.typed:
        return {}
    return {"metadata": {"labels": {WORKLOAD_TYPE: "deployment"}}}


def _hold(facts: Facts, patch: Obj) -> Obj:
    stable = facts.stable
    assert stable is not None
    metadata: Obj = dict(patch.get("metadata", {}))
    if stable.labelled != facts.release.stable_revision and facts.release.stable_revision:
        metadata["labels"] = metadata.get("labels", {}) | {STABLE_REVISION: facts.release.stable_revision}
    if not facts.claimed():
        metadata["annotations"] = {IN_PROGRESSING: claim(facts.rollout.key.name)}
    held = patch | ({"metadata": metadata} if metadata else {})
    return held if stable.paused else held | {"spec": {"paused": True}}


def _free(patch: Obj) -> Obj:
    """Unclaimed and un-paused in one write: admission pauses again whatever is still claimed."""
    return _unclaim(patch) | {"spec": {"paused": None}}


def _unclaim(patch: Obj) -> Obj:
    return patch | {"metadata": patch.get("metadata", {}) | {"annotations": {IN_PROGRESSING: None}}}


def _restore(facts: Facts, patch: Obj) -> Obj:
    """The stable version's template back, un-paused, in one write; nothing where there is nothing to go back to."""
    stable, known = facts.stable, facts.stable_set
    if stable is None or known is None:
        return patch
    if facts.back_to_stable():
        return _free(patch) if facts.claimed() or stable.paused else patch
    free = _free(patch)
    change = create_merge_patch(template_of(stable.obj), bare_template(known.template))
    return free | {"spec": free["spec"] | {"template": change}}


def _quench(facts: Facts) -> Iterator[Effect]:
    """Admission was not asked and stable had begun to roll: take its new pods back, while the old ones suffice.

    A paused Deployment whose only ReplicaSet with pods is the old one brings that back to full size itself.
    """
    stable, known = facts.stable, facts.stable_set
    if WORLD[facts.release.stage].stable is not Hold.HELD or stable is None or known is None or not facts.stable_held():
        return
    if not facts.stable_suffices():
        return
    for item in stable.sets:
        if item.revision != known.revision and item.wanted > 0:
            key = Key(facts.rollout.key.namespace, item.name)
            yield Patch(REPLICA_SET, key, {"spec": {"replicas": 0}}, reason="held back")


# -- the canary


def _grow(facts: Facts) -> Iterator[Effect]:
    """Create the canary of the present revision, or correct it. Superseded ones are left as they are until they go."""
    if not WORLD[facts.release.stage].canary or facts.stable is None or facts.misfit:
        return
    if facts.canary is None and not (facts.pinned() or facts.release.stage is Stage.PROMOTING):
        return
    rollout, stable, canary = facts.rollout, facts.stable, facts.canary
    if stable.revision != facts.release.canary_revision:
        return
    if canary is None:
        owner = batch.owner(facts)
        if facts.target > 0 and owner and not facts.frozen():
            yield Create(DEPLOYMENT, canaries.build(stable.obj, rollout, facts.free_name, facts.target, owner))
        return
    patch = canaries.correction(canary.obj, facts.target)
    if patch:
        yield Patch(DEPLOYMENT, Key(rollout.key.namespace, canary.name), guarded(canary.obj, patch))


def _drop(facts: Facts) -> Iterator[Effect]:
    for item in facts.canaries:
        if may_drop(facts, item):
            yield from _delete(facts, item)


def may_drop(facts: Facts, canary: Canary) -> bool:
    """A canary goes when no route is left, or when the wanted one serves in its place; never before."""
    if not WORLD[facts.release.stage].canary:
        return facts.lane_clear()
    if canary is facts.canary:
        return False
    return facts.canary is not None and facts.canary_serves()


def _delete(facts: Facts, canary: Canary) -> Iterator[Effect]:
    """First our finalizer, then the object: after a crash in between it is found again and deleted.

    The last ones go with their BatchRelease.
    """
    key = Key(facts.rollout.key.namespace, canary.name)
    if canary.protected:
        left = [item for item in finalizers_of(canary.obj) if item != CANARY_FINALIZER]
        yield Patch(DEPLOYMENT, key, guarded(canary.obj, {"metadata": {"finalizers": left}}))
    last = canary.recorded and not WORLD[facts.release.stage].canary
    if not canary.deleting and not last:
        yield Delete(DEPLOYMENT, key, uid=uid_of(canary.obj))
