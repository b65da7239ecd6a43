"""One entry of `spec.metrics`, turned into a proposal, or into the reason why there is none.

Pure. In: the entry, pods, what the resource metrics API said. Out: a `Proposal`, or `Unknown` with Kubernetes' words.
Metrics of other APIs end as they do in a cluster without an adapter for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from graylane.cluster.workloads.autoscaling.figures import Figure, Unknown, figures, milli, requests
from graylane.cluster.workloads.autoscaling.proposal import (
    Average,
    Proposal,
    Scene,
    Target,
    Tolerance,
    Utilization,
    propose,
)
from graylane.model.meta import Obj, dig


@dataclass(frozen=True, slots=True)
class Readings:
    """What the resource metrics API said of the target's pods: PodMetrics, or why there are none."""

    items: tuple[Obj, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What metrics are about: the target's pods, their readings, the size at present."""

    namespace: str
    pods: Sequence[Obj]
    readings: Readings
    wanted: int
    tolerance: Tolerance
    now: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """`reason` and `message` of the event and the condition, and the sentence that sums it up for the first of all."""

    reason: str
    message: str
    summary: str


def answer(metric: Obj, question: Question) -> Proposal | Failed:
    kind = metric.get("type", "")
    source: Obj = metric.get(kind[:1].lower() + kind[1:]) or {}
    try:
        return _SOURCES[kind](source, question)
    except Unknown as unknown:
        message, summary = str(unknown), _SUMMARIES[kind](source)
        return Failed(f"FailedGet{kind}Metric", message, f"failed to get {summary}: {message}")


def needs_readings(metric: Obj) -> bool:
    return metric.get("type") in ("Resource", "ContainerResource")


def _resource(source: Obj, question: Question) -> Proposal:
    replicas, current, metric = _of_pods(source, question, "")
    return Proposal(replicas, metric, {"type": "Resource", "resource": {"name": source["name"], "current": current}})


def _container(source: Obj, question: Question) -> Proposal:
    replicas, current, metric = _of_pods(source, question, source["container"])
    shown = {"name": source["name"], "container": source["container"], "current": current}
    return Proposal(replicas, metric, {"type": "ContainerResource", "containerResource": shown})


def _of_pods(source: Obj, question: Question, container: str) -> tuple[int, Obj, str]:
    name, wish = source["name"], source.get("target") or {}
    what = "utilization" if wish.get("averageValue") is None else "usage"
    try:
        used = _figures(question, name, container)
        scene = Scene(question.pods, used, name, question.wanted, question.now)
        aim = partial(_target, name, wish, question, container)
        replicas, current = propose(scene, aim, question.tolerance)
    except Unknown as unknown:
        raise Unknown(f"failed to get {name} {what}: {unknown}") from unknown
    of = "container resource" if container else "resource"
    metric = f"{name} resource" if what == "usage" else f"{name} {of} utilization (percentage of request)"
    return replicas, current, metric


def _figures(question: Question, resource: str, container: str) -> dict[str, Figure]:
    trouble = question.readings.trouble
    if trouble:
        trouble = f"unable to fetch metrics from resource metrics API: {trouble}"
    elif not question.readings.items:
        trouble = "no metrics returned from resource metrics API"
    if trouble:
        raise Unknown(f"unable to get metrics for resource {resource}: {trouble}")
    if not question.pods:
        raise Unknown("no pods returned by selector while calculating replica count")
    return figures(question.readings.items, resource, container)


def _target(resource: str, wish: Obj, question: Question, container: str) -> Target:
    if wish.get("averageValue") is not None:
        return Average(resource, milli(wish["averageValue"]))
    return Utilization(resource, wish["averageUtilization"], requests(question.pods, resource, container))


_NO_CUSTOM = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"


def _pods(source: Obj, question: Question) -> Proposal:
    raise Unknown(f"unable to get metric {dig(source, 'metric', 'name')}: {_NO_CUSTOM}")


def _object(source: Obj, question: Question) -> Proposal:
    """Kubernetes puts the words for the object and for the trouble in each other's places."""
    name, described = dig(source, "metric", "name"), source.get("describedObject") or {}
    place = f"{described.get('kind')} on {question.namespace} {described.get('name')}"
    raise Unknown(f"unable to get metric {name}: {place}/{_NO_CUSTOM}")


def _external(source: Obj, question: Question) -> Proposal:
    name = dig(source, "metric", "name")
    missing = f"the server could not find the requested resource (get {name}.external.metrics.k8s.io)"
    trouble = f"unable to fetch metrics from external metrics API: {missing}"
    raise Unknown(f"unable to get external metric {question.namespace}/{name}/{_selector(source)}: {trouble}")


def _selector(source: Obj) -> str:
    """As Go prints a LabelSelector."""
    selector = dig(source, "metric", "selector")
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
    )


def _object_summary(source: Obj) -> str:
    of_each = dig(source, "target", "type") == "AverageValue"
    return "object metric value" + (f": failed to get {dig(source, 'metric', 'name')} object metric" if of_each else "")


def _external_summary(source: Obj) -> str:
    name = dig(source, "metric", "name")
    of_each = "averageValue" in (source.get("target") or {})
    whose = f"{name} external metric" if of_each else f"external metric {name}"
    return f"{name} external metric value: failed to get {whose}"


_SOURCES: dict[str, Callable[[Obj, Question], Proposal]] = {
    "Resource": _resource,
    "ContainerResource": _container,
    "Pods": _pods,
    "Object": _object,
    "External": _external,
}
_SUMMARIES: dict[str, Callable[[Obj], str]] = {
    "Resource": lambda source: f"{source['name']} resource metric value",
    "ContainerResource": lambda source: f"{source['container']} container metric value",
    "Pods": lambda source: "pods metric value",
    "Object": _object_summary,
    "External": _external_summary,
}
