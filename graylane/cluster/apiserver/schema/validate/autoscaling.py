"""HorizontalPodAutoscalers: bounds, target, metrics and behavior.

Pure. In: the new object and, on update, the old one. Out: field errors. Follows Kubernetes 1.34.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import forbidden, invalid, not_supported, required
from graylane.cluster.apiserver.schema.validate.checks import Errors, every, needed
from graylane.model.meta import Obj, annotations_of, dig
from graylane.model.quantity import amount
from graylane.model.versions.autoscaler import to_v2

_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_TARGETS = ("Utilization", "Value", "AverageValue")
_POLICIES, _SELECTS = ("Percent", "Pods"), ("Disabled", "Max", "Min")
_LONGEST_WINDOW, _LONGEST_PERIOD = 3600, 1800
_POSITIVE = "must be positive"


def autoscaler(new: Obj, old: Obj | None) -> Errors:
    """In v1 a part of what is checked stands in annotations, where no schema has looked at it before."""
    if new.get("apiVersion") != "autoscaling/v1":
        yield from _autoscaler(new)
        return
    try:
        yield from list(_autoscaler(to_v2(new)))
    except (AttributeError, KeyError, TypeError, ValueError):
        yield invalid("metadata.annotations", annotations_of(new), "what stands for metrics or behavior cannot be read")


def _autoscaler(new: Obj) -> Errors:
    spec = new.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    for name in ("kind", "name"):
        yield from needed(spec.get("scaleTargetRef") or {}, name, "spec.scaleTargetRef")
    yield from every(spec, "metrics", "spec", _metric)
    if least == 0 and not {each.get("type") for each in spec.get("metrics") or ()} & {"Object", "External"}:
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("spec.metrics", why)
    for way in ("scaleUp", "scaleDown"):
        if (rules := dig(spec, "behavior", way)) is not None:
            yield from _rules(rules, f"spec.behavior.{way}")


# -- metrics


def _metric(metric: Obj, path: str) -> Errors:
    kind = metric.get("type") or ""
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in _SOURCES:
        yield not_supported(f"{path}.type", kind, _SOURCES)
        return
    field = _SOURCES[kind]
    if metric.get(field) is None:
        yield required(f"{path}.{field}", "must populate information for the given metric source")
    else:
        yield from _source(field, metric[field], f"{path}.{field}")
    for other in sorted(set(_SOURCES.values()) - {field}):
        if metric.get(other) is not None:
            yield forbidden(f"{path}.{other}", "must populate the given metric source only")


def _source(field: str, source: Obj, path: str) -> Errors:
    if field in ("resource", "containerResource"):
        yield from _named(source, "name", path, "must specify a resource name")
    else:
        yield from _named(source.get("metric") or {}, "name", f"{path}.metric", "must specify a metric name")
    if field == "containerResource":
        yield from _named(source, "container", path, "must specify a container")
    if field == "object":
        for name in ("kind", "name"):
            yield from needed(source.get("describedObject") or {}, name, f"{path}.describedObject")
    target = source.get("target") or {}
    yield from _target(target, f"{path}.target")
    yield from _complete(field, target, f"{path}.target")


def _named(obj: Obj, name: str, path: str, why: str) -> Errors:
    if not obj.get(name):
        yield required(f"{path}.{name}", why)


def _target(target: Obj, path: str) -> Errors:
    kind = target.get("type") or ""
    if not kind:
        yield required(f"{path}.type", "must specify a metric target type")
    if kind not in _TARGETS:
        yield invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        if target.get(name) is not None and amount(target[name]) <= 0:
            yield invalid(f"{path}.{name}", target[name], _POSITIVE)
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        yield invalid(f"{path}.averageUtilization", percent, "must be greater than 0")


def _complete(field: str, target: Obj, path: str) -> Errors:
    """One of the ways to say how much, and not two."""
    value, average, percent = (target.get(name) for name in ("value", "averageValue", "averageUtilization"))
    if field in ("resource", "containerResource"):
        if percent is None and average is None:
            yield required(f"{path}.averageUtilization", "must set either a target raw value or a target utilization")
        if percent is not None and average is not None:
            yield forbidden(f"{path}.averageValue", "may not set both a target raw value and a target utilization")
    elif field == "pods" and average is None:
        yield required(f"{path}.averageValue", "must specify a positive target averageValue")
    elif field == "object" and value is None and average is None:
        yield required(f"{path}.averageValue", "must set either a target value or averageValue")
    elif field == "external" and value is None and average is None:
        why = "must set either a target value for metric or a per-pod target"
        yield required(f"{path}.averageValue", why)
    elif field == "external" and value is not None and average is not None:
        yield forbidden(f"{path}.value", "may not set both a target value for metric and a per-pod target")


# -- behavior


def _rules(rules: Obj, path: str) -> Errors:
    window, select = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    if window is not None and window < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > _LONGEST_WINDOW:
        why = f"must be less than or equal to {_LONGEST_WINDOW}"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, why)
    if select is not None and select not in _SELECTS:
        yield not_supported(f"{path}.selectPolicy", select, _SELECTS)
    if not rules.get("policies"):
        yield required(f"{path}.policies", "must specify at least one Policy")
    yield from every(rules, "policies", path, _policy)
    tolerance = rules.get("tolerance")
    if tolerance is not None and amount(tolerance) < 0:
        yield invalid(f"{path}.tolerance", tolerance, "must be greater than or equal to 0")


def _policy(policy: Obj, path: str) -> Errors:
    kind, period = policy.get("type") or "", policy.get("periodSeconds") or 0
    if kind not in _POLICIES:
        yield not_supported(f"{path}.type", kind, _POLICIES)
    if (policy.get("value") or 0) <= 0:
        yield invalid(f"{path}.value", policy.get("value") or 0, "must be greater than zero")
    if period <= 0:
        yield invalid(f"{path}.periodSeconds", period, "must be greater than zero")
    if period > _LONGEST_PERIOD:
        yield invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {_LONGEST_PERIOD}")
