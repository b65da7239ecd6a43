"""A stage for releases in virtual time: tiny stand-ins for everything a Rollout leans on.

Pure. In: a `View`. Out: controllers for Deployments, ReplicaSets, pods, EndpointSlices and TrafficRoutings. Each takes
one small step per look, so that a story passes through every intermediate state; a route is one flag on a
VirtualService, which leads dyed requests to the canary or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from graylane.kit.cache import View
from graylane.kit.effects import Create, Delete, Effect, Outcome, Patch
from graylane.kit.loop import Controller
from graylane.model.hashing import short_hash
from graylane.model.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    REPLICA_SET,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import (
    Key,
    Obj,
    dig,
    finalizers_of,
    generation_of,
    is_deleting,
    is_true,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from graylane.model.revisions import POD_TEMPLATE_HASH, bare_template, revision_of, template_of, wanted_replicas
from graylane.model.rollout import GROUP, PROGRESSING_FINALIZER
from graylane.model.selectors import LabelSelector

BROKEN = "broken"  # an image whose pods never become ready
ROUTING_FINALIZER = f"{GROUP}/trafficrouting"


def stand_ins() -> list[Controller]:
    """Everything around the Rollout controller."""
    looks = (
        ("deployment", DEPLOYMENT, deployment),
        ("replicaset", REPLICA_SET, replica_set),
        ("kubelet", POD, kubelet),
        ("endpoints", SERVICE, endpoints),
        ("routing", TRAFFIC_ROUTING, routing),
    )
    return [Controller(name, kind, look) for name, kind, look in looks]


# -- workloads


def deployment(view: View, key: Key, now: datetime) -> Outcome:
    """Un-paused: the new ReplicaSet at full size, the old ones away once it is available. Paused: only scales."""
    obj = view.get(DEPLOYMENT, *key)
    if obj is None or is_deleting(obj):
        return Outcome()
    sets: list[Obj] = view.owned_by(REPLICA_SET, uid_of(obj))
    fresh = next((item for item in sets if revision_of(template_of(item)) == revision_of(template_of(obj))), None)
    sizes = _scaled(obj, sets) if dig(obj, "spec", "paused") else _rolled(obj, sets, fresh)
    effects: list[Effect] = [
        Patch(REPLICA_SET, key_of(item), {"spec": {"replicas": size}})
        for item, size in sizes
        if wanted_replicas(item) != size
    ]
    wanted = _replica_set(obj)
    taken = view.get(REPLICA_SET, *key_of(wanted)) is not None  # by a namesake's set that awaits its collection
    if fresh is None and not taken and not dig(obj, "spec", "paused"):
        effects.append(Create(REPLICA_SET, wanted))
    status = {
        "observedGeneration": generation_of(obj),
        "replicas": sum(_count(item, "replicas") for item in sets),
        "updatedReplicas": _count(fresh, "replicas") if fresh else 0,
        "availableReplicas": sum(_count(item, "availableReplicas") for item in sets),
    }
    return Outcome((*effects, *_status(DEPLOYMENT, obj, status)))


def _scaled(obj: Obj, sets: list[Obj]) -> Iterable[tuple[Obj, int]]:
    active = [item for item in sets if wanted_replicas(item) > 0]
    return [(active[0], wanted_replicas(obj))] if len(active) == 1 else []


def _rolled(obj: Obj, sets: list[Obj], fresh: Obj | None) -> Iterable[tuple[Obj, int]]:
    if fresh is None:
        return
    yield fresh, wanted_replicas(obj)
    if _count(fresh, "availableReplicas") >= wanted_replicas(obj):
        yield from ((item, 0) for item in sets if item is not fresh)


def _replica_set(obj: Obj) -> Obj:
    template = bare_template(template_of(obj))
    mark = short_hash(template, 8)
    labels = labels_of(template) | {POD_TEMPLATE_HASH: mark}
    return {
        "metadata": {
            "namespace": namespace_of(obj),
            "name": f"{name_of(obj)}-{mark}",
            "labels": labels,
            "ownerReferences": [owner_reference(obj, DEPLOYMENT)],
        },
        "spec": {
            "replicas": wanted_replicas(obj),
            "template": template | {"metadata": template["metadata"] | {"labels": labels}},
        },
    }


def replica_set(view: View, key: Key, now: datetime) -> Outcome:
    obj = view.get(REPLICA_SET, *key)
    if obj is None or is_deleting(obj):
        return Outcome()
    pods: list[Obj] = view.owned_by(POD, uid_of(obj))
    wanted = [f"{key.name}-{index}" for index in range(wanted_replicas(obj))]
    present = {name_of(pod) for pod in pods}
    ready = sum(is_true(pod, "Ready") for pod in pods)
    status = {"replicas": len(pods), "availableReplicas": ready}
    surplus = sorted(present - set(wanted))
    return Outcome(
        (
            *(Create(POD, _pod(obj, name)) for name in wanted if view.get(POD, key.namespace, name) is None),
            *(Delete(POD, Key(key.namespace, name)) for name in surplus),
            *_status(REPLICA_SET, obj, status),
        )
    )


def _pod(owner: Obj, name: str) -> Obj:
    template = template_of(owner)
    return {
        "metadata": {
            "namespace": namespace_of(owner),
            "name": name,
            "labels": labels_of(template),
            "ownerReferences": [owner_reference(owner, REPLICA_SET)],
        },
        "spec": template.get("spec", {}),
    }


def kubelet(view: View, key: Key, now: datetime) -> Outcome:
    """Pods are ready at once, except those of the broken image, and those somebody marked unready by hand."""
    pod = view.get(POD, *key)
    if pod is None or dig(pod, "status", "conditions"):
        return Outcome()
    broken = BROKEN in str(dig(pod, "spec", "containers", 0, "image", default=""))
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "it never starts"}}
    state = waiting if broken else {"running": {}}
    status = {
        "conditions": [{"type": "Ready", "status": "False" if broken else "True"}],
        "containerStatuses": [{"name": "default", "state": state}],
    }
    return Outcome((Patch(POD, key, {"status": status}, subresource="status"),))


def endpoints(view: View, key: Key, now: datetime) -> Outcome:
    service = view.get(SERVICE, *key)
    if service is None:
        return Outcome()
    selector = LabelSelector.of_map(dig(service, "spec", "selector", default={}))
    listed = [
        {
            "conditions": {"ready": is_true(pod, "Ready")},
            "targetRef": {"kind": "Pod", "name": name_of(pod)},
        }
        for pod in view.list(POD, key.namespace, selector)
        if not is_deleting(pod)
    ]
    name = f"{key.name}-slice"
    current = view.get(ENDPOINT_SLICE, key.namespace, name)
    if current is None:
        metadata = {
            "namespace": key.namespace,
            "name": name,
            "labels": {"kubernetes.io/service-name": key.name},
            "ownerReferences": [owner_reference(service, SERVICE)],
        }
        return Outcome((Create(ENDPOINT_SLICE, {"metadata": metadata, "endpoints": listed}),))
    if current["endpoints"] == listed:
        return Outcome()
    return Outcome((Patch(ENDPOINT_SLICE, Key(key.namespace, name), {"endpoints": listed}),))


# -- routes


def routing(view: View, key: Key, now: datetime) -> Outcome:
    """One step towards what the finalizers ask for: phase, then route, then the word that it is confirmed."""
    obj = view.get(TRAFFIC_ROUTING, *key)
    if obj is None:
        return Outcome()
    rollouts = sorted(
        item.removeprefix(PROGRESSING_FINALIZER)
        for item in finalizers_of(obj)
        if item.startswith(PROGRESSING_FINALIZER)
    )
    if is_deleting(obj):
        rollouts = []
    elif ROUTING_FINALIZER not in finalizers_of(obj):
        patch = {"metadata": {"finalizers": [*finalizers_of(obj), ROUTING_FINALIZER]}}
        return Outcome((Patch(TRAFFIC_ROUTING, key, patch),))
    return Outcome(tuple(_one_step(view, obj, rollouts)))


def _one_step(view: View, obj: Obj, rollouts: list[str]) -> Iterable[Effect]:
    route = view.get(VIRTUAL_SERVICE, namespace_of(obj), route_name(obj))
    phase = dig(obj, "status", "phase", default="")
    lit = bool(dig(route, "spec", "lane", default=False))
    if route is None and not is_deleting(obj):
        text = f"VirtualService {route_name(obj)} not found"
        resting = [] if not rollouts else dig(obj, "status", "activeFor", default=[])
        kept = phase if rollouts and phase else "Initial"
        return _said(obj, kept, resting, accepted="False", text=text)
    if rollouts:
        if phase != "Progressing":
            return _said(obj, "Progressing", [], text="TrafficRouting is Progressing")
        return [_light(obj, True)] if not lit else _said(obj, "Progressing", rollouts)
    if lit and phase not in ("Finalizing", "Terminating"):
        closing = "Terminating" if is_deleting(obj) else "Finalizing"
        return _said(obj, closing, dig(obj, "status", "activeFor", default=[]))
    if lit:
        return [_light(obj, False)]
    if is_deleting(obj):
        left = [item for item in finalizers_of(obj) if item != ROUTING_FINALIZER]
        change = {"metadata": {"finalizers": left}}
        return [Patch(TRAFFIC_ROUTING, key_of(obj), change)] if left != finalizers_of(obj) else []
    return _said(obj, "Healthy", [])


def route_name(routing_obj: Obj) -> str:
    return f"vs-{name_of(routing_obj)}"


def _light(obj: Obj, lane: bool) -> Effect:
    return Patch(VIRTUAL_SERVICE, Key(namespace_of(obj), route_name(obj)), {"spec": {"lane": lane}})


def _said(obj: Obj, phase: str, active: list[str], accepted: str = "True", text: str = "") -> Iterable[Effect]:
    message = text or f"TrafficRouting is {phase}"
    accepted_condition = {"type": "Accepted", "status": accepted, "reason": "Refs", "message": message}
    status = {"phase": phase, "message": message, "activeFor": active, "conditions": [accepted_condition]}
    return _status(TRAFFIC_ROUTING, obj, status)


def _status(kind: Kind, obj: Obj, status: Obj) -> tuple[Effect, ...]:
    if all(dig(obj, "status", name) == value for name, value in status.items()):
        return ()
    return (Patch(kind, key_of(obj), {"status": status}, subresource="status"),)


def _count(obj: Obj, name: str) -> int:
    return int(dig(obj, "status", name, default=0))
