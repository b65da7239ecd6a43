"""Pods: they start Pending, keep their spec, and end only after their grace period.

Pure. In: pods, and the priority classes of the moment. Out: pods with an initial status and a priority; field errors
for what may not change; grace seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.fielderror import FieldError, forbidden
from graylane.cluster.apiserver.strategy.base import Ledger, Strategy
from graylane.errors import Forbidden
from graylane.model.meta import Obj, dig, name_of

_DEFAULT_GRACE = 30
_FINISHED = ("Succeeded", "Failed")
_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
_CONTAINER_LISTS = ("containers", "initContainers")
_AWAY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_EVICTS, _PATIENCE = "NoExecute", 300
_CLASSES, _PREEMPTS = "priorityclasses.scheduling.k8s.io", "PreemptLowerPriority"


def _create(pod: Obj, now: datetime) -> Obj:
    spec = {**pod["spec"], "tolerations": _patient(dig(pod, "spec", "tolerations", default=[]))}
    return {**pod, "spec": spec, "status": {"phase": "Pending", "qosClass": qos_class(pod)}}


def _patient(tolerations: list[Obj]) -> list[Obj]:
    """A node may be away for five minutes, unless the pod says how long itself."""
    return tolerations + [
        {"key": key, "operator": "Exists", "effect": _EVICTS, "tolerationSeconds": _PATIENCE}
        for key in _AWAY
        if not any(_is_about(toleration, key) for toleration in tolerations)
    ]


def _is_about(toleration: Obj, key: str) -> bool:
    named = toleration.get("key") in (key, None, "") and toleration.get("effect") in (_EVICTS, None, "")
    return named and (bool(toleration.get("key")) or toleration.get("operator") == "Exists")


def _allocate(new: Obj, old: Obj | None, ledger: Ledger) -> Obj:
    """The number behind the pod's priority class, which is the cluster's default where it names none."""
    if old is not None:
        return new
    name, classes = new["spec"].get("priorityClassName"), [entry.obj for entry in ledger.heads.heads(_CLASSES)]
    chosen = next((found for found in classes if _is_meant(found, name)), None)
    if name and chosen is None:
        raise Forbidden(
            f'pods "{name_of(new)}" is forbidden: no PriorityClass with name {name} was found',
            details={"name": name_of(new), "kind": "pods"},
        )
    facts = chosen or {"value": 0}
    spec = {**new["spec"], "priority": facts["value"], "preemptionPolicy": facts.get("preemptionPolicy", _PREEMPTS)}
    return {**new, "spec": spec | ({"priorityClassName": name_of(chosen)} if chosen else {})}


def _is_meant(found: Obj, name: str | None) -> bool:
    return name_of(found) == name if name else bool(found.get("globalDefault"))


def qos_class(pod: Obj) -> str:
    """BestEffort without any request or limit, Guaranteed when all limits are set and equal the requests."""
    containers = [c for name in _CONTAINER_LISTS for c in dig(pod, "spec", name, default=[])]
    resources = [container.get("resources") or {} for container in containers]
    if not any(found.get("requests") or found.get("limits") for found in resources):
        return "BestEffort"
    guaranteed = all(
        set(found.get("limits") or {}) >= {"cpu", "memory"}
        and (found.get("requests") or found["limits"]) == found["limits"]
        for found in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _check(new: Obj, old: Obj | None) -> list[FieldError]:
    if old is None or _frozen(new["spec"]) == _frozen(old["spec"]):
        return []
    return [
        forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
            "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        )
    ]


def _frozen(spec: Obj) -> dict[str, Any]:
    kept = {name: value for name, value in spec.items() if name not in _MUTABLE}
    for name in _CONTAINER_LISTS:
        if name in kept:
            kept[name] = [{k: v for k, v in container.items() if k != "image"} for container in kept[name]]
    return kept


def _grace(pod: Obj, asked: int | None) -> int:
    """Nobody to wait for (unscheduled, finished): none. Else what was asked, else what the pod says."""
    if not dig(pod, "spec", "nodeName") or dig(pod, "status", "phase") in _FINISHED:
        return 0
    if asked is not None:
        return asked if asked >= 0 else 1  # as soon as can be, but not before the kubelet has ended it
    return int(dig(pod, "spec", "terminationGracePeriodSeconds", default=_DEFAULT_GRACE))


PODS = Strategy(
    create=_create,
    check=_check,
    allocate=_allocate,
    grace=_grace,
    graceful=True,
    answers_deleted=True,
    status_fixes=("ownerReferences",),
)
