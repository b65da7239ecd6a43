"""Rollout `rollouts.kruise.io/v1alpha1` → hub.

Pure. In: the wire object. Out: `Rollout`, or `Invalid` naming every wrong field. The rules are those of OpenKruise's
validating webhook, in its words; what Graylane does not act on yet is refused here by name, so that admission and
controller say the same.
"""

from __future__ import annotations

from graylane.model.intorpercent import percent_of
from graylane.model.meta import Obj, annotations_of, generation_of, is_deleting, key_of, uid_of
from graylane.model.rollout import (
    ABORT,
    ROLLING_STYLE,
    TRAFFIC_ROUTING_NAME,
    MetadataPatch,
    Rollout,
    Step,
    WorkloadRef,
)
from graylane.model.versions.reader import Reader

_KINDS = {  # what OpenKruise releases; of these Graylane releases Deployments
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("apps.kruise.io", "CloneSet"),
    ("apps.kruise.io", "StatefulSet"),
    ("apps.kruise.io", "DaemonSet"),
}
_RANGE = 'replicas must be positive number, or a percentage with "0%" < canaryReplicas <= "100%"'


def decode(obj: Obj) -> Rollout:
    """The Rollout; raises `Invalid` whose message holds one `path: what: why` per problem, joined by "; "."""
    reader = Reader(obj)
    _style(reader, obj)
    spec = reader.at("spec")
    strategy = spec.at("strategy")
    workload = _workload(spec)
    canary = strategy.at("canary")
    if not strategy.has("canary"):
        strategy.missing("canary", "Canary cannot be empty")
        reader.finish()
    steps = _steps(canary)
    _routings(canary, steps)
    patch = canary.at("patchPodTemplateMetadata")
    rollout = Rollout(
        key=key_of(obj),
        uid=uid_of(obj),
        generation=generation_of(obj),
        workload=workload,
        steps=steps,
        patch=MetadataPatch(patch.texts("labels"), patch.texts("annotations")),
        failure_threshold=_threshold(canary),
        routing=annotations_of(obj).get(TRAFFIC_ROUTING_NAME, ""),
        paused=strategy.flag("paused"),
        disabled=spec.flag("disabled"),
        deleting=is_deleting(obj),
        abort=annotations_of(obj).get(ABORT, ""),
    )
    reader.finish()
    return rollout


def rolling_style(obj: Obj) -> str:
    """The annotation, case folded; "" and "canary" mean the same."""
    return annotations_of(obj).get(ROLLING_STYLE, "").lower() or "canary"


def _style(reader: Reader, obj: Obj) -> None:
    style = rolling_style(obj)
    annotations = reader.at("metadata").at("annotations")
    if style == "partition":
        annotations.unsupported(ROLLING_STYLE, "rolling style partition is not supported by Graylane yet; use canary")
    elif style != "canary":
        annotations.wrong(ROLLING_STYLE, style, "Rolling style must be 'Canary', 'Partition' or empty")


def _workload(spec: Reader) -> WorkloadRef:
    target = spec.at("objectRef")
    if not target.has("workloadRef"):
        target.missing("workloadRef", "WorkloadRef is required")
        return WorkloadRef("", "", "")
    found = target.at("workloadRef")
    reference = WorkloadRef(found.text("apiVersion"), found.text("kind"), found.text("name"))
    group = reference.api_version.rpartition("/")[0]
    if (group, reference.kind) not in _KINDS:
        found.wrong("kind", reference.kind, "WorkloadRef kind is not supported")
    elif (reference.api_version, reference.kind) != ("apps/v1", "Deployment"):
        why = "WorkloadRef kind is not supported by Graylane yet; it releases apps/v1 Deployment"
        found.wrong("kind", f"{reference.api_version} {reference.kind}", why)
    if not reference.name:
        found.missing("name", "the name of the workload")
    return reference


def _steps(canary: Reader) -> tuple[Step, ...]:
    readers = list(canary.items("steps"))
    if not readers:
        canary.missing("steps", "The number of Canary.Steps cannot be empty")
    steps = tuple(_step(reader) for reader in readers)
    for before, after, reader in zip(steps, steps[1:], readers[1:], strict=False):
        if _shrinks(before.replicas, after.replicas):
            reader.wrong("replicas", after.replicas, "Steps.CanaryReplicas must be a non decreasing sequence")
    return steps


def _step(reader: Reader) -> Step:
    replicas, weight = reader.count("replicas"), reader.number("weight")
    if replicas is None and weight is None:
        reader.missing("replicas", "weight and replicas cannot be empty at the same time")
    elif replicas is None and weight is not None and not 1 <= weight <= 100:
        reader.wrong("weight", weight, "weight must be between 1 and 100 where replicas is empty")
    elif replicas is not None and not _in_range(replicas):
        reader.wrong("replicas", replicas, _RANGE)
    for name in ("matches", "requestHeaderModifier"):
        if reader.has(name):
            why = "routes of a step are not supported by Graylane yet; put them into a TrafficRouting's strategy"
            reader.unsupported(name, why)
    pause = reader.at("pause").number("duration")
    if pause is not None and pause < 0:
        reader.at("pause").wrong("duration", pause, "must not be negative")
    return Step(replicas if replicas is not None else f"{weight}%", weight, pause)


def _in_range(replicas: int | str) -> bool:
    if isinstance(replicas, int):
        return replicas > 0
    percent = percent_of(replicas)
    return percent is not None and 0 < percent <= 100


def _shrinks(before: int | str, after: int | str) -> bool:
    """Counts and percentages are not comparable without a workload, so mixed steps pass, as in OpenKruise."""
    if isinstance(before, int) and isinstance(after, int):
        return after < before
    if isinstance(before, str) and isinstance(after, str):
        return (percent_of(after) or 0) < (percent_of(before) or 0)
    return False


def _threshold(canary: Reader) -> int | str:
    threshold = canary.count("failureThreshold")
    if (isinstance(threshold, int) and threshold < 0) or (isinstance(threshold, str) and percent_of(threshold) is None):
        canary.wrong("failureThreshold", threshold, "must be a number of pods or a percentage")
    return 0 if threshold is None else threshold


def _routings(canary: Reader, steps: tuple[Step, ...]) -> None:
    routings = list(canary.items("trafficRoutings"))
    if not routings:
        return
    weights = [step.weight for step in steps if step.weight is not None]
    if weights != sorted(weights):
        canary.wrong("steps", weights, "Steps.Weight must be a non decreasing sequence")
    if len(routings) > 1:
        canary.wrong("trafficRoutings", len(routings), "Rollout currently only support single TrafficRouting.")
    for routing in routings:
        _routing(routing)
    why = "routes embedded in a Rollout are not supported by Graylane yet; name a TrafficRouting in the annotation "
    canary.unsupported("trafficRoutings", why + TRAFFIC_ROUTING_NAME)


def _routing(routing: Reader) -> None:
    if not routing.text("service"):
        routing.missing("service", "TrafficRouting.Service cannot be empty")
    providers = [name for name in ("ingress", "gateway", "customNetworkRefs") if routing.has(name)]
    if not providers:
        routing.missing("customNetworkRefs", "TrafficRoutings are not set")
    if "ingress" in providers and not routing.at("ingress").text("name"):
        routing.at("ingress").missing("name", "TrafficRouting.Ingress.Ingress cannot be empty")
    if "gateway" in providers and not routing.at("gateway").text("httpRouteName"):
        why = "TrafficRouting.Gateway must set the name of HTTPRoute or HTTPsRoute"
        routing.at("gateway").missing("httpRouteName", why)
