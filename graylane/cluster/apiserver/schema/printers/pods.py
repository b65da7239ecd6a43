"""How a pod is printed: STATUS is a story told from its containers, init containers first.

Pure. In: a pod and now. Out: cells. Follows Kubernetes 1.32's pod printer case by case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import NONE, Printer, age, columns, since
from graylane.model.meta import Obj, condition, dig, is_deleting, is_true, name_of

_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Story:
    """What the containers say: how many are ready, how often and when they restarted, and the word for STATUS."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""


def row(pod: Obj, now: datetime) -> list[Any]:
    told = story(pod)
    restarts = str(told.restarts)
    if told.restarts and told.last_restart:
        restarts += f" ({since(told.last_restart, now)} ago)"
    return [
        name_of(pod),
        f"{told.ready}/{_total(pod)}",
        status(pod, told),
        restarts,
        age(pod, now),
        dig(pod, "status", "podIP") or NONE,
        dig(pod, "spec", "nodeName") or NONE,
        dig(pod, "status", "nominatedNodeName") or NONE,
        _readiness_gates(pod),
    ]


def status(pod: Obj, told: Story) -> str:
    """The STATUS column; deletion overrides what the containers say, unless the pod had already ended."""
    if is_deleting(pod) and dig(pod, "status", "reason") == "NodeLost":
        return "Unknown"
    if is_deleting(pod) and dig(pod, "status", "phase") not in _FINISHED:
        return "Terminating"
    return told.reason


def story(pod: Obj) -> Story:
    """An unfinished or failed init container comes first; else the main containers speak, and sidecars count along."""
    stopped, sidecars = _init_stories(pod)
    if stopped is None:
        return _main_story(pod, sidecars)
    if is_true(pod, "Initialized"):  # a sidecar that died again does not take the word from the main containers
        return _main_story(pod, replace(sidecars, reason=stopped.reason))
    return stopped


def _phase(pod: Obj) -> str:
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        return "SchedulingGated"
    return str(dig(pod, "status", "reason") or dig(pod, "status", "phase", default=""))


def _total(pod: Obj) -> int:
    sidecars = [c for c in dig(pod, "spec", "initContainers", default=[]) if c.get("restartPolicy") == "Always"]
    return len(dig(pod, "spec", "containers", default=[])) + len(sidecars)


def _init_stories(pod: Obj) -> tuple[Story | None, Story]:
    """Up to the first init container that is not done: what it says, if there is one, and what the sidecars say."""
    specs = dig(pod, "spec", "initContainers", default=[])
    sidecar_names = {spec["name"] for spec in specs if spec.get("restartPolicy") == "Always"}
    every = sidecars = Story(_phase(pod))
    for index, container in enumerate(dig(pod, "status", "initContainerStatuses", default=[])):
        is_sidecar = container.get("name") in sidecar_names
        every = _with_restarts(every, container)
        if is_sidecar:
            sidecars = _with_restarts(sidecars, container)
        if dig(container, "state", "terminated", "exitCode") == 0:
            continue
        if not (is_sidecar and container.get("started")):
            return replace(every, reason=_init_reason(container, index, len(specs)), ready=sidecars.ready), sidecars
        sidecars = replace(sidecars, ready=sidecars.ready + bool(container.get("ready")))
    return None, sidecars


def _with_restarts(told: Story, container: Obj) -> Story:
    """Times of one format compare as text."""
    ended = str(dig(container, "lastState", "terminated", "finishedAt", default=""))
    restarts = told.restarts + container.get("restartCount", 0)
    return replace(told, restarts=restarts, last_restart=max(told.last_restart, ended))


def _init_reason(container: Obj, index: int, total: int) -> str:
    ended = dig(container, "state", "terminated")
    if ended is not None:
        return f"Init:{_end_reason(ended)}"
    waiting = dig(container, "state", "waiting", "reason", default="")
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{index}/{total}"


def _main_story(pod: Obj, told: Story) -> Story:
    """The first container with something to say wins; Completed gives way while another still runs."""
    running = False
    for container in reversed(dig(pod, "status", "containerStatuses", default=[])):
        told = _with_restarts(told, container)
        waiting, ended = dig(container, "state", "waiting", "reason"), dig(container, "state", "terminated")
        if waiting:
            told = replace(told, reason=waiting)
        elif ended is not None:
            told = replace(told, reason=_end_reason(ended))
        elif container.get("ready") and dig(container, "state", "running") is not None:
            running = True
            told = replace(told, ready=told.ready + 1)
    if told.reason == "Completed" and running:
        return replace(told, reason="Running" if is_true(pod, "Ready") else "NotReady")
    return told


def _end_reason(ended: Obj) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _readiness_gates(pod: Obj) -> str:
    gates = dig(pod, "spec", "readinessGates", default=[])
    if not gates:
        return NONE
    return f"{sum(is_true(pod, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"


PRINTERS = {
    ("", "Pod"): Printer(
        columns("Name", "Ready", "Status", "Restarts", "Age", "IP+", "Node+", "Nominated Node+", "Readiness Gates+"),
        row,
    ),
}
