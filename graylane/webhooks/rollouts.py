"""Refuses Rollouts that cannot be carried out, naming the field, before anything runs.

Pure. In: an admission request about a Rollout of either API version, a `View` of the others. Out: yes, or every reason
why not. OpenKruise's rules on the object alone are the decoders'; those that need other objects (V15) or the old one
(U1 to U3), and the one that only v1alpha1 has (V8), are here.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.errors import BadRequest, Invalid
from graylane.kit.cache import View
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import Obj, annotations_of, dig, key_of, name_of
from graylane.model.rollout import DEADLINE, ON_FAILURE, TRAFFIC_ROUTING_NAME, Phase, WorkloadRef
from graylane.model.versions.rollout import decode
from graylane.model.versions.rollout_conversion import V1BETA1
from graylane.model.versions.rollout_v1alpha1 import rolling_style
from graylane.webhooks.review import ALLOWED, AdmissionResponse, refused

_FROZEN = frozenset({Phase.PROGRESSING, Phase.TERMINATING})
_WORKLOAD = {False: ("spec", "objectRef", "workloadRef"), True: ("spec", "workloadRef")}  # by whether it is v1beta1


def validate_rollout(request: Obj, view: View) -> AdmissionResponse:
    """CREATE and UPDATE; anything else, and a Rollout that is only being finished off, passes."""
    obj, old = request.get("object"), request.get("oldObject")
    if request.get("operation") not in ("CREATE", "UPDATE"):
        return ALLOWED
    if not isinstance(obj, dict):
        return AdmissionResponse(error=BadRequest("request.object: Required value: a Rollout"))
    if isinstance(old, dict) and _only_metadata(obj, old):
        return ALLOWED
    namespace = str(request.get("namespace") or dig(obj, "metadata", "namespace", default=""))
    problems = [*_spec(obj), *_conflicts(obj, namespace, view), *_shrinking(obj, old or {})]
    if isinstance(old, dict):
        problems += _immutable(obj, old)
    return refused("; ".join(problems)) if problems else ALLOWED


def _only_metadata(obj: Obj, old: Obj) -> bool:
    """Finalizers and deletion must pass although an older Graylane or OpenKruise admitted what we refuse."""
    return obj.get("spec") == old.get("spec") and _read_annotations(obj) == _read_annotations(old)


def _read_annotations(obj: Obj) -> tuple[str, ...]:
    found = annotations_of(obj)
    return (rolling_style(obj), *(found.get(name, "") for name in (TRAFFIC_ROUTING_NAME, DEADLINE, ON_FAILURE)))


def _spec(obj: Obj) -> Iterator[str]:
    try:
        decode(obj)
    except Invalid as error:
        yield error.message


def _shrinking(obj: Obj, old: Obj) -> Iterator[str]:
    """V8, where v1alpha1 writes the steps. In v1beta1 traffic may shrink, and such steps are not refused once there."""
    canary = dig(obj, "spec", "strategy", "canary", default={})
    steps = canary.get("steps") if isinstance(canary, dict) else None
    if _is_beta(obj) or not isinstance(steps, list) or not canary.get("trafficRoutings"):
        return
    if steps == dig(old, "spec", "strategy", "canary", "steps"):
        return
    weights = [step["weight"] for step in steps if isinstance(step, dict) and isinstance(step.get("weight"), int)]
    if weights != sorted(weights):
        yield f"spec.strategy.canary.steps: Invalid value: {weights}: Steps.Weight must be a non decreasing sequence"


def _conflicts(obj: Obj, namespace: str, view: View) -> Iterator[str]:
    """V15. OpenKruise compares the references as text; two spellings of one Deployment are one workload here."""
    target = _target(obj)
    if target is None:
        return
    for other in view.list(ROLLOUT, namespace):
        if name_of(other) != name_of(obj) and _target(other) == target:
            yield (
                f"{'.'.join(_WORKLOAD[_is_beta(obj)])}: Invalid value: {target}: This rollout conflict with "
                f"Rollout({key_of(other)}), one workload only have less than one Rollout"
            )


def _target(obj: Obj) -> WorkloadRef | None:
    found = dig(obj, *_WORKLOAD[_is_beta(obj)], default={})
    if not found.get("name"):
        return None
    group = str(found.get("apiVersion", "")).rpartition("/")[0]
    return WorkloadRef(group, str(found.get("kind", "")), str(found["name"]))


def _immutable(obj: Obj, old: Obj) -> Iterator[str]:
    """U1 to U3, and v0.6's rule on v1beta1's steps: while a release is under way, what it stands on stays."""
    if dig(old, "status", "phase") not in _FROZEN:
        return
    workload, canary = _WORKLOAD[_is_beta(obj)], ("spec", "strategy", "canary")
    routings = (*canary, "trafficRoutings")
    if dig(obj, *workload) != dig(old, *workload):
        yield f"{'.'.join(workload)}: Forbidden: Rollout 'ObjectRef' field is immutable"
    if dig(obj, *routings, default=[]) != dig(old, *routings, default=[]):
        yield f"{'.'.join(routings)}: Forbidden: Rollout 'Strategy.Canary.TrafficRoutings' field is immutable"
    if _is_beta(obj):
        yield from _immutable_in_v1beta1(dig(obj, *canary, default={}), dig(old, *canary, default={}))
    elif rolling_style(obj) != rolling_style(old):
        yield "metadata.annotations: Forbidden: Rollout 'Rolling-Style' annotation is immutable"


def _immutable_in_v1beta1(new: Obj, old: Obj) -> Iterator[str]:
    style = "enableExtraWorkloadForCanary"
    if bool(new.get(style)) != bool(old.get(style)):
        yield f"spec.strategy.canary.{style}: Forbidden: Rollout {style} is immutable"
    if len(new.get("steps") or ()) != len(old.get("steps") or ()):
        yield "spec.strategy.canary.steps: Forbidden: Amount of Rollout steps are immutable"


def _is_beta(obj: Obj) -> bool:
    return obj.get("apiVersion") == V1BETA1
