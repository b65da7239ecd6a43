"""How nodes, namespaces and events are printed.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import NAME, NONE, UNKNOWN, Printer, age, columns, since
from graylane.model.meta import Obj, condition, dig, labels_of, name_of

_ROLE = "node-role.kubernetes.io/"
_OLD_ROLE = "kubernetes.io/role"


def node(obj: Obj, now: datetime) -> list[Any]:
    info = dig(obj, "status", "nodeInfo", default={})
    addresses = {entry["type"]: entry["address"] for entry in dig(obj, "status", "addresses", default=[])}
    return [
        name_of(obj),
        _node_status(obj),
        ",".join(_roles(obj)) or NONE,
        age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(obj: Obj) -> str:
    ready = condition(obj, "Ready")
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if dig(obj, "spec", "unschedulable") else word


def _roles(obj: Obj) -> list[str]:
    labels = labels_of(obj)
    named = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    return sorted(named | ({labels[_OLD_ROLE]} if labels.get(_OLD_ROLE) else set()))


def namespace(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), dig(obj, "status", "phase", default=""), age(obj, now)]


def event(obj: Obj, now: datetime) -> list[Any]:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last, times = obj.get("lastTimestamp") or first, obj.get("count") or 1
    if series := obj.get("series"):
        last, times = series.get("lastObservedTime") or last, series.get("count") or times
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        "/".join(filter(None, (about.get("kind", "").lower(), about.get("name")))),
        about.get("fieldPath", ""),
        _source(obj),
        str(obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        times,
        name_of(obj),
    ]


def _source(obj: Obj) -> str:
    """Who reported it, old style or new."""
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance")
    return f"{component}, {host}" if host else str(component)


_EVENT = (
    *columns("Last Seen", "Type", "Reason", "Object", "Subobject+", "Source+", "Message", "First Seen+", "Count+"),
    replace(NAME, priority=1),
)
PRINTERS = {
    ("", "Node"): Printer(
        columns(
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "Internal-IP+",
            "External-IP+",
            "OS-Image+",
            "Kernel-Version+",
            "Container-Runtime+",
        ),
        node,
    ),
    ("", "Namespace"): Printer(columns("Name", "Status", "Age"), namespace),
    ("", "Event"): Printer(_EVENT, event),
    ("events.k8s.io", "Event"): Printer(_EVENT, event),
}
