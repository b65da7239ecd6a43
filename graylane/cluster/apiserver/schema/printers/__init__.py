"""The Table that `kubectl get` prints: the columns of each kind and a row for each object.

Pure. In: group, kind, objects, now, and a custom kind's own columns. Out: `columnDefinitions` and `rows` with cells. A
column of priority 1 is shown by `-o wide` only; kubectl writes headers in capitals and null cells as `<none>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from graylane.cluster.apiserver.schema.printers.access import PRINTERS as ACCESS
from graylane.cluster.apiserver.schema.printers.batch import PRINTERS as BATCH
from graylane.cluster.apiserver.schema.printers.cluster import PRINTERS as CLUSTER
from graylane.cluster.apiserver.schema.printers.columns import Printer
from graylane.cluster.apiserver.schema.printers.config import PRINTERS as CONFIG
from graylane.cluster.apiserver.schema.printers.custom import custom_printer
from graylane.cluster.apiserver.schema.printers.metrics import PRINTERS as METRICS
from graylane.cluster.apiserver.schema.printers.network import PRINTERS as NETWORK
from graylane.cluster.apiserver.schema.printers.nodes import PRINTERS as NODES
from graylane.cluster.apiserver.schema.printers.others import PRINTERS as OTHERS
from graylane.cluster.apiserver.schema.printers.pods import PRINTERS as PODS
from graylane.cluster.apiserver.schema.printers.workloads import PRINTERS as WORKLOADS
from graylane.model.meta import Obj

_PRINTERS: dict[tuple[str, str], Printer] = {
    **ACCESS,
    **BATCH,
    **CLUSTER,
    **CONFIG,
    **METRICS,
    **NETWORK,
    **NODES,
    **OTHERS,
    **PODS,
    **WORKLOADS,
}


def table(group: str, kind: str, objs: Sequence[Obj], now: datetime, columns: Iterable[Obj] | None = None) -> Obj:
    """`columns` are a CRD version's `additionalPrinterColumns`; without any a custom kind shows its age."""
    printer = _PRINTERS.get((group, kind)) or custom_printer(columns)
    return {
        "columnDefinitions": [column.definition() for column in printer.columns],
        "rows": [{"cells": printer.row(obj, now)} for obj in objs],
    }
