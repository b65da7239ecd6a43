"""Refuses Rollouts that cannot be carried out, naming the field, before anything runs.

Pure. In: an admission request about a Rollout, a `View` of the others. Out: yes, or every reason why not. OpenKruise's
rules on the object alone are the decoder's; those that need other objects (V15) or the old one (U1 to U3) are here.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.errors import BadRequest, Invalid
from graylane.kit.cache import View
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import Obj, dig, key_of, name_of
from graylane.model.rollout import Phase, WorkloadRef
from graylane.model.versions.rollout import decode
from graylane.model.versions.rollout_v1alpha1 import rolling_style
from graylane.webhooks.review import ALLOWED, AdmissionResponse, refused

_FROZEN = frozenset({Phase.PROGRESSING, Phase.TERMINATING})


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
    problems = [*_spec(obj), *_conflicts(obj, namespace, view)]
    if isinstance(old, dict):
        problems += _immutable(obj, old)
    return refused("; ".join(problems)) if problems else ALLOWED


def _only_metadata(obj: Obj, old: Obj) -> bool:
    """Finalizers and deletion must pass although an older Graylane or OpenKruise admitted what we refuse."""
    return obj.get("spec") == old.get("spec") and rolling_style(obj) == rolling_style(old)


def _spec(obj: Obj) -> Iterator[str]:
    try:
        decode(obj)
    except Invalid as error:
        yield error.message


def _conflicts(obj: Obj, namespace: str, view: View) -> Iterator[str]:
    """V15. OpenKruise compares the references as text; two spellings of one Deployment are one workload here."""
    target = _target(obj)
    if target is None:
        return
    for other in view.list(ROLLOUT, namespace):
        if name_of(other) != name_of(obj) and _target(other) == target:
            yield (
                f"spec.objectRef.workloadRef: Invalid value: {target}: This rollout conflict with "
                f"Rollout({key_of(other)}), one workload only have less than one Rollout"
            )


def _target(obj: Obj) -> WorkloadRef | None:
    found = dig(obj, "spec", "objectRef", "workloadRef", default={})
    if not found.get("name"):
        return None
    group = str(found.get("apiVersion", "")).rpartition("/")[0]
    return WorkloadRef(group, str(found.get("kind", "")), str(found["name"]))


def _immutable(obj: Obj, old: Obj) -> Iterator[str]:
    """U1 to U3: while a release is under way, what it stands on stays."""
    if dig(old, "status", "phase") not in _FROZEN:
        return
    if dig(obj, "spec", "objectRef") != dig(old, "spec", "objectRef"):
        yield "spec.objectRef: Forbidden: Rollout 'ObjectRef' field is immutable"
    routings = ("spec", "strategy", "canary", "trafficRoutings")
    if dig(obj, *routings, default=[]) != dig(old, *routings, default=[]):
        yield f"{'.'.join(routings)}: Forbidden: Rollout 'Strategy.Canary.TrafficRoutings' field is immutable"
    if rolling_style(obj) != rolling_style(old):
        yield "metadata.annotations: Forbidden: Rollout 'Rolling-Style' annotation is immutable"
