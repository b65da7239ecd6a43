"""What both API versions say alike of a canary release: workload, steps, routes; with OpenKruise's rules and words.

Pure. In: readers at the right places of a wire object. Out: hub values; problems are left in the readers. The rules'
numbers (V1 to V15) are those of OpenKruise's validating webhook in the order in which it applies them.
"""

from __future__ import annotations

from collections.abc import Callable

from graylane.model.intorpercent import percent_of
from graylane.model.meta import Obj, annotations_of, generation_of, is_deleting, key_of, uid_of
from graylane.model.rollout import (
    ABORT,
    TRAFFIC_ROUTING_NAME,
    Embedded,
    MetadataPatch,
    Rollout,
    Step,
    WorkloadRef,
    deadline_of,
)
from graylane.model.versions.reader import Reader

_KINDS = {  # what OpenKruise releases; of these Graylane releases Deployments
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps.kruise.io", "CloneSet"),
    ("apps.kruise.io", "StatefulSet"),
    ("apps.kruise.io", "DaemonSet"),
}
_RANGE = 'replicas must be positive number, or a percentage with "0%" < canaryReplicas <= "100%"'
_ROUTING_FIELDS = ("service", "gracePeriodSeconds", "ingress", "gateway", "customNetworkRefs")

Share = Callable[[Reader], int | None]
"""A step's percentage of traffic, as its API version writes it."""


def rollout_of(reader: Reader, canary: Reader, workload: WorkloadRef, share: Share, named: str) -> Rollout:
    """The whole hub value. `named`: the TrafficRouting it names, "" for none. Raises `Invalid` for all problems."""
    obj, spec = reader.value, reader.at("spec")
    annotations, strategy = annotations_of(obj), spec.at("strategy")
    steps = steps_of(canary, share)
    rollout = Rollout(
        key=key_of(obj),
        uid=uid_of(obj),
        generation=generation_of(obj),
        workload=workload,
        steps=steps,
        deadline=deadline_of(annotations, reader.at("metadata").at("annotations").wrong),
        patch=overlay_of(canary),
        failure_threshold=threshold_of(canary),
        named_routing=named,
        embedded=routes_of(canary, steps, named),
        paused=strategy.flag("paused"),
        disabled=spec.flag("disabled"),
        deleting=is_deleting(obj),
        abort=annotations.get(ABORT, ""),
    )
    reader.finish()
    return rollout


def workload_of(parent: Reader) -> WorkloadRef:
    """V1, V2: `workloadRef` under `parent`."""
    if not parent.has("workloadRef"):
        parent.missing("workloadRef", "WorkloadRef is required")
        return WorkloadRef("", "", "")
    found = parent.at("workloadRef")
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


def steps_of(canary: Reader, share: Share) -> tuple[Step, ...]:
    """V5, V9, and each step by its own rules."""
    readers = list(canary.items("steps"))
    if not readers:
        canary.missing("steps", "The number of Canary.Steps cannot be empty")
    routed = canary.has("trafficRoutings")
    steps = tuple(_step(reader, share(reader), routed=routed) for reader in readers)
    for before, after, reader in zip(steps, steps[1:], readers[1:], strict=False):
        if _shrinks(before.replicas, after.replicas):
            reader.wrong("replicas", after.replicas, "Steps.CanaryReplicas must be a non decreasing sequence")
    return steps


def _step(reader: Reader, weight: int | None, *, routed: bool) -> Step:
    replicas = reader.count("replicas")
    if replicas is not None and not _in_range(replicas):
        reader.wrong("replicas", replicas, _RANGE)
    matches = tuple(match.value for match in reader.items("matches"))
    modifier = reader.at("requestHeaderModifier").value or None
    for name in ("matches", "requestHeaderModifier"):
        if reader.value.get(name) and not routed:
            why = "routes of a step need trafficRoutings; or put them into a TrafficRouting's strategy"
            reader.unsupported(name, why)
    pause = reader.at("pause").number("duration")
    if pause is not None and pause < 0:
        reader.at("pause").wrong("duration", pause, "must not be negative")
    return Step(replicas if replicas is not None else f"{weight or 0}%", weight, pause, matches, modifier)


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


def overlay_of(canary: Reader) -> MetadataPatch:
    patch = canary.at("patchPodTemplateMetadata")
    return MetadataPatch(patch.texts("labels"), patch.texts("annotations"))


def threshold_of(canary: Reader) -> int | str:
    threshold = canary.count("failureThreshold")
    if (isinstance(threshold, int) and threshold < 0) or (isinstance(threshold, str) and percent_of(threshold) is None):
        canary.wrong("failureThreshold", threshold, "must be a number of pods or a percentage")
    return 0 if threshold is None else threshold


def routes_of(canary: Reader, steps: tuple[Step, ...], named: str) -> Embedded | None:
    """V10 to V14. `named`: the TrafficRouting that the Rollout names besides, "" for none."""
    routings = list(canary.items("trafficRoutings"))
    if not routings:
        return None
    weights = [step.weight for step in steps if step.weight is not None]
    if weights and not 0 <= max(weights) <= 100:
        canary.wrong("steps", max(weights), "a weight is a percentage of the traffic, from 0 to 100")
    if len(routings) > 1:
        canary.wrong("trafficRoutings", len(routings), "Rollout currently only support single TrafficRouting.")
    if named:
        where = f"the annotation {TRAFFIC_ROUTING_NAME}, in v1beta1 trafficRoutingRef"
        why = f"the Rollout names TrafficRouting {named} too; keep one of the two ({where})"
        canary.unsupported("trafficRoutings", why)
    shared = canary.flag("disableGenerateCanaryService")
    first, *_ = [_routing(routing, shared=shared) for routing in routings]
    return first


def _routing(routing: Reader, *, shared: bool) -> Embedded:
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
    if (routing.number("gracePeriodSeconds") or 0) < 0:
        why = "TrafficRouting.GracePeriodSeconds cannot be negative"
        routing.wrong("gracePeriodSeconds", routing.number("gracePeriodSeconds"), why)
    entry: Obj = {name: routing.value[name] for name in _ROUTING_FIELDS if routing.has(name)}
    return Embedded(routing.text("service"), entry, own_service=not shared)
