"""Rollout `v1alpha1` (stored, watched by us) ↔ `v1beta1`, by OpenKruise's rules, but without its losses.

Pure. In: a wire object. Out: the same Rollout in the other version. What the other version has no field for travels in
annotations of ours, so that reading in one version and writing in the other changes nothing; annotations nobody wrote
are not shown. Used by the conversion webhook and by the embedded API, which knows this one kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graylane.errors import Invalid
from graylane.model.intorpercent import percent_of
from graylane.model.meta import Obj, annotations_of, dig
from graylane.model.rollout import GROUP, ROLLING_STYLE, TRAFFIC_ROUTING_NAME

V1ALPHA1, V1BETA1 = f"{GROUP}/v1alpha1", f"{GROUP}/v1beta1"

# Ours. On a v1alpha1 object: annotations that stand for a v1beta1 field whose author set the field alone.
FROM_FIELDS = "graylane.dev/annotations-from-v1beta1"
# Ours. On a v1beta1 object: `spec.rolloutID`, which only v1alpha1 has.
ROLLOUT_ID_FIELD = "graylane.dev/v1alpha1-rollout-id"


def to_v1beta1(obj: Obj) -> Obj:
    spec: Obj = dict(obj.get("spec") or {})
    annotations: dict[str, str] = dict(annotations_of(obj))
    derived = annotations.pop(FROM_FIELDS, "").split(",")
    target = spec.pop("objectRef", None) or {}
    if "workloadRef" in target:
        spec["workloadRef"] = target["workloadRef"]
    if "rolloutID" in spec:
        annotations[ROLLOUT_ID_FIELD] = str(spec.pop("rolloutID"))
    canary = dig(spec, "strategy", "canary")
    if isinstance(canary, dict):
        spec["strategy"] = spec["strategy"] | {"canary": _canary_up(canary, annotations)}
    shown = {name: text for name, text in annotations.items() if name not in derived}
    return _rebuilt(obj, V1BETA1, spec, shown, _status_up(obj.get("status")))


def to_v1alpha1(obj: Obj) -> Obj:
    """Raises `Invalid` for a `traffic` that is no percentage: v1alpha1 has a number there."""
    spec: Obj = dict(obj.get("spec") or {})
    annotations: dict[str, str] = dict(annotations_of(obj))
    spec["objectRef"] = {"workloadRef": spec.pop("workloadRef")} if "workloadRef" in spec else {}
    if ROLLOUT_ID_FIELD in annotations:
        spec["rolloutID"] = annotations.pop(ROLLOUT_ID_FIELD)
    canary = dig(spec, "strategy", "canary")
    if isinstance(canary, dict):
        derived = _from_fields(canary, annotations)
        annotations |= derived
        mine = sorted(name for name in derived if name not in annotations_of(obj))
        annotations |= {FROM_FIELDS: ",".join(mine)} if mine else {}
        spec["strategy"] = spec["strategy"] | {"canary": _canary_down(canary)}
    return _rebuilt(obj, V1ALPHA1, spec, annotations, _status_down(obj.get("status")))


# -- spec


def _canary_up(canary: Obj, annotations: Mapping[str, str]) -> Obj:
    style, routing = annotations.get(ROLLING_STYLE, "").lower(), annotations.get(TRAFFIC_ROUTING_NAME, "")
    return {
        **_with_steps(canary, _step_up),
        "enableExtraWorkloadForCanary": style != "partition",
        **({"trafficRoutingRef": routing} if routing else {}),
    }


def _canary_down(canary: Obj) -> Obj:
    left = {k: v for k, v in canary.items() if k not in ("enableExtraWorkloadForCanary", "trafficRoutingRef")}
    return _with_steps(left, _step_down)


def _with_steps(canary: Obj, change: Any) -> Obj:
    steps = canary.get("steps")
    if not isinstance(steps, list):
        return canary
    return canary | {"steps": [change(step, index) for index, step in enumerate(steps)]}


def _step_up(step: Obj, index: int) -> Obj:
    """`weight: 20` alone also means 20% of the replicas, which v1beta1 wants to be told."""
    if step.get("weight") is None:
        return step
    traffic = f"{step['weight']}%"
    rest = {name: value for name, value in step.items() if name != "weight"}
    return {"traffic": traffic, "replicas": traffic} | rest


def _step_down(step: Obj, index: int) -> Obj:
    traffic = step.get("traffic")
    if traffic is None:
        return {name: value for name, value in step.items() if name != "traffic"}
    percent = percent_of(traffic)
    if percent is None or f"{percent}%" != traffic:
        where = f"spec.strategy.canary.steps[{index}].traffic"
        raise Invalid(f'{where}: Invalid value: "{traffic}": must be a percentage such as "20%"')
    rest = {k: v for k, v in step.items() if k != "traffic" and (k, v) != ("replicas", traffic)}
    return {"weight": percent} | rest


def _from_fields(canary: Obj, annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations that say what the v1beta1 fields say; the fields win over annotations that say otherwise."""
    found: dict[str, str] = {}
    style = annotations.get(ROLLING_STYLE, "").lower()
    if not canary.get("enableExtraWorkloadForCanary"):
        found |= {} if style == "partition" else {ROLLING_STYLE: "partition"}
    elif style == "partition":
        found |= {ROLLING_STYLE: "canary"}
    routing = canary.get("trafficRoutingRef")
    if routing and annotations.get(TRAFFIC_ROUTING_NAME) != routing:
        found |= {TRAFFIC_ROUTING_NAME: str(routing)}
    return found


# -- status


def _status_up(status: Obj | None) -> Obj | None:
    """v1beta1 repeats step and state above, where its printer columns look."""
    if not status or "canaryStatus" not in status:
        return status
    names = ("currentStepIndex", "currentStepState")
    return status | {name: status["canaryStatus"][name] for name in names if name in status["canaryStatus"]}


def _status_down(status: Obj | None) -> Obj | None:
    if not status:
        return status
    return {k: v for k, v in status.items() if k not in ("currentStepIndex", "currentStepState")}


def _rebuilt(obj: Obj, version: str, spec: Obj, annotations: Mapping[str, str], status: Obj | None) -> Obj:
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "annotations"}
    if annotations:
        metadata["annotations"] = dict(annotations)
    parts: Obj = {"apiVersion": version, "kind": obj.get("kind", "Rollout"), "metadata": metadata}
    if "spec" in obj:
        parts["spec"] = spec
    return parts | ({"status": status} if status is not None else {})
