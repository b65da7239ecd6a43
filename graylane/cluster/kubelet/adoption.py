"""What a kubelet that starts anew makes of a pod's written status.

Pure. In: a pod object. Out: its containers as facts. Whatever ran before us has been killed by now (the guardian, the
sweep), so a container written down as running has ended without a word, and counts as one more run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from graylane.cluster.kubelet.states import NOT_CREATED, Container, State, Terminated
from graylane.model.meta import Obj, dig, parse_time

_LOST = "the node was stopped while the container ran"


def container_specs(pod: Obj) -> dict[str, Mapping[str, Any]]:
    """Init containers, then the others, by name."""
    spec = dig(pod, "spec", default={})
    return {each["name"]: each for each in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]}


def adopted_containers(pod: Obj, now: datetime) -> list[Container]:
    """One entry per container of the spec, init containers first."""
    found: list[Container] = []
    for field, statuses, init in (
        ("initContainers", "initContainerStatuses", True),
        ("containers", "containerStatuses", False),
    ):
        known = {each.get("name"): each for each in dig(pod, "status", statuses, default=[])}
        for spec in dig(pod, "spec", field, default=[]):
            adopted = _adopted(spec["name"], init, known.get(spec["name"]) or {}, now)
            found.append(replace(adopted, sidecar=init and spec.get("restartPolicy") == "Always"))
    return found


def _adopted(name: str, init: bool, status: Mapping[str, Any], now: datetime) -> Container:
    ran = bool(status.get("containerID"))
    runs = int(status.get("restartCount") or 0) + 1 if ran else 0
    return Container(name, _state(status, now), init, runs, _terminated(dig(status, "lastState", "terminated")))


def _state(status: Mapping[str, Any], now: datetime) -> State:
    """A container that waited for its back-off runs again at once: a restart of the node is a fresh start."""
    if running := dig(status, "state", "running"):
        started = running.get("startedAt")
        return Terminated(137, "Error", now, parse_time(started) if started else None, 9, _LOST)
    ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
    return _terminated(ended) or NOT_CREATED


def _terminated(ended: Mapping[str, Any] | None) -> Terminated | None:
    if not ended:
        return None
    finished, started = ended.get("finishedAt"), ended.get("startedAt")
    return Terminated(
        exit_code=int(ended.get("exitCode") or 0),
        reason=str(ended.get("reason") or ""),
        finished_at=parse_time(finished or started or "1970-01-01T00:00:00Z"),
        started_at=parse_time(started) if started else None,
        signal=int(ended.get("signal") or 0),
        message=str(ended.get("message") or ""),
    )
