"""What holds mesh-wide, as users write it: ConfigMap `istio` in `istio-system`, key `mesh`.

Pure. In: the ConfigMap, what holds without it. Out: a `Reading`; for the controller, the events that tell what of it is
not acted on. A text that cannot be read changes nothing: what held before goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import yaml

from graylane.kit import Controller, Event, Outcome
from graylane.kit.cache import View
from graylane.mesh import durations
from graylane.mesh.findings import unknown_fields
from graylane.mesh.inputs import Block, MeshConfig
from graylane.model.kinds import CONFIG_MAP
from graylane.model.meta import Key, Obj

KEY = Key("istio-system", "istio")
_ENTRY = "mesh"
_MODES = ("REGISTRY_ONLY", "ALLOW_ANY")
SHAPE: Mapping[str, Any] = {
    "accessLogFile": ("", "/dev/stdout"),
    "connectTimeout": ...,
    "defaultDestinationRuleExportTo": ...,
    "defaultHttpRetryPolicy": {"attempts": ..., "perTryTimeout": ..., "retryOn": ..., "retryRemoteLocalities": ...},
    "defaultServiceExportTo": ...,
    "defaultVirtualServiceExportTo": ...,
    "outboundTrafficPolicy": {"mode": ...},
    "rootNamespace": ...,
}


class _Bad(ValueError):
    """Why a text cannot be a mesh's configuration."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`mesh` None leaves everything as it was, for the reason `fault`. `ignored` are fields that are not acted on."""

    mesh: MeshConfig | None
    ignored: tuple[str, ...] = ()
    fault: str = ""


def read(obj: Obj | None, base: MeshConfig) -> Reading:
    """`base` is what holds where nothing is written."""
    text = ((obj or {}).get("data") or {}).get(_ENTRY)
    if text is None:
        return Reading(base)
    try:
        written = _parsed(str(text))
        found = base
        for name, take in _TAKERS.items():
            if written.get(name) is not None:
                found = take(found, written[name], f"{_ENTRY}.{name}")
    except _Bad as fault:
        return Reading(None, fault=str(fault))
    return Reading(found, tuple(dict.fromkeys(unknown_fields(written, SHAPE, _ENTRY))))


def _parsed(text: str) -> Block:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise _Bad(
            f"data.{_ENTRY} is no YAML{where}: {getattr(error, 'problem', None) or 'it cannot be read'}"
        ) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _Bad(f"data.{_ENTRY} must be a mapping, as MeshConfig is")
    return found


Take = Callable[[MeshConfig, Any, str], MeshConfig]


def _policy(mesh: MeshConfig, value: Any, path: str) -> MeshConfig:
    mode = _block(value, path).get("mode") or "ALLOW_ANY"
    if mode not in _MODES:
        raise _Bad(f"{path}.mode {mode!r} must be one of {', '.join(_MODES)}")
    return replace(mesh, registry_only=mode == "REGISTRY_ONLY")


def _exports(field: str) -> Take:
    def take(mesh: MeshConfig, value: Any, path: str) -> MeshConfig:
        if not isinstance(value, list) or not all(isinstance(scope, str) and scope for scope in value):
            raise _Bad(f"{path} must be a list of namespaces, '*' or '.'")
        changes: dict[str, Any] = {field: tuple(value)}
        return replace(mesh, **changes)

    return take


def _root(mesh: MeshConfig, value: Any, path: str) -> MeshConfig:
    if not isinstance(value, str) or not value:
        raise _Bad(f"{path} must be the name of a namespace")
    return replace(mesh, root_namespace=value)


def _timeout(mesh: MeshConfig, value: Any, path: str) -> MeshConfig:
    length = durations.seconds(str(value))
    if not length:
        raise _Bad(f"{path} {value!r} must be a duration above 0, such as 10s")
    return replace(mesh, connect_timeout=length)


def _log(mesh: MeshConfig, value: Any, path: str) -> MeshConfig:
    """ "" for none; what is no place of ours is among the fields that are not acted on."""
    return replace(mesh, access_log=value) if value in ("", "/dev/stdout") else mesh


def _retries(mesh: MeshConfig, value: Any, path: str) -> MeshConfig:
    block = _block(value, path)
    attempts, per_try = block.get("attempts", 0), block.get("perTryTimeout")
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 0:
        raise _Bad(f"{path}.attempts {attempts!r} must be a number of at least 0")
    if per_try is not None and not durations.seconds(str(per_try)):
        raise _Bad(f"{path}.perTryTimeout {per_try!r} must be a duration above 0, such as 2s")
    known = ("attempts", "perTryTimeout", "retryOn", "retryRemoteLocalities")
    return replace(mesh, retries=tuple((name, str(block[name])) for name in known if block.get(name)))


def _block(value: Any, path: str) -> Block:
    if not isinstance(value, dict):
        raise _Bad(f"{path} must be a mapping")
    return value


_TAKERS: Mapping[str, Take] = {
    "accessLogFile": _log,
    "connectTimeout": _timeout,
    "defaultDestinationRuleExportTo": _exports("export_destination_rules"),
    "defaultHttpRetryPolicy": _retries,
    "defaultServiceExportTo": _exports("export_services"),
    "defaultVirtualServiceExportTo": _exports("export_virtual_services"),
    "outboundTrafficPolicy": _policy,
    "rootNamespace": _root,
}


def controller() -> Controller:
    """Tells on the ConfigMap what of it is not acted on; to act on the rest is the mesh's."""
    return Controller("mesh-config", CONFIG_MAP, reconcile)


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    obj = view.get(CONFIG_MAP, *key) if key == KEY else None
    return Outcome(tuple(_events(obj))) if obj is not None else Outcome()


def _events(obj: Obj) -> Iterable[Event]:
    found = read(obj, MeshConfig())
    if found.fault:
        why = f"{found.fault}; what held before goes on"
        yield Event(CONFIG_MAP, obj, "Warning", "InvalidMeshConfig", why)
    if found.ignored:
        named = ", ".join(found.ignored)
        yield Event(CONFIG_MAP, obj, "Warning", "FieldNotActedOn", f"not acted on by this mesh: {named}")
