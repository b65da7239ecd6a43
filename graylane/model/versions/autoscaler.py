"""HorizontalPodAutoscalers between autoscaling/v2 and v1, which knows the CPU's percentage and no other metric.

Pure. In: an object. Out: it in the other version. What v1 has no field for stands in annotations, in the form that
Kubernetes' own API server gives it there, so that a client of v1 that writes back what it read loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graylane.model.meta import Obj, dig

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = f"{_PREFIX}metrics", f"{_PREFIX}behavior"
CURRENT, CONDITIONS = f"{_PREFIX}current-metrics", f"{_PREFIX}conditions"
_ALL = (BEHAVIOR, CONDITIONS, CURRENT, METRICS)

Names = tuple[tuple[str, tuple[str, ...]], ...]
_SPEC: dict[str, tuple[str, Names]] = {
    # type → field, and where each of v1's names is in v2, in v1's order
    "Resource": (
        "resource",
        (
            ("name", ("name",)),
            ("targetAverageUtilization", ("target", "averageUtilization")),
            ("targetAverageValue", ("target", "averageValue")),
        ),
    ),
    "ContainerResource": (
        "containerResource",
        (
            ("name", ("name",)),
            ("targetAverageUtilization", ("target", "averageUtilization")),
            ("targetAverageValue", ("target", "averageValue")),
            ("container", ("container",)),
        ),
    ),
    "Pods": (
        "pods",
        (
            ("metricName", ("metric", "name")),
            ("targetAverageValue", ("target", "averageValue")),
            ("selector", ("metric", "selector")),
        ),
    ),
    "Object": (
        "object",
        (
            ("target", ("describedObject",)),
            ("metricName", ("metric", "name")),
            ("targetValue", ("target", "value")),
            ("selector", ("metric", "selector")),
            ("averageValue", ("target", "averageValue")),
        ),
    ),
    "External": (
        "external",
        (
            ("metricName", ("metric", "name")),
            ("metricSelector", ("metric", "selector")),
            ("targetValue", ("target", "value")),
            ("targetAverageValue", ("target", "averageValue")),
        ),
    ),
}


def _of_status(names: Names) -> Names:
    """What is aimed at in a spec is what there is in a status."""
    found = []
    for old, path in names:
        if path[0] == "target":
            old, path = old.replace("target", "current"), ("current", *path[1:])
        found.append((old, path))
    return tuple(found)


_STATUS = {kind: (field, _of_status(names)) for kind, (field, names) in _SPEC.items()}
_TYPES = (("averageUtilization", "Utilization"), ("averageValue", "AverageValue"), ("value", "Value"))
_ZERO = ("targetValue", "currentValue", "currentAverageValue")  # are written also where there is nothing to write


# -- to v1


def to_v1(obj: Obj) -> Obj:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    cpu, others = _split(spec.get("metrics") or [])
    all_used: list[Obj] = status.get("currentMetrics") or []
    used, _ = _split(all_used)
    shown = {name: value for name, value in spec.items() if name not in ("metrics", "behavior")}
    if cpu is not None:
        shown["targetCPUUtilizationPercentage"] = dig(cpu, "resource", "target", "averageUtilization")
    told = {name: value for name, value in status.items() if name not in ("currentMetrics", "conditions")}
    if used is not None:
        told["currentCPUUtilizationPercentage"] = dig(used, "resource", "current", "averageUtilization")
    notes = {
        METRICS: [_older(each, _SPEC) for each in others],
        BEHAVIOR: _capitalized(spec["behavior"]) if spec.get("behavior") else None,
        CURRENT: [_older(each, _STATUS) for each in all_used],
        CONDITIONS: [_ordered(each) for each in status.get("conditions") or []],
    }
    written = {name: _compact(value) for name, value in notes.items() if value}
    return _annotated(obj, lambda found: found | written) | {"spec": shown, "status": told}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _split(metrics: Iterable[Obj]) -> tuple[Obj | None, list[Obj]]:
    """The first percentage of the CPU, and all others."""
    cpu, others = None, []
    for metric in metrics:
        percent = [dig(metric, "resource", of, "averageUtilization") for of in ("target", "current")]
        if cpu is None and dig(metric, "resource", "name") == "cpu" and any(each is not None for each in percent):
            cpu = metric
        else:
            others.append(metric)
    return cpu, others


def _older(metric: Obj, table: Mapping[str, tuple[str, Names]]) -> Obj:
    kind = metric.get("type", "")
    if kind not in table:
        return {"type": kind}
    field, names = table[kind]
    values = ((old, dig(metric, field, *path)) for old, path in names)
    found = {old: "0" if value is None and old in _ZERO else value for old, value in values}
    if kind == "External":
        found = {old: value for old, value in found.items() if value != "0" or dig(metric, field, *dict(names)[old])}
    return {"type": kind, field: {old: value for old, value in found.items() if value is not None}}


def _ordered(condition: Obj) -> Obj:
    names = ("type", "status", "lastTransitionTime", "reason", "message")
    return {name: condition[name] for name in names if condition.get(name)}


_BEHAVIOR = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")


def _capitalized(behavior: Obj) -> Obj:
    """As Go's own types are written, which have no names for JSON here."""
    return {way[0].upper() + way[1:]: _rules(behavior.get(way)) for way in ("scaleUp", "scaleDown")}


def _rules(rules: Obj | None) -> Any:
    if rules is None:
        return None
    found: Obj = {name[0].upper() + name[1:]: rules.get(name) for name in _BEHAVIOR}
    policies = rules.get("policies") or []
    return found | {"Policies": [{name[0].upper() + name[1:]: each[name] for name in _POLICY} for each in policies]}


_POLICY = ("type", "value", "periodSeconds")


# -- to v2


def to_v2(obj: Obj) -> Obj:
    notes = dig(obj, "metadata", "annotations", default={})
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    used = status.pop("currentCPUUtilizationPercentage", None)
    metrics = [_newer(each, _SPEC) for each in _read(notes.get(METRICS), list)]
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    current = [_newer(each, _STATUS) for each in _read(notes.get(CURRENT), list)]
    if used is not None and not current:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}}]
    behavior = _lowered(_read(notes.get(BEHAVIOR), dict))
    spec |= ({"metrics": metrics} if metrics else {}) | ({"behavior": behavior} if behavior else {})
    conditions = _read(notes.get(CONDITIONS), list)
    status |= ({"currentMetrics": current} if current else {}) | ({"conditions": conditions} if conditions else {})
    kept = _annotated(obj, lambda found: {name: value for name, value in found.items() if name not in _ALL})
    return kept | {"spec": spec} | ({"status": status} if status or "status" in obj else {})


def _read(text: str | None, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """Nothing, where it is not what we would have written."""
    try:
        found = json.loads(text) if text else kind()
    except ValueError:
        return kind()
    well_made = isinstance(found, kind) and all(isinstance(each, dict) or kind is dict for each in found)
    return found if well_made else kind()


def _newer(metric: Obj, table: Mapping[str, tuple[str, Names]]) -> Obj:
    kind = metric.get("type", "")
    if kind not in table:
        return metric
    field, names = table[kind]
    made: Obj = {}
    for old, path in names:
        value = dig(metric, field, old)
        if value is not None and not (old in _ZERO and value == "0"):
            *way, last = path
            here = made
            for step in way:
                here = here.setdefault(step, {})
            here[last] = value
    if table is _SPEC:
        target = made.setdefault("target", {})
        made["target"] = {"type": next((kind for name, kind in _TYPES if name in target), ""), **target}
    else:
        made.setdefault("current", {})
    return {"type": kind, field: made}


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        found = {name[:1].lower() + name[1:]: _lowered(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner is not None}
    return [_lowered(each) for each in value] if isinstance(value, list) else value


def _annotated(obj: Obj, change: Callable[[dict[str, str]], dict[str, str]]) -> Obj:
    metadata: Obj = obj.get("metadata") or {}
    notes = change(dict(metadata.get("annotations") or {}))
    kept = {name: value for name, value in metadata.items() if name != "annotations"}
    return {**obj, "metadata": kept | ({"annotations": notes} if notes else {})}
