"""One stored object, shown in any served version of its kind.

Pure. In: an object and an apiVersion. Out: the object in that version. Versions of custom kinds differ in name only
(`strategy: None`); the kinds that differ in shape have a row each way: some built-in ones, Rollout and BatchRelease,
which elsewhere the conversion webhook converts by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graylane.model.meta import Obj, dig
from graylane.model.versions import batchrelease
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


def _hpa_down(obj: Obj) -> Obj:
    """autoscaling/v2 → v1: the CPU percentage is the only metric that v1 can say."""
    spec: Obj = {k: v for k, v in (obj.get("spec") or {}).items() if k not in ("metrics", "behavior")}
    for metric in dig(obj, "spec", "metrics", default=[]):
        if dig(metric, "resource", "name") == "cpu":
            spec["targetCPUUtilizationPercentage"] = dig(metric, "resource", "target", "averageUtilization")
    return {**obj, "spec": spec, "status": _hpa_status_down(obj.get("status") or {})}


def _hpa_status_down(status: Obj) -> Obj:
    """v1 has neither conditions nor metrics but this one."""
    kept: Obj = {k: v for k, v in status.items() if k not in ("currentMetrics", "conditions")}
    for metric in status.get("currentMetrics") or []:
        percent = dig(metric, "resource", "current", "averageUtilization")
        if dig(metric, "resource", "name") == "cpu" and percent is not None:
            kept["currentCPUUtilizationPercentage"] = percent
    return kept


def _hpa_up(obj: Obj) -> Obj:
    spec: Obj = dict(obj.get("spec") or {})
    percent: Any = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {**obj, "spec": spec}


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
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): _hpa_down,
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): _hpa_up,
    ("Event", "v1", "events.k8s.io/v1"): _event_up,
    ("Event", "events.k8s.io/v1", "v1"): _event_down,
    ("Rollout", V1ALPHA1, V1BETA1): to_v1beta1,
    ("Rollout", V1BETA1, V1ALPHA1): to_v1alpha1,
    ("BatchRelease", V1ALPHA1, V1BETA1): batchrelease.to_v1beta1,
    ("BatchRelease", V1BETA1, V1ALPHA1): batchrelease.to_v1alpha1,
}
