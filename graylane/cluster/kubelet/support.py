"""What a pod may not ask of this kubelet, refused by name before anything of it runs.

Pure. In: a pod. Out: one sentence per refusal, with the field's path; none for a pod that can run.

Refused is what would run differently from what was asked. What merely has no effect among processes (resource limits,
security contexts, image pull policies) is listed in the documentation instead: manifests for clusters carry it
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graylane.cluster.kubelet.contents import PARTS
from graylane.cluster.kubelet.probes import check_of
from graylane.model.meta import Obj, dig

_VOLUMES = ("emptyDir", "configMap", "secret", "downwardAPI", "projected", "persistentVolumeClaim", "hostPath")
_VALUES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


def refusals(pod: Obj) -> tuple[str, ...]:
    """Every reason why `pod` cannot run here."""
    spec = dig(pod, "spec", default={})
    return (*_volumes(spec), *_containers(spec, "initContainers"), *_containers(spec, "containers"))


def _volumes(spec: Mapping[str, Any]) -> Iterator[str]:
    for index, volume in enumerate(spec.get("volumes") or []):
        path = f"spec.volumes[{index}] ({volume.get('name')})"
        for kind in (key for key in volume if key not in ("name", *_VOLUMES)):
            yield f"{path}: {kind} volumes are not supported; use {_either(_VOLUMES)}"
        for source in (volume.get("projected") or {}).get("sources") or []:
            for kind in (key for key in source if key not in PARTS):
                yield f"{path}: {kind} cannot be projected; use {_either(PARTS)}"


def _containers(spec: Mapping[str, Any], field: str) -> Iterator[str]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for index, container in enumerate(spec.get(field) or []):
        path = f"spec.{field}[{index}]"
        yield from _restarts(container, path, sidecar=field == "initContainers")
        yield from _environment(container, path)
        yield from _handlers(container, path)
        yield from _mounts(container, path, volumes)


def _restarts(container: Mapping[str, Any], path: str, *, sidecar: bool) -> Iterator[str]:
    """Of restart policies of a container's own, only the one that makes a sidecar is followed."""
    own = container.get("restartPolicy")
    if own and not (sidecar and own == "Always"):
        yield f"{path}.restartPolicy: {own} is not supported for one container; use the pod's restartPolicy"
    if container.get("restartPolicyRules"):
        yield f"{path}.restartPolicyRules: is not supported; use the pod's restartPolicy"


def _environment(container: Mapping[str, Any], path: str) -> Iterator[str]:
    for index, entry in enumerate(container.get("env") or []):
        source = entry.get("valueFrom") or {}
        for kind in source:
            if kind not in _VALUES:
                where = f"{path}.env[{index}] ({entry.get('name')})"
                yield f"{where}: valueFrom.{kind} is not supported; use {_either(_VALUES)}"


def _handlers(container: Mapping[str, Any], path: str) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = {
        "startupProbe": container.get("startupProbe"),
        "readinessProbe": container.get("readinessProbe"),
        "livenessProbe": container.get("livenessProbe"),
        "lifecycle.postStart": lifecycle.get("postStart"),
        "lifecycle.preStop": lifecycle.get("preStop"),
    }
    for field, handler in handlers.items():
        if not handler or (field.startswith("lifecycle") and handler.get("sleep")):
            continue
        try:
            check_of(handler, container)
        except ValueError as error:
            yield f"{path}.{field}: {error}"


def _mounts(container: Mapping[str, Any], path: str, volumes: set[Any]) -> Iterator[str]:
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            yield f"{path}.volumeMounts[{index}]: there is no volume {mount.get('name')!r} in spec.volumes"


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
