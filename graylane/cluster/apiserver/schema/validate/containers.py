"""Containers: names, images, ports, environment, mounts, probes, resources.

Pure. In: a container and its path. Out: field errors. Follows core/v1 validation of Kubernetes 1.32.
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.schema.fielderror import (
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import Errors, every, given, needed, one_of, spelled
from graylane.model.meta import Obj
from graylane.model.quantity import amount

PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL = ("Always", "IfNotPresent", "Never")
_MESSAGES = ("File", "FallbackToLogsOnError")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
# Known to Kubernetes, but not to be had as environment variables.
_OTHER_FIELDS = ("metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_QUOTA_RESOURCES = ("storage", "pods", "services", "secrets", "configmaps", "replicationcontrollers", "resourcequotas")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def container(obj: Obj, path: str, volumes: frozenset[str]) -> Errors:
    """What all containers have in common; `volumes` are the names a mount may use."""
    yield from needed(obj, "name", path, syntax.label)
    yield from needed(obj, "image", path)
    yield from one_of(obj, "terminationMessagePolicy", path, _MESSAGES)
    yield from _ports(obj, path)
    yield from every(obj, "env", path, _env)
    for index, source in enumerate(obj.get("envFrom") or ()):
        yield from _env_from(source, f"{path}.envFrom", f"[{index}]")
    yield from _mounts(obj, path, volumes)
    yield from one_of(obj, "imagePullPolicy", path, _PULL)
    yield from _resources(obj.get("resources") or {}, f"{path}.resources")


def running(obj: Obj, path: str) -> Errors:
    """What only containers that keep running have: hooks and probes."""
    for name in ("postStart", "preStop"):
        hook = (obj.get("lifecycle") or {}).get(name)
        if hook is not None:
            yield from _handler(hook, f"{path}.lifecycle.{name}")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if obj.get(name) is not None:
            yield from _probe(obj[name], f"{path}.{name}", once=name != "readinessProbe")


def _ports(obj: Obj, path: str) -> Errors:
    names: set[str] = set()
    for index, port in enumerate(obj.get("ports") or ()):
        where, name = f"{path}.ports[{index}]", port.get("name")
        if name:
            problems = list(spelled(name, f"{where}.name", syntax.port_name))
            yield from problems or ([duplicate(f"{where}.name", name)] if name in names else [])
            names.add(name)
        yield from needed({**port, "containerPort": port.get("containerPort") or None}, "containerPort", where)
        if port.get("containerPort"):
            yield from spelled(port["containerPort"], f"{where}.containerPort", syntax.port_number)
        if port.get("hostPort"):
            yield from spelled(port["hostPort"], f"{where}.hostPort", syntax.port_number)
        yield from one_of(port, "protocol", where, PROTOCOLS)


def _env(entry: Obj, path: str) -> Errors:
    yield from needed(entry, "name", path, syntax.env_name)
    source = entry.get("valueFrom")
    if source is None:
        return
    where = f"{path}.valueFrom"
    named = [name for name in _SOURCES if source.get(name) is not None]
    for name in named:
        yield from _source(name, source[name], f"{where}.{name}")
    if not named:
        one = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(where, "", one)
    elif entry.get("value"):
        yield invalid(where, "", "may not be specified when `value` is not empty")
    elif len(named) > 1:
        yield invalid(where, "", "may not have more than one field specified at a time")


def _source(name: str, source: Obj, path: str) -> Errors:
    if name == "fieldRef":
        yield from _field_ref(source, path)
    elif name == "resourceFieldRef":
        yield from needed(source, "resource", path)
    else:
        yield from needed(source, "name", path)
        yield from needed(source, "key", path, syntax.config_key)


def _field_ref(source: Obj, path: str) -> Errors:
    field = source.get("fieldPath") or ""
    if not field:
        yield required(f"{path}.fieldPath")
        return
    base, bracket, _ = field.partition("['")
    if bracket and base in ("metadata.labels", "metadata.annotations") and field.endswith("']"):
        return
    reason = "does not support subscript" if bracket else "not supported"
    if bracket or field not in _FIELDS + _OTHER_FIELDS:
        yield invalid(f"{path}.fieldPath", field, f"error converting fieldPath: field label {reason}: {field}")
    elif field not in _FIELDS:
        yield not_supported(f"{path}.fieldPath", field, _FIELDS)


def _env_from(source: Obj, path: str, index: str) -> Errors:
    """Kubernetes names the list, not the element, when the element as a whole is wrong."""
    named = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
    if source.get("prefix"):
        yield from given(source, "prefix", path + index, syntax.env_name)
    for name in named:
        yield from needed(source[name], "name", f"{path}{index}.{name}")
    if not named:
        yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(named) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _mounts(obj: Obj, path: str, volumes: frozenset[str]) -> Errors:
    seen: set[str] = set()
    for index, mount in enumerate(obj.get("volumeMounts") or ()):
        where, target = f"{path}.volumeMounts[{index}]", mount.get("mountPath")
        yield from needed(mount, "name", where)
        if mount.get("name") not in volumes:
            yield not_found(f"{where}.name", mount.get("name") or "")
        yield from needed(mount, "mountPath", where)
        if target in seen:
            yield invalid(f"{where}.mountPath", target, "must be unique")
        seen.add(target)


def _probe(probe: Obj, path: str, *, once: bool) -> Errors:
    yield from _handler(probe, path)
    for name in _NUMBERS:
        yield from given(probe, name, path, syntax.not_negative)
    if once and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if grace is not None and not once:
        yield invalid(f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")


def _handler(handler: Obj, path: str) -> Errors:
    named = [name for name in _HANDLERS if handler.get(name) is not None]
    if not named:
        yield required(path, "must specify a handler type")
        return
    yield from (forbidden(f"{path}.{name}", "may not specify more than 1 handler type") for name in named[1:])
    action, where = handler[named[0]], f"{path}.{named[0]}"
    if named[0] == "exec":
        yield from needed(action, "command", where)
    elif named[0] == "httpGet":
        yield from needed(action, "path", where)
        yield from given(action, "port", where, syntax.port)
        yield from one_of(action, "scheme", where, ("HTTP", "HTTPS"))
    elif named[0] in ("tcpSocket", "grpc"):
        yield from given(action, "port", where, syntax.port)


def _resources(resources: Obj, path: str) -> Errors:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            yield from _resource(name, value, f"{path}.{kind}")
    for name, value in requests.items():
        limit = limits.get(name)
        if limit is not None and amount(value) > amount(limit):
            yield invalid(f"{path}.requests", value, f"must be less than or equal to {name} limit of {limit}")


def _resource(name: str, value: Any, path: str) -> Errors:
    if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
        if name not in _QUOTA_RESOURCES:
            yield invalid(f"{path}[{name}]", name, "must be a standard resource type or fully qualified")
        yield invalid(f"{path}[{name}]", name, "must be a standard resource for containers")
    if amount(value) < 0:
        yield invalid(f"{path}[{name}]", value, syntax.NOT_NEGATIVE)
