"""Rollout `rollouts.kruise.io/v1beta1` → hub.

Pure. In: the wire object. Out: `Rollout`, or `Invalid` naming every wrong field as this version calls it. What the two
versions say alike is in `canary.py`; how one becomes the other, in `rollout_conversion.py`.
"""

from __future__ import annotations

from graylane.model.intorpercent import percent_of
from graylane.model.meta import Obj, annotations_of
from graylane.model.rollout import TRAFFIC_ROUTING_NAME, Rollout
from graylane.model.versions import canary as rules
from graylane.model.versions.reader import Reader


def decode(obj: Obj) -> Rollout:
    """The Rollout; raises `Invalid` whose message holds one `path: what: why` per problem, joined by "; "."""
    reader = Reader(obj)
    spec = reader.at("spec")
    strategy = spec.at("strategy")
    workload = rules.workload_of(spec)
    _one_of(strategy)
    if not strategy.has("canary"):
        reader.finish()
    canary = strategy.at("canary")
    if not canary.flag("enableExtraWorkloadForCanary"):
        why = "rolling style partition is not supported by Graylane yet; set it to true for canary style"
        canary.unsupported("enableExtraWorkloadForCanary", why)
    named = canary.text("trafficRoutingRef") or annotations_of(obj).get(TRAFFIC_ROUTING_NAME, "")
    return rules.rollout_of(reader, canary, workload, _traffic, named)


def _one_of(strategy: Reader) -> None:
    if strategy.has("canary") and strategy.has("blueGreen"):
        strategy.unsupported("blueGreen", "Canary and BlueGreen cannot both be set")
    elif strategy.has("blueGreen"):
        strategy.unsupported("blueGreen", "blue-green releases are not supported by Graylane yet; use canary")
    elif not strategy.has("canary"):
        strategy.missing("canary", "Canary and BlueGreen cannot both be empty")


def _traffic(step: Reader) -> int | None:
    """`"20%"`; replicas are always asked for in this version."""
    if step.count("replicas") is None:
        step.missing("replicas", "replicas cannot be empty")
    if not step.has("traffic"):
        return None
    percent = percent_of(step.text("traffic"))
    if percent is None or not 0 < percent <= 100:
        step.wrong("traffic", step.value["traffic"], 'traffic must be percentage with "0%" < traffic <= "100%"')
        return None
    return percent
