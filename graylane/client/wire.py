"""What goes over the wire for each verb, and what comes back.

Pure. In: verbs and objects, response bytes, watch lines. Out: `Request`, objects, `WatchEvent`, or an `ApiError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from graylane.errors import ApiError
from graylane.model.kinds import POD, Kind
from graylane.model.meta import Obj, name_of, namespace_of
from graylane.model.patches import PatchType

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, `path` without the server's URL."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = JSON
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; ERROR never comes out of the client, it is raised."""

    type: str
    object: Obj


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A consistent list and the version to watch from."""

    items: list[Obj]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What part of a collection a list or watch asks for; empty strings ask for all."""

    labels: str = ""
    fields: str = ""

    def params(self) -> dict[str, str]:
        pairs = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in pairs.items() if value}


def create(kind: Kind, obj: Obj, manager: str) -> Request:
    body = orjson.dumps({"apiVersion": kind.api_version, "kind": kind.kind} | obj)
    return Request("POST", kind.path(namespace_of(obj)), body, params={"fieldManager": manager})


def bind(pod: str, namespace: str, node: str, uid: str) -> Request:
    metadata = {"name": pod, "namespace": namespace, "uid": uid}
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
    return Request("POST", POD.path(namespace, pod, "binding"), orjson.dumps(body))


def replace(kind: Kind, obj: Obj, subresource: str, manager: str) -> Request:
    body = orjson.dumps({"apiVersion": kind.api_version, "kind": kind.kind} | obj)
    path = kind.path(namespace_of(obj), name_of(obj), subresource)
    return Request("PUT", path, body, params={"fieldManager": manager})


@dataclass(frozen=True, slots=True)
class Target:
    """One object, or one of its subresources."""

    kind: Kind
    name: str
    namespace: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name, self.subresource)


def patch(target: Target, body: Any, patch_type: PatchType, manager: str) -> Request:
    return Request("PATCH", target.path, orjson.dumps(body), patch_type.value, {"fieldManager": manager})


def delete(target: Target, propagation: str, grace_seconds: int | None, uid: str | None) -> Request:
    options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    if uid is not None:
        options["preconditions"] = {"uid": uid}
    return Request("DELETE", target.path, orjson.dumps(options))


def watch_params(selection: Selection, resource_version: str, timeout_seconds: int) -> dict[str, str]:
    return selection.params() | {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": resource_version,
        "timeoutSeconds": str(timeout_seconds),
    }


def decode_watch_line(line: bytes) -> WatchEvent:
    """One line of a watch stream. An ERROR event is raised as the `ApiError` it carries (410 → `Gone`)."""
    event = orjson.loads(line)
    if event["type"] == "ERROR":
        raise ApiError.from_status(event["object"], 500)
    return WatchEvent(event["type"], event["object"])


def decode_error(body: bytes, http_code: int) -> ApiError:
    """The error a non-2xx answer stands for, whether its body is a `Status` or a proxy's text."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": body.decode(errors="replace").strip()[:500]}
    return ApiError.from_status(status, http_code)
