"""Rollout `rollouts.kruise.io/v1alpha1` → hub.

Pure. In: the wire object. Out: `Rollout`, or `Invalid` naming every wrong field. The rules are those of OpenKruise's
validating webhook, in its words; what Graylane does not act on yet is refused here by name, so that admission and
controller say the same.
"""

from __future__ import annotations

from graylane.model.meta import Obj, annotations_of, generation_of, is_deleting, key_of, uid_of
from graylane.model.rollout import ABORT, ROLLING_STYLE, TRAFFIC_ROUTING_NAME, Rollout, deadline_of
from graylane.model.versions import canary as rules
from graylane.model.versions.reader import Reader


def decode(obj: Obj) -> Rollout:
    """The Rollout; raises `Invalid` whose message holds one `path: what: why` per problem, joined by "; "."""
    reader = Reader(obj)
    _style(reader, obj)
    spec = reader.at("spec")
    strategy = spec.at("strategy")
    workload = rules.workload(spec.at("objectRef"))
    if strategy.has("blueGreen"):
        strategy.unsupported("blueGreen", "blue-green releases are not supported by Graylane yet; use canary")
    if not strategy.has("canary"):
        if not strategy.has("blueGreen"):
            strategy.missing("canary", "Canary cannot be empty")
        reader.finish()
    canary = strategy.at("canary")
    steps = rules.steps_of(canary, _weight)
    annotations = annotations_of(obj)
    named = annotations.get(TRAFFIC_ROUTING_NAME, "")
    deadline = deadline_of(annotations, reader.at("metadata").at("annotations").wrong)
    rollout = Rollout(
        key=key_of(obj),
        uid=uid_of(obj),
        generation=generation_of(obj),
        workload=workload,
        steps=steps,
        patch=rules.overlay_of(canary),
        failure_threshold=rules.threshold_of(canary),
        named_routing=named,
        embedded=rules.routes_of(canary, steps, named),
        deadline=deadline,
        paused=strategy.flag("paused"),
        disabled=spec.flag("disabled"),
        deleting=is_deleting(obj),
        abort=annotations.get(ABORT, ""),
    )
    reader.finish()
    return rollout


def rolling_style(obj: Obj) -> str:
    """The annotation, case folded; "" and "canary" mean the same."""
    return annotations_of(obj).get(ROLLING_STYLE, "").lower() or "canary"


def _style(reader: Reader, obj: Obj) -> None:
    """V3."""
    style = rolling_style(obj)
    annotations = reader.at("metadata").at("annotations")
    if style == "partition":
        annotations.unsupported(ROLLING_STYLE, "rolling style partition is not supported by Graylane yet; use canary")
    elif style != "canary":
        annotations.wrong(ROLLING_STYLE, style, "Rolling style must be 'Canary', 'Partition' or empty")


def _weight(step: Reader) -> int | None:
    """V6."""
    replicas, weight = step.count("replicas"), step.number("weight")
    if replicas is None and weight is None:
        step.missing("replicas", "weight and replicas cannot be empty at the same time")
    elif replicas is None and weight is not None and not 1 <= weight <= 100:
        step.wrong("weight", weight, "weight must be between 1 and 100 where replicas is empty")
    return weight
