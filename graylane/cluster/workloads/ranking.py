"""Which pods go first when there are too many.

Pure. In: the pods of one owner and how crowded each node is. Out: the same pods, those to delete first in front.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from graylane.cluster.workloads.pods import is_ready, ready_since
from graylane.model.meta import Obj, annotations_of, dig, parse_time, uid_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASES = {"Pending": 0, "Unknown": 1}
_LATEST_PHASE = 2


def deletion_order(pods: Iterable[Obj], crowd: Mapping[str, int], now: datetime) -> list[Obj]:
    """Sort by Kubernetes' `ActivePodsWithRanks`; `crowd` is the number of related pods by node name."""
    return sorted(pods, key=lambda pod: _rank(pod, crowd, now))


def _rank(pod: Obj, crowd: Mapping[str, int], now: datetime) -> tuple[Any, ...]:
    node = str(dig(pod, "spec", "nodeName", default=""))
    ready = is_ready(pod)
    return (
        node != "",  # nobody runs it yet
        _PHASES.get(str(dig(pod, "status", "phase", default="Pending")), _LATEST_PHASE),
        ready,
        _cost(pod),
        -crowd.get(node, 0),
        _age(ready_since(pod), now) if ready else 0,
        -_restarts(pod),
        _age(_created(pod), now),
        uid_of(pod),
    )


def _cost(pod: Obj) -> int:
    """The user's wish, 0 when absent or not a number."""
    text = annotations_of(pod).get(DELETION_COST, "")
    return int(text) if text.removeprefix("-").isdigit() else 0


def _age(since: datetime | None, now: datetime) -> int:
    """Age in powers of two, so that pods of about the same age take their turns; younger is smaller."""
    seconds = (now - since).total_seconds() if since else 0.0
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1


def _created(pod: Obj) -> datetime | None:
    text = dig(pod, "metadata", "creationTimestamp")
    return parse_time(text) if text else None


def _restarts(pod: Obj) -> int:
    """The most restarts of any one container."""
    statuses = dig(pod, "status", "containerStatuses", default=[])
    return max((int(status.get("restartCount", 0)) for status in statuses), default=0)
