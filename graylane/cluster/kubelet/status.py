"""A pod's `status` as Kubernetes' own kubelet would write it.

Pure. In: the pod object and its `Facts`. Out: the new status; equal facts give an equal status, so nothing is written
twice. Conditions of others (the mesh's `graylane.dev/Drained`, readiness gates) are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.cluster.kubelet.ends import completed, done, passed, succeeded
from graylane.cluster.kubelet.lifecycle import Facts
from graylane.cluster.kubelet.states import NOT_INITIALIZED, Container, Running, State, Terminated, Waiting
from graylane.model.meta import (
    Condition,
    Obj,
    dig,
    find_condition,
    format_time,
    name_of,
    namespace_of,
    set_condition,
    uid_of,
)


@dataclass(frozen=True, slots=True)
class Node:
    """Where the pod runs. `waiting` is told of containers that cannot start yet for a reason of the pod's."""

    ip: str
    waiting: Waiting | None = None


def pod_status(pod: Obj, facts: Facts, node: Node, now: datetime) -> Obj:
    """The status for `pod` as it is now. Fields we do not know are left as they are."""
    old: Obj = dig(pod, "status", default={})
    status: Obj = {
        **old,
        "phase": old["phase"] if facts.over and "phase" in old else phase(facts),
        "hostIP": node.ip,
        "hostIPs": [{"ip": node.ip}],
        "startTime": format_time(facts.started_at or now),
        "containerStatuses": _container_statuses(pod, facts, node, init=False),
        "conditions": _conditions(pod, facts, now),
    }
    if facts.init:
        status["initContainerStatuses"] = _container_statuses(pod, facts, node, init=True)
    if facts.address:
        status |= {"podIP": facts.address, "podIPs": [{"ip": facts.address}]}
    return status


def phase(facts: Facts) -> str:
    """`status.phase` by kubelet's rules: sidecars do not decide how a pod ended, but it has not while they run."""
    if _completed(facts):
        if any(container.alive for container in facts.sidecars):
            return "Running"
        return "Succeeded" if all(map(succeeded, facts.main)) else "Failed"
    if not facts.initialized or any(_never_ran(container) for container in facts.main):
        return "Pending"
    return "Running"


def container_ready(container: Container) -> bool:
    """Init containers are ready once they succeeded, others while they run and their probe agrees."""
    if container.init and not container.sidecar:
        return succeeded(container)
    return isinstance(container.state, Running) and container.state.started and container.state.ready


def _completed(facts: Facts) -> bool:
    return completed(facts.restart, facts.init, facts.main)


def _never_ran(container: Container) -> bool:
    return isinstance(container.state, Waiting) and container.last is None


# -- containers


def _container_statuses(pod: Obj, facts: Facts, node: Node, *, init: bool) -> list[Obj]:
    specs = {spec["name"]: spec for spec in dig(pod, "spec", "initContainers" if init else "containers", default=[])}
    return [
        _container_status(pod, specs[container.name], container, facts, node)
        for container in facts.containers
        if container.init == init
    ]


def _container_status(pod: Obj, spec: Mapping[str, Any], container: Container, facts: Facts, node: Node) -> Obj:
    state, last = _seen(pod, container, facts, node)
    image = str(spec.get("image", ""))
    ran = container.runs > 0
    return {
        "name": container.name,
        "image": image,
        "imageID": image if ran else "",
        "containerID": container_id(uid_of(pod), container) if ran else "",
        "ready": container_ready(container),
        "started": isinstance(container.state, Running) and container.state.started,
        "restartCount": max(container.runs - 1, 0),
        "state": _state_object(state, pod, container),
        "lastState": {"terminated": _state_object(last, pod, container)["terminated"]} if last else {},
    }


def backing_off(pod: Obj, status: Obj) -> Iterator[tuple[str, str]]:
    """Type and message of the events that are due when `status` replaces the pod's: who just began to wait longer."""
    for field in ("initContainerStatuses", "containerStatuses"):
        known = {each["name"]: each for each in dig(pod, "status", field, default=[])}
        for each in status.get(field, []):
            reason, before = _waiting_for(each), known.get(each["name"], {})
            if (reason, each["restartCount"]) == (_waiting_for(before), before.get("restartCount")):
                continue
            if reason == "CrashLoopBackOff":
                who = f"{each['name']} in pod {name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"
                yield "Warning", f"Back-off restarting failed container {who}"
            elif reason == "ImagePullBackOff":
                yield "Normal", f'Back-off pulling image "{each["image"]}"'


def _waiting_for(container_status: Mapping[str, Any]) -> str:
    return str(dig(container_status, "state", "waiting", "reason", default=""))


def container_id(uid: str, container: Container) -> str:
    """Names one run, as a runtime's container id does."""
    return f"graylane://{uid}/{container.name}/{max(container.runs - 1, 0)}"


def _seen(pod: Obj, container: Container, facts: Facts, node: Node) -> tuple[State, Terminated | None]:
    """The state users see: an ended container that will run again shows what it waits for, its end as lastState."""
    state = container.state
    if isinstance(state, Terminated):
        if facts.leaving_since or facts.over or done(facts.restart, container) or _completed(facts):
            return state, container.last
        waits = container.backoff.delay.total_seconds()
        if waits == 0:
            return state, container.last
        who = f"container={container.name} pod={name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"
        return Waiting("CrashLoopBackOff", f"back-off {_duration(waits)} restarting failed {who}"), state
    if isinstance(state, Waiting) and container.last is None and container.runs == 0:
        if facts.refusals:
            return Waiting("CreateContainerConfigError", "; ".join(facts.refusals)), None
        if not container.init and not facts.initialized:
            return NOT_INITIALIZED, None
        if node.waiting is not None and state.reason == "ContainerCreating":
            return node.waiting, None
    return state, container.last


def _duration(seconds: float) -> str:
    """As Go prints it: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _state_object(state: State, pod: Obj, container: Container) -> Obj:
    match state:
        case Waiting():
            waiting = {"reason": state.reason} | ({"message": state.message} if state.message else {})
            return {"waiting": waiting}
        case Running():
            return {"running": {"startedAt": format_time(state.at)}}
        case Terminated():
            ended: Obj = {"exitCode": state.exit_code, "reason": state.reason}
            if state.signal:
                ended["signal"] = state.signal
            if state.message:
                ended["message"] = state.message
            ended["startedAt"] = format_time(state.started_at or state.finished_at)
            ended["finishedAt"] = format_time(state.finished_at)
            return {"terminated": ended}


# -- conditions


def _conditions(pod: Obj, facts: Facts, now: datetime) -> list[Obj]:
    conditions: list[Obj] = dig(pod, "status", "conditions", default=[])
    for condition in (
        Condition("PodReadyToStartContainers", _truth(bool(facts.address) and not facts.refusals)),
        _initialized(facts),
        _ready(pod, facts),
        _containers_ready(facts),
        Condition("PodScheduled", "True"),
    ):
        if condition.type == "PodScheduled" and find_condition(conditions, "PodScheduled"):
            continue  # the scheduler's to write
        conditions = set_condition(conditions, condition, now)
    return conditions


def _initialized(facts: Facts) -> Condition:
    left = [container.name for container in facts.init if not passed(container)]
    if facts.initialized or not left:
        return Condition("Initialized", "True", "PodCompleted" if phase(facts) == "Succeeded" else "")
    names = f"containers with incomplete status: [{' '.join(left)}]"
    return Condition("Initialized", "False", "ContainersNotInitialized", names)


def _containers_ready(facts: Facts) -> Condition:
    if (final := phase(facts)) in ("Succeeded", "Failed"):
        return Condition("ContainersReady", "False", "PodCompleted" if final == "Succeeded" else "PodFailed")
    unready = [each.name for each in (*facts.sidecars, *facts.main) if not container_ready(each)]
    if not unready:
        return Condition("ContainersReady", "True")
    names = f"containers with unready status: [{' '.join(unready)}]"
    return Condition("ContainersReady", "False", "ContainersNotReady", names)


def _ready(pod: Obj, facts: Facts) -> Condition:
    containers = _containers_ready(facts)
    if containers.status != "True":
        return Condition("Ready", "False", containers.reason, containers.message)
    gates = [str(gate.get("conditionType")) for gate in dig(pod, "spec", "readinessGates", default=[])]
    closed = [gate for gate in gates if not _holds(pod, gate)]
    if closed:
        quoted = ", ".join(f'corresponding condition of pod readiness gate "{gate}" is not "True"' for gate in closed)
        return Condition("Ready", "False", "ReadinessGatesNotReady", quoted)
    return Condition("Ready", "True")


def _holds(pod: Obj, kind: str) -> bool:
    entry = find_condition(dig(pod, "status", "conditions", default=[]), kind)
    return entry is not None and entry.get("status") == "True"


def _truth(value: bool) -> str:
    return "True" if value else "False"
