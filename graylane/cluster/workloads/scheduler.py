"""Scheduler: gives every new pod a node, or says why none will do.

Pure but for the list of pods that wait for a node. In: a pod and the nodes. Out: a Binding, or the condition
`PodScheduled`; an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from graylane.cluster.workloads.fitting import fit, unbound
from graylane.cluster.workloads.pods import is_active
from graylane.kit import Bind, Controller, Event, Outcome, Patch, View
from graylane.model.kinds import NODE, PERSISTENT_VOLUME_CLAIM, POD
from graylane.model.meta import (
    Condition,
    Key,
    Obj,
    condition,
    dig,
    key_of,
    name_of,
    namespace_of,
    parse_time,
    set_condition,
    uid_of,
)

NAME = "default-scheduler"
_CLAIMS_WITHIN = timedelta(seconds=2)  # claims come and are bound beside their pod: what lasts is told


class Scheduler:
    """Remembers the pods it could not place, since a change of any node or claim may help them."""

    def __init__(self) -> None:
        self._waiting: set[Key] = set()

    def controller(self) -> Controller:
        watches = {NODE: self._interested, PERSISTENT_VOLUME_CLAIM: self._interested}
        return Controller(NAME, POD, self.reconcile, watches)

    def _interested(self, _: Obj) -> Iterable[Key]:
        return tuple(self._waiting)

    def reconcile(self, view: View, key: Key, now: datetime) -> Outcome:
        pod = view.get(POD, *key)
        self._waiting.discard(key)
        if pod is None or dig(pod, "spec", "nodeName") or not is_active(pod) or not _is_ours(pod):
            return Outcome()
        if dig(pod, "spec", "schedulingGates", default=[]):
            return _unplaced(pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", now)
        nodes = view.list(NODE)
        if missing := unbound(pod, lambda name: view.get(PERSISTENT_VOLUME_CLAIM, key.namespace, name)):
            self._waiting.add(key)
            told_at = parse_time(pod["metadata"]["creationTimestamp"]) + _CLAIMS_WITHIN
            if now < told_at:
                return Outcome(wake_at=told_at)
            return _unplaced(pod, "Unschedulable", f"0/{len(nodes)} nodes are available: {missing}.", now)
        verdict = fit(pod, nodes)
        if not verdict.fitting:
            self._waiting.add(key)
            return _unplaced(pod, "Unschedulable", verdict.message, now)
        return _bind(pod, _least_crowded(view, verdict.fitting))


def _is_ours(pod: Obj) -> bool:
    return bool(dig(pod, "spec", "schedulerName", default=NAME) == NAME)


def _least_crowded(view: View, nodes: tuple[Obj, ...]) -> str:
    names = sorted(map(name_of, nodes))
    if len(names) == 1:
        return names[0]
    pods = Counter(dig(pod, "spec", "nodeName") for pod in view.list(POD) if is_active(pod))
    return min(names, key=lambda name: pods[name])


def _bind(pod: Obj, node: str) -> Outcome:
    """The API sets the condition itself."""
    message = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {node}"
    return Outcome((Bind(key_of(pod), uid_of(pod), node), Event(POD, pod, "Normal", "Scheduled", message)))


def _unplaced(pod: Obj, reason: str, message: str, now: datetime) -> Outcome:
    """Said once for every change of the reasons, not at every heartbeat of a node."""
    said = condition(pod, "PodScheduled") or {}
    if (said.get("reason"), said.get("message")) == (reason, message):
        return Outcome()
    report = _report(pod, Condition("PodScheduled", "False", reason, message), now)
    if reason == "SchedulingGated":
        return Outcome((report,))
    return Outcome((report, Event(POD, pod, "Warning", "FailedScheduling", message)))


def _report(pod: Obj, new: Condition, now: datetime) -> Patch:
    conditions = set_condition(dig(pod, "status", "conditions", default=[]), new, now)
    plain = [{name: value for name, value in entry.items() if value != ""} for entry in conditions]
    return Patch(POD, key_of(pod), {"status": {"conditions": plain}}, subresource="status")
