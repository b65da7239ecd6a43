"""The defaults of a pod's spec, shared by Pod and every kind with a pod template.

Pure. In: a pod spec or pod template. Out: the same with its defaults. Source: core/v1 `defaults.go`, Kubernetes 1.32.
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.schema.filling import Fill, at, each, given, put, put_all, sub
from graylane.model.meta import Obj

_SPEC: Obj = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER: Obj = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Obj = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_MODE = 0o644
_FIELD_REF = {"apiVersion": "v1"}


def template(value: Obj) -> Obj:
    return sub(value, "spec", fill) if value.get("spec") is not None else value


def fill(spec: Obj) -> Obj:
    spec = put_all(spec, _SPEC)
    if spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        spec = put(spec, "serviceAccount", spec["serviceAccountName"])  # the deprecated alias follows
    for name in ("containers", "initContainers", "ephemeralContainers"):
        spec = at(spec, name, each(_container))
    return at(spec, "volumes", each(_volume))


def _container(container: Obj) -> Obj:
    container = put_all(container, _CONTAINER)
    container = put(container, "imagePullPolicy", pull_policy(str(container.get("image") or "")))
    container = put(container, "resources", {})
    container = at(container, "ports", each(given({"protocol": "TCP"})))
    container = at(container, "env", each(_env))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        container = at(container, name, _probe)
    return at(container, "lifecycle", _lifecycle)


def pull_policy(image: str) -> str:
    """Always for `latest` or no tag, IfNotPresent otherwise: a digest is a version, a bad reference has no tag."""
    if "@" in image or not image or image != image.strip():
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if tag and tag != "latest" else "Always"


def _host_ports(container: Obj) -> Obj:
    return at(container, "ports", each(lambda port: put(port, "hostPort", port.get("containerPort"))))


def _env(entry: Obj) -> Obj:
    return at(entry, "valueFrom", lambda source: at(source, "fieldRef", given(_FIELD_REF)))


def _probe(probe: Obj) -> Obj:
    return _handler(put_all(probe, _PROBE))


def _lifecycle(hooks: Obj) -> Obj:
    return at(at(hooks, "postStart", _handler), "preStop", _handler)


def _handler(handler: Obj) -> Obj:
    handler = at(handler, "httpGet", given({"path": "/", "scheme": "HTTP"}))
    return at(handler, "grpc", given({"service": ""}))


def _volume(volume: Obj) -> Obj:
    if set(volume) <= {"name"}:
        return {**volume, "emptyDir": {}}  # a volume without a source is an empty directory
    for name, source in _VOLUME_SOURCES.items():
        volume = at(volume, name, source)
    return volume


def _items(source: Obj) -> Obj:
    return at(source, "items", each(_downward_item))


def _downward_item(item: Obj) -> Obj:
    return at(item, "fieldRef", given(_FIELD_REF))


def _projected(source: Obj) -> Obj:
    return at(put(source, "defaultMode", _MODE), "sources", each(_projection))


def _projection(projection: Obj) -> Obj:
    projection = at(projection, "serviceAccountToken", given({"expirationSeconds": 3600}))
    return at(projection, "downwardAPI", _items)


def _downward(source: Obj) -> Obj:
    return _items(put(source, "defaultMode", _MODE))


_VOLUME_SOURCES: dict[str, Fill] = {
    "configMap": given({"defaultMode": _MODE}),
    "secret": given({"defaultMode": _MODE}),
    "downwardAPI": _downward,
    "projected": _projected,
    "hostPath": given({"type": ""}),
}


def pods_only(spec: Obj) -> Obj:
    """What pods get and templates do not: a pod asks for at least what it is limited to."""
    for name in ("containers", "initContainers"):
        spec = at(spec, name, each(lambda container: at(container, "resources", _requests)))
        if spec.get("hostNetwork"):
            spec = at(spec, name, each(_host_ports))
    return put(spec, "enableServiceLinks", True)


def _requests(resources: Obj) -> Obj:
    limits: dict[str, Any] = resources.get("limits") or {}
    return sub(resources, "requests", given(limits)) if limits else resources
