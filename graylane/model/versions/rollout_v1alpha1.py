"""Rollout `rollouts.kruise.io/v1alpha1` → hub.

Pure. In: the wire object. Out: `Rollout`, or `Invalid` naming every wrong field. The rules are those of OpenKruise's
validating webhook, in its words; what Graylane does not act on yet is refused here by name, so that admission and
controller say the same.
"""

from __future__ import annotations

from graylane.model.meta import Obj, annotations_of
from graylane.model.rollout import ROLLING_STYLE, TRAFFIC_ROUTING_NAME, Rollout
from graylane.model.versions import canary as rules
from graylane.model.versions.reader import Reader


def decode(obj: Obj) -> Rollout:
    """The Rollout; raises `Invalid` whose message holds one `path: what: why` per problem, joined by "; "."""
    reader = Reader(obj)
    _style(reader, obj)
    spec = reader.at("spec")
    strategy = spec.at("strategy")
    workload = rules.workload_of(spec.at("objectRef"))
    if strategy.has("blueGreen"):
        strategy.unsupported("blueGreen", "blue-green releases are not supported by Graylane yet; use canary")
    if not strategy.has("canary"):
        if not strategy.has("blueGreen"):
            strategy.missing("canary", "Canary cannot be empty")
        reader.finish()
    named = annotations_of(obj).get(TRAFFIC_ROUTING_NAME, "")
    return rules.rollout_of(reader, strategy.at("canary"), workload, _weight, named)


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
