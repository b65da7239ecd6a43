"""What a kubelet that starts anew makes of a pod's written status, and of what the holder has kept for it.

Pure. In: a pod object, the runs of its containers that were kept. Out: its containers as facts. A container written
down as running that was not kept was killed without a word, and counts as one more run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from graylane.cluster.kubelet.remains import Remains
from graylane.cluster.kubelet.states import NOT_CREATED, Container, Running, State, Terminated
from graylane.model.meta import Obj, dig, parse_time

_LOST = "the node was stopped while the container ran"


def container_specs(pod: Obj) -> dict[str, Mapping[str, Any]]:
    """Init containers, then the others, by name."""
    spec = dig(pod, "spec", default={})
    return {each["name"]: each for each in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]}


def adopted_containers(pod: Obj, now: datetime, kept: Mapping[str, Remains] | None = None) -> list[Container]:
    """One entry per container of the spec, init containers first. `kept`: its last run by the container's name."""
    kept = kept or {}
    found: list[Container] = []
    for field, statuses, init in (
        ("initContainers", "initContainerStatuses", True),
        ("containers", "containerStatuses", False),
    ):
        known = {each.get("name"): each for each in dig(pod, "status", statuses, default=[])}
        for spec in dig(pod, "spec", field, default=[]):
            adopted = _adopted(spec["name"], init, known.get(spec["name"]) or {}, kept.get(spec["name"]), now)
            found.append(replace(adopted, sidecar=init and spec.get("restartPolicy") == "Always"))
    return found


def _adopted(name: str, init: bool, status: Mapping[str, Any], kept: Remains | None, now: datetime) -> Container:
    if kept is not None:
        return Container(name, _kept(kept, status, now), init, kept.run + 1, kept.last, kept.backoff, busy=_busy(kept))
    ran = bool(status.get("containerID"))
    runs = int(status.get("restartCount") or 0) + 1 if ran else 0
    return Container(name, _state(status, now), init, runs, _terminated(dig(status, "lastState", "terminated")))


def _busy(kept: Remains) -> bool:
    return kept.exit is None and (kept.stopping or not kept.hooked)


def _kept(kept: Remains, status: Mapping[str, Any], now: datetime) -> State:
    """What its probes had found holds until they find something else."""
    if kept.exit is not None:
        reason = "Completed" if kept.exit.code == 0 else "Error"
        return Terminated(kept.exit.code, reason, kept.ended_at or now, kept.started_at, kept.exit.signal)
    if not kept.hooked:
        return NOT_CREATED
    started, ready = health_before(kept, status)
    return Running(kept.started_at, started, ready)


def health_before(kept: Remains, status: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether that run had started, and was ready, as far as was written down."""
    same = status.get("containerID") == kept.id and "running" in (status.get("state") or {})
    return same and bool(status.get("started")), same and bool(status.get("ready"))


def leaving_since(pod: Obj, now: datetime) -> datetime:
    """When the deletion that is under way was asked for: the grace period counts from then."""
    grace = timedelta(seconds=int(dig(pod, "metadata", "deletionGracePeriodSeconds", default=0)))
    by = dig(pod, "metadata", "deletionTimestamp")
    return now if by is None else min(parse_time(by) - grace, now)


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
