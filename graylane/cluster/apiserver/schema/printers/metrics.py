"""How measured usage is printed: PodMetrics and NodeMetrics.

Pure. In: objects and now. Out: cells; of a pod, the sum of its containers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import Printer, columns
from graylane.model.meta import Obj, name_of
from graylane.model.quantity import amount

_NANO, _KIBIBYTE = 1_000_000_000, 1024


def node(obj: Obj, now: datetime) -> list[Any]:
    return _row(obj, [obj["usage"]])


def pod(obj: Obj, now: datetime) -> list[Any]:
    return _row(obj, [container["usage"] for container in obj["containers"]])


def _row(obj: Obj, usages: list[Obj]) -> list[Any]:
    cpu = int(sum(amount(usage["cpu"]) for usage in usages) * _NANO)
    memory = int(sum(amount(usage["memory"]) for usage in usages)) // _KIBIBYTE
    return [name_of(obj), f"{cpu}n" if cpu else "0", f"{memory}Ki", obj["window"]]


_COLUMNS = columns("Name", "CPU", "Memory", "Window")
PRINTERS = {
    ("metrics.k8s.io", "NodeMetrics"): Printer(_COLUMNS, node),
    ("metrics.k8s.io", "PodMetrics"): Printer(_COLUMNS, pod),
}
