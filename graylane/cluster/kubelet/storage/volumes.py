"""PersistentVolumes: those we make, and what has become of them and of users' own.

Pure. In: a volume, its claim. Out: new volumes, `status.phase`, and deletion once the claim of one of ours is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from graylane.kit import Delete, Effect, Outcome, Patch, View
from graylane.model.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    dig,
    finalizers_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
OURS = "graylane.dev/directory"  # provisioner, and the finalizer that a directory is removed under


def provisioned_name(claim: Obj) -> str:
    return f"pvc-{uid_of(claim)}"


def directory_volume(claim: Obj, root: Path) -> Obj:
    """A volume for `claim`, `<root>/<namespace>_<claim>_<uid>`."""
    spec, namespace, name = claim["spec"], namespace_of(claim), name_of(claim)
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": provisioned_name(claim),
            "annotations": {PROVISIONED_BY: OURS},
            "finalizers": [OURS],
        },
        "spec": {
            "capacity": {"storage": dig(spec, "resources", "requests", "storage", default="0")},
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.get("storageClassName") or "",
            "volumeMode": "Filesystem",
            "claimRef": reference | {"uid": uid_of(claim)},
            "hostPath": {"path": str(root / f"{namespace}_{name}_{uid_of(claim)}"), "type": "DirectoryOrCreate"},
        },
    }


def is_for(volume: Obj, claim: Obj) -> bool:
    """It is nobody's, or kept for this very claim."""
    reference = dig(volume, "spec", "claimRef")
    if not reference:
        return True
    same = (reference.get("namespace"), reference.get("name")) == key_of(claim)
    return same and reference.get("uid") in (None, "", uid_of(claim))


def path_of(volume: Obj) -> Path | None:
    """Where its files are; None for kinds of volumes that this machine does not have."""
    for kind in ("hostPath", "local"):
        if path := dig(volume, "spec", kind, "path"):
            return Path(path)
    return None


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    volume = view.get(PERSISTENT_VOLUME, *key)
    return Outcome() if volume is None else Outcome(tuple(_settle(view, volume)))


def _settle(view: View, volume: Obj) -> Iterator[Effect]:
    phase = _phase(view, volume)
    if dig(volume, "status", "phase") != phase:
        yield Patch(PERSISTENT_VOLUME, key_of(volume), {"status": {"phase": phase}}, subresource="status")
    if phase == "Released" and is_ours(volume) and is_to_go(volume) and not is_deleting(volume):
        yield Delete(PERSISTENT_VOLUME, key_of(volume), uid_of(volume))


def _phase(view: View, volume: Obj) -> str:
    reference = dig(volume, "spec", "claimRef")
    if not reference or not reference.get("uid"):
        return "Available"
    claim = view.get(PERSISTENT_VOLUME_CLAIM, str(reference.get("namespace")), str(reference.get("name")))
    return "Bound" if claim is not None and uid_of(claim) == reference["uid"] else "Released"


def is_ours(volume: Obj) -> bool:
    return annotations_of(volume).get(PROVISIONED_BY) == OURS


def is_to_go(volume: Obj) -> bool:
    """Its files go with it."""
    return bool(dig(volume, "spec", "persistentVolumeReclaimPolicy") == "Delete")


def awaits_removal(volume: Obj) -> bool:
    """Nobody claims it any more, and only its finalizer keeps the object."""
    released = dig(volume, "status", "phase") == "Released"
    return is_deleting(volume) and OURS in finalizers_of(volume) and released
