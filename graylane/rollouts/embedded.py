"""Routes written into the Rollout itself (`trafficRoutings`): what is made for them, kept as wanted, and taken back.

Pure. In: `Facts`. Out: effects. A TrafficRouting of our own carries the present step's share, so that everything known
about routes stays in one place; where stable and canary get a Service each, a copy of the user's Service selects the
canary's pods and the user's is pinned to the stable ones, both by `pod-template-hash`, as OpenKruise does.

In the safe order: the pin comes before the first canary pod, and goes before stable is promoted (its new pods have
another hash) or after the last canary pod; the canary's Service goes when no route leads to it any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.kit.effects import Create, Delete, Effect, Patch
from graylane.model.kinds import SERVICE, TRAFFIC_ROUTING
from graylane.model.meta import Key, Obj, annotations_of, dig, is_deleting, key_of, name_of, uid_of
from graylane.model.patches import create_merge_patch, guarded
from graylane.model.revisions import POD_TEMPLATE_HASH
from graylane.model.rollout import PINNED_BY, Embedded, StepState
from graylane.rollouts.canary import owner_of
from graylane.rollouts.facts import Facts
from graylane.rollouts.lifecycle import WORLD
from graylane.rollouts.parts import Lane, Services
from graylane.rollouts.release import HOLDING, Stage

_NOT_COPIED = (  # allocated for, or meant for, the user's Service alone
    *("clusterIP", "clusterIPs", "externalIPs", "ipFamilies", "ipFamilyPolicy"),
    *("loadBalancerIP", "loadBalancerClass", "allocateLoadBalancerNodePorts", "healthCheckNodePort"),
)


def route(facts: Facts) -> Iterator[Effect]:
    """The TrafficRouting of our own: there while a release wants routes, gone when none of its routes is left."""
    for routing in facts.former:
        if routing not in facts.strays and not is_deleting(routing):
            yield Delete(TRAFFIC_ROUTING, key_of(routing), uid=uid_of(routing))
    embedded, lane = facts.rollout.embedded, facts.lane
    if embedded is None or lane is None or lane.trouble_of_name:
        return
    key = Key(facts.rollout.key.namespace, lane.name)
    if not WORLD[facts.release.stage].lane:
        if lane.obj and lane.clear and not lane.deleting:
            yield Delete(TRAFFIC_ROUTING, key, uid=uid_of(lane.obj))
    elif lane.obj is None:
        if _is_served(facts.services):
            yield Create(TRAFFIC_ROUTING, _traffic_routing(facts, key, embedded))
    elif change := create_merge_patch(lane.obj["spec"], _spec(embedded, _strategy(facts))):
        yield Patch(TRAFFIC_ROUTING, key, guarded(lane.obj, {"spec": change}), reason="the step's share")


def inherit(facts: Facts) -> Iterator[Effect]:
    """One for the routes that OpenKruise made by itself, as they are now: without it nobody would take them back.

    It moves the routes after the step's pods are there, so before that they are the last step's.
    """
    embedded, lane = facts.rollout.embedded, facts.lane
    if embedded is None or lane is None or lane.obj is not None or not _is_served(facts.services):
        return
    step, rollout = facts.release.step, facts.rollout
    if facts.release.state is StepState.UPGRADE and step > 1:
        step -= 1
    strategy = rollout.steps[min(max(step, 1), facts.total_steps) - 1].strategy
    key = Key(rollout.key.namespace, lane.name)
    held = bool(facts.listed and strategy and facts.release.stage in HOLDING)
    yield Create(TRAFFIC_ROUTING, _routing(facts, key, _spec(embedded, strategy or {}), held=held))


def _is_served(pair: Services | None) -> bool:
    return pair is None or pair.unwanted or (pair.canary is not None and not pair.foreign)


def _traffic_routing(facts: Facts, key: Key, embedded: Embedded) -> Obj:
    """Held from the first where routes are there already: it would take them out before it puts them in again."""
    held = bool(facts.listed and facts.canary_serves() and facts.step.strategy)
    return _routing(facts, key, _spec(embedded, facts.step.strategy or {}), held=held)


def _routing(facts: Facts, key: Key, spec: Obj, *, held: bool) -> Obj:
    metadata: Obj = {"namespace": key.namespace, "name": key.name, "ownerReferences": [owner_of(facts.rollout)]}
    if held:
        metadata["finalizers"] = [facts.rollout.finalizer]
    return {"metadata": metadata, "spec": spec}


def _spec(embedded: Embedded, strategy: Obj) -> Obj:
    canary = {"canaryService": embedded.canary_service} if embedded.own_service else {}
    return {"objectRef": [embedded.entry | canary], "strategy": strategy}


def _strategy(facts: Facts) -> Obj:
    """The step's, once its pods can bear it; less than now can always be borne."""
    lane, wanted = facts.lane, facts.step.strategy
    assert lane is not None
    if wanted is None or lane.strategy is None or (lane.held and facts.frozen()):
        return lane.strategy or {}
    if facts.canary_serves() or not lane.held or _is_less(wanted, lane.strategy):
        return wanted
    return lane.strategy


def _is_less(wanted: Obj, present: Obj) -> bool:
    if wanted.get("matches") or present.get("matches"):
        return False
    return int(wanted.get("weight", 100)) <= int(present.get("weight", 100))


# -- Services


def pin(facts: Facts) -> Iterator[Effect]:
    """Before anything that starts or un-pauses pods."""
    pair = facts.services
    if pair is None or pair.stable is None:
        return
    wanted = _wanted_pin(facts, pair)
    if wanted is None or wanted == pair.pin:
        return
    mark = facts.rollout.key.name if wanted else None
    patch: Obj = {"spec": {"selector": {POD_TEMPLATE_HASH: wanted or None}}}
    patch["metadata"] = {"annotations": {PINNED_BY: mark}}
    key = Key(facts.rollout.key.namespace, name_of(pair.stable))
    yield Patch(SERVICE, key, guarded(pair.stable, patch), reason="pinned to stable" if wanted else "freed")


def _wanted_pin(facts: Facts, pair: Services) -> str | None:
    """What the stable Service should select by: a hash, "" for nothing of ours, None for whatever it does now."""
    if pair.claimed_by:
        return None
    if pair.unwanted:
        return ""
    if facts.release.stage in HOLDING:
        able = not pair.trouble and facts.stable_suffices() and _lane_avoids_stable(facts.lane, pair)
        return facts.release.stable_revision or None if able else None
    gone = facts.no_canary() and not pair.lingering
    return "" if facts.release.stage is Stage.PROMOTING or gone else None


def _lane_avoids_stable(lane: Lane | None, pair: Services) -> bool:
    """No route reaches canary pods through the stable Service, as a subset of it would."""
    return lane is None or lane.clear or (lane.confirmed and pair.canary_name in lane.leads_to)


def serve(facts: Facts) -> Iterator[Effect]:
    """The canary's Service, and which canary it selects."""
    pair, world = facts.services, WORLD[facts.release.stage]
    if pair is None or pair.foreign:
        return
    key = Key(facts.rollout.key.namespace, pair.canary_name)
    if pair.unwanted or not world.canary:
        pinned = pair.pin and not pair.claimed_by  # by its pods one sees when the pin may go
        if pair.canary and _is_left(facts, pair) and not pinned and not is_deleting(pair.canary):
            yield Delete(SERVICE, key, uid=uid_of(pair.canary))
        return
    mark = _served_hash(facts, pair)
    if pair.stable is None or not mark:
        return
    if pair.canary is None:
        yield Create(SERVICE, _canary_service(facts, pair.stable, key, mark))
    elif pair.canary_pin != mark:
        patch = {"spec": {"selector": {POD_TEMPLATE_HASH: mark}}}
        yield Patch(SERVICE, key, guarded(pair.canary, patch), reason="the newer canary serves")


def _is_left(facts: Facts, pair: Services) -> bool:
    """No route leads to the canary's Service any more."""
    if not pair.unwanted:
        return facts.lane_clear()
    lane = facts.lane
    return not facts.strays and (lane is None or (lane.confirmed and pair.canary_name not in lane.leads_to))


def _served_hash(facts: Facts, pair: Services) -> str:
    """The canary that the canary's Service should select: the wanted one once it is ready, else the one it has."""
    wanted, present = facts.canary.template_hash if facts.canary else "", pair.canary_pin
    alive = any(item.template_hash == present and item.available for item in facts.canaries)
    return present if present and alive and not facts.canary_ready() else wanted


def _canary_service(facts: Facts, stable: Obj, key: Key, mark: str) -> Obj:
    """A copy of the user's. Keys that the overlay changes get the canary's value (OpenKruise 0.6)."""
    spec = {name: value for name, value in stable["spec"].items() if name not in _NOT_COPIED}
    if dig(stable, "spec", "clusterIP") == "None":
        spec["clusterIP"] = "None"
    spec["ports"] = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports") or ()]
    if spec.get("type") == "LoadBalancer":
        spec["type"] = "ClusterIP"
    overlay = facts.rollout.patch.labels
    selector = {name: overlay.get(name, text) for name, text in spec["selector"].items()}
    spec["selector"] = selector | {POD_TEMPLATE_HASH: mark}
    metadata = {"namespace": key.namespace, "name": key.name, "ownerReferences": [owner_of(facts.rollout)]}
    return {"metadata": metadata, "spec": spec}


def unpin(service: Obj) -> Patch:
    """For a Rollout that is gone."""
    patch: Obj = {"spec": {"selector": {POD_TEMPLATE_HASH: None}}, "metadata": {"annotations": {PINNED_BY: None}}}
    key = Key(str(service["metadata"].get("namespace", "")), name_of(service))
    return Patch(SERVICE, key, guarded(service, patch), reason="freed")


def pinned_by(service: Obj) -> str:
    return annotations_of(service).get(PINNED_BY, "")
