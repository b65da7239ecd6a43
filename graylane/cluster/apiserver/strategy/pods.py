"""Pods: they start Pending, keep their spec, and end only after their grace period.

Pure. In: pods. Out: pods with an initial status; field errors for what may not change; grace seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.fielderror import FieldError, forbidden
from graylane.cluster.apiserver.strategy.base import Strategy
from graylane.model.meta import Obj, dig

_DEFAULT_GRACE = 30
_FINISHED = ("Succeeded", "Failed")
_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
_CONTAINER_LISTS = ("containers", "initContainers")


def _create(pod: Obj, now: datetime) -> Obj:
    return {**pod, "status": {"phase": "Pending", "qosClass": qos_class(pod)}}


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
        return max(asked, 0)
    return int(dig(pod, "spec", "terminationGracePeriodSeconds", default=_DEFAULT_GRACE))


PODS = Strategy(create=_create, check=_check, grace=_grace, answers_deleted=True)
