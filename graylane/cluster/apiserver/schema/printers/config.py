"""How configuration and storage kinds are printed: ConfigMap, Secret, ServiceAccount, quotas, volumes.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import Printer, age, columns, count, name_and_age
from graylane.model.meta import Obj, annotations_of, dig, is_deleting, name_of

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
UNSET = "<unset>"


def config_map(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), count(obj.get("data")) + count(obj.get("binaryData")), age(obj, now)]


def secret(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("type", ""), count(obj.get("data")), age(obj, now)]


def quota(obj: Obj, now: datetime) -> list[Any]:
    used = dig(obj, "status", "used", default={})
    hard = dig(obj, "status", "hard", default={})
    rows = [(name, f"{name}: {used.get(name, 0)}/{limit}") for name, limit in sorted(hard.items())]
    requests = ", ".join(text for name, text in rows if not name.startswith("limits."))
    limits = ", ".join(text for name, text in rows if name.startswith("limits."))
    return [name_of(obj), requests, limits, age(obj, now)]


def created(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), dig(obj, "metadata", "creationTimestamp", default="")]


def _modes(values: list[str] | None) -> str:
    return ",".join(_MODES.get(mode, mode) for mode in values or ())


def _phase(obj: Obj) -> str:
    return "Terminating" if is_deleting(obj) else str(dig(obj, "status", "phase", default=""))


def claim(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    bound = bool(spec.get("volumeName"))
    return [
        name_of(obj),
        _phase(obj),
        spec.get("volumeName", ""),
        dig(obj, "status", "capacity", "storage", default="") if bound else "",
        _modes(dig(obj, "status", "accessModes")) if bound else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName", UNSET),
        age(obj, now),
        spec.get("volumeMode", UNSET),
    ]


def volume(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    ref = spec.get("claimRef")
    return [
        name_of(obj),
        dig(spec, "capacity", "storage", default=""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName", UNSET),
        dig(obj, "status", "reason", default=""),
        age(obj, now),
        spec.get("volumeMode", UNSET),
    ]


def storage_class(obj: Obj, now: datetime) -> list[Any]:
    default = " (default)" if annotations_of(obj).get(_DEFAULT_CLASS) == "true" else ""
    expand = bool(obj.get("allowVolumeExpansion"))
    policies = [obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate")]
    return [name_of(obj) + default, obj.get("provisioner", ""), *policies, expand, age(obj, now)]


PRINTERS = {
    ("", "ConfigMap"): Printer(columns("Name", "Data", "Age"), config_map),
    ("", "Secret"): Printer(columns("Name", "Type", "Data", "Age"), secret),
    ("", "ServiceAccount"): Printer(columns("Name", "Age"), name_and_age),
    ("", "ResourceQuota"): Printer(columns("Name", "Request", "Limit", "Age"), quota),
    ("", "LimitRange"): Printer(columns("Name", "date:Created At"), created),
    ("", "PersistentVolumeClaim"): Printer(
        columns(
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "VolumeMode+",
        ),
        claim,
    ),
    ("", "PersistentVolume"): Printer(
        columns(
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "VolumeMode+",
        ),
        volume,
    ),
    ("storage.k8s.io", "StorageClass"): Printer(
        columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        storage_class,
    ),
}
