"""How workloads are printed: Deployment, ReplicaSet, StatefulSet, DaemonSet and the older controllers.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import (
    NONE,
    Printer,
    age,
    columns,
    containers,
    labels_text,
    selector_text,
)
from graylane.model.meta import Obj, controller_of, dig, name_of


def _status(obj: Obj, name: str) -> int:
    return int(dig(obj, "status", name, default=0))


def _desired(obj: Obj) -> int:
    return int(dig(obj, "spec", "replicas", default=0))


def _wide(obj: Obj) -> list[Any]:
    """Container names, images and the selector."""
    return [*containers(dig(obj, "spec", "template", "spec")), selector_text(dig(obj, "spec", "selector"))]


def deployment(obj: Obj, now: datetime) -> list[Any]:
    ready = f"{_status(obj, 'readyReplicas')}/{_desired(obj)}"
    counts = [_status(obj, "updatedReplicas"), _status(obj, "availableReplicas")]
    return [name_of(obj), ready, *counts, age(obj, now), *_wide(obj)]


def replica_set(obj: Obj, now: datetime) -> list[Any]:
    counts = [_desired(obj), _status(obj, "replicas"), _status(obj, "readyReplicas")]
    return [name_of(obj), *counts, age(obj, now), *_wide(obj)]


def replication_controller(obj: Obj, now: datetime) -> list[Any]:
    """Like a ReplicaSet, but its selector is a plain map."""
    plain = dig(obj, "spec", "selector")
    return [*replica_set({**obj, "spec": {**obj["spec"], "selector": None}}, now)[:-1], labels_text(plain)]


def stateful_set(obj: Obj, now: datetime) -> list[Any]:
    ready = f"{_status(obj, 'readyReplicas')}/{_desired(obj)}"
    return [name_of(obj), ready, age(obj, now), *_wide(obj)[:2]]


def daemon_set(obj: Obj, now: datetime) -> list[Any]:
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    nodes = labels_text(dig(obj, "spec", "template", "spec", "nodeSelector"))
    return [name_of(obj), *(_status(obj, name) for name in names), nodes, age(obj, now), *_wide(obj)]


def controller_revision(obj: Obj, now: datetime) -> list[Any]:
    owner = controller_of(obj)
    kind = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [name_of(obj), kind, obj.get("revision", 0), age(obj, now)]


def pod_template(obj: Obj, now: datetime) -> list[Any]:
    template = obj.get("template") or {}
    return [name_of(obj), *containers(template.get("spec")), labels_text(dig(template, "metadata", "labels"))]


_WIDE = ("Containers+", "Images+", "Selector+")
_SETS = columns("Name", "integer:Desired", "integer:Current", "integer:Ready", "Age", *_WIDE)
PRINTERS = {
    ("apps", "Deployment"): Printer(columns("Name", "Ready", "Up-to-date", "Available", "Age", *_WIDE), deployment),
    ("apps", "ReplicaSet"): Printer(_SETS, replica_set),
    ("", "ReplicationController"): Printer(_SETS, replication_controller),
    ("apps", "StatefulSet"): Printer(columns("Name", "Ready", "Age", *_WIDE[:2]), stateful_set),
    ("apps", "DaemonSet"): Printer(
        columns(
            "Name",
            "integer:Desired",
            "integer:Current",
            "integer:Ready",
            "integer:Up-to-date",
            "integer:Available",
            "Node Selector",
            "Age",
            *_WIDE,
        ),
        daemon_set,
    ),
    ("apps", "ControllerRevision"): Printer(columns("Name", "Controller", "Revision", "Age"), controller_revision),
    ("", "PodTemplate"): Printer(columns("Name", "Containers", "Images", "Pod Labels"), pod_template),
}
