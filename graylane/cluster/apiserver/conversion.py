"""One stored object, shown in any served version of its kind.

Pure. In: an object and an apiVersion. Out: the object in that version. Versions of custom kinds differ in name only
(`strategy: None`); the kinds that differ in shape have a row each way: some built-in ones, Rollout and BatchRelease,
which elsewhere the conversion webhook converts by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable

from graylane.model.meta import Obj
from graylane.model.versions import autoscaler, batchrelease
from graylane.model.versions.rollout_conversion import V1ALPHA1, V1BETA1, to_v1alpha1, to_v1beta1


def to(obj: Obj, api_version: str) -> Obj:
    """`obj` itself when it already is in that version."""
    if obj["apiVersion"] == api_version:
        return obj
    reshape = _SHAPES.get((obj["kind"], obj["apiVersion"], api_version))
    shaped = reshape(obj) if reshape else obj
    return {"apiVersion": api_version, **{name: value for name, value in shaped.items() if name != "apiVersion"}}


def renamed_only(kind: str, stored: str, shown: str) -> bool:
    return (kind, stored, shown) not in _SHAPES


_EVENT_FIELDS = {  # core → events.k8s.io; all others have the same name in both
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_CORE_FIELDS = {new: old for old, new in _EVENT_FIELDS.items()}


def _event_up(obj: Obj) -> Obj:
    return {_EVENT_FIELDS.get(name, name): value for name, value in obj.items()}


def _event_down(obj: Obj) -> Obj:
    return {_CORE_FIELDS.get(name, name): value for name, value in obj.items()}


_SHAPES: dict[tuple[str, str, str], Callable[[Obj], Obj]] = {
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): autoscaler.to_v1,
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): autoscaler.to_v2,
    ("Event", "v1", "events.k8s.io/v1"): _event_up,
    ("Event", "events.k8s.io/v1", "v1"): _event_down,
    ("Rollout", V1ALPHA1, V1BETA1): to_v1beta1,
    ("Rollout", V1BETA1, V1ALPHA1): to_v1alpha1,
    ("BatchRelease", V1ALPHA1, V1BETA1): batchrelease.to_v1beta1,
    ("BatchRelease", V1BETA1, V1ALPHA1): batchrelease.to_v1alpha1,
}
