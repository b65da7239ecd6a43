"""PersistentVolumeClaims get a PersistentVolume: one that fits and waits for it, else a directory of this machine.

Pure. In: a claim, the volumes, the pods. Out: an `Outcome`. As Kubernetes: a claim that names its volume gets that one;
an empty storageClassName wants an existing volume; a claim that a pod uses stays until the pod is gone. Every class but
the empty one is served, whatever its name: a laptop has one kind of disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from graylane.cluster.kubelet.storage.volumes import directory_volume, is_for, provisioned_name
from graylane.kit import Create, Effect, Event, Outcome, Patch, View
from graylane.model.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from graylane.model.meta import (
    Key,
    Obj,
    dig,
    finalizers_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from graylane.model.quantity import amount
from graylane.model.selectors import LabelSelector

PROTECTION = "kubernetes.io/pvc-protection"


def reconcile(view: View, key: Key, root: Path) -> Outcome:
    """One claim; `root` is where directories are made."""
    claim = view.get(PERSISTENT_VOLUME_CLAIM, *key)
    if claim is None:
        return Outcome()
    if is_deleting(claim):
        return Outcome(tuple(_let_go(view, claim)))
    if PROTECTION not in finalizers_of(claim):
        return Outcome((_with_finalizers(claim, [*finalizers_of(claim), PROTECTION]),))
    if dig(claim, "status", "phase") == "Bound":
        return Outcome(tuple(_grow(view, claim)))
    return Outcome(tuple(_bind(view, claim, root)))


def users_of(view: View, claim: Obj) -> list[Obj]:
    """Pods with the claim as a volume that have a node and have not ended.

    One without a node must not count: it may wait for this very claim to go, so that another one can take its place.
    """
    pods = (pod for pod in view.list(POD, namespace_of(claim)) if name_of(claim) in claims_of(pod))
    return [pod for pod in pods if dig(pod, "spec", "nodeName") and not _is_over(pod)]


def claims_of(pod: Obj) -> list[str]:
    """The claims that the pod mounts, by name."""
    found = (volume.get("persistentVolumeClaim") for volume in dig(pod, "spec", "volumes", default=[]))
    return [str(source.get("claimName", "")) for source in found if source]


def _is_over(pod: Obj) -> bool:
    return dig(pod, "status", "phase") in ("Succeeded", "Failed")


def _let_go(view: View, claim: Obj) -> Iterator[Effect]:
    if PROTECTION in finalizers_of(claim) and not users_of(view, claim):
        yield _with_finalizers(claim, [name for name in finalizers_of(claim) if name != PROTECTION])


def _with_finalizers(claim: Obj, finalizers: list[str]) -> Patch:
    metadata = {"finalizers": finalizers or None, "resourceVersion": claim["metadata"].get("resourceVersion")}
    return Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), {"metadata": metadata}, reason="protect what pods use")


def _bind(view: View, claim: Obj, root: Path) -> Iterator[Effect]:
    """In this order: the volume, its reference to the claim, the claim's to it, the status."""
    volume, problem = _volume_for(view, claim, root)
    if volume is None:
        yield Event(PERSISTENT_VOLUME_CLAIM, claim, "Normal", "FailedBinding", problem)
        return
    if not dig(volume, "metadata", "resourceVersion"):
        yield Create(PERSISTENT_VOLUME, volume)
    elif dig(volume, "spec", "claimRef", "uid") != uid_of(claim):
        yield Patch(PERSISTENT_VOLUME, key_of(volume), _reference(volume, claim))
    if dig(claim, "spec", "volumeName") != name_of(volume):
        yield Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), {"spec": {"volumeName": name_of(volume)}})
    status = {
        "phase": "Bound",
        "accessModes": dig(volume, "spec", "accessModes", default=[]),
        "capacity": dig(volume, "spec", "capacity", default={}),
    }
    yield Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), {"status": status}, subresource="status")
    if not dig(volume, "metadata", "resourceVersion"):
        said = f"Successfully provisioned volume {name_of(volume)}"
        yield Event(PERSISTENT_VOLUME_CLAIM, claim, "Normal", "ProvisioningSucceeded", said)


def _reference(volume: Obj, claim: Obj) -> Obj:
    namespace, name = key_of(claim)
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name}
    version = {"resourceVersion": volume["metadata"]["resourceVersion"]}
    return {"metadata": version, "spec": {"claimRef": reference | {"uid": uid_of(claim)}}}


def _volume_for(view: View, claim: Obj, root: Path) -> tuple[Obj | None, str]:
    """The volume to bind, still without a resourceVersion when it is to be created; or why there is none."""
    if wanted := dig(claim, "spec", "volumeName"):
        volume = view.get(PERSISTENT_VOLUME, "", wanted)
        if volume is None:
            return None, f'volume "{wanted}" does not exist'
        return (volume, "") if is_for(volume, claim) else (None, f'volume "{wanted}" already bound to another claim')
    if dig(claim, "spec", "volumeMode", default="Filesystem") != "Filesystem":
        return None, "volumeMode Block is not supported; volumes are directories"
    if made := view.get(PERSISTENT_VOLUME, "", provisioned_name(claim)):
        return made, ""
    fitting = [volume for volume in view.list(PERSISTENT_VOLUME) if _fits(volume, claim)]
    if fitting:
        return min(fitting, key=lambda volume: (_capacity(volume), name_of(volume))), ""
    if dig(claim, "spec", "storageClassName") == "" or dig(claim, "spec", "selector"):
        return None, "no persistent volumes available for this claim and no storage class is set"
    return directory_volume(claim, root), ""


def _fits(volume: Obj, claim: Obj) -> bool:
    spec, wish = volume["spec"], claim["spec"]
    return (
        not is_deleting(volume)
        and is_for(volume, claim)
        and (spec.get("storageClassName") or "") == (wish.get("storageClassName") or "")
        and set(wish.get("accessModes") or []) <= set(spec.get("accessModes") or [])
        and _capacity(volume) >= amount(dig(wish, "resources", "requests", "storage", default=0))
        and (not wish.get("selector") or LabelSelector.of(wish["selector"]).matches(labels_of(volume)))
    )


def _capacity(volume: Obj) -> Decimal:
    return amount(dig(volume, "spec", "capacity", "storage", default=0))


def _grow(view: View, claim: Obj) -> Iterator[Effect]:
    """A directory is as large as its disk: a claim that asks for more has it at once."""
    wanted = dig(claim, "spec", "resources", "requests", "storage", default="0")
    volume = view.get(PERSISTENT_VOLUME, "", str(dig(claim, "spec", "volumeName")))
    if volume is None or name_of(volume) != provisioned_name(claim):
        return
    if amount(wanted) > amount(dig(claim, "status", "capacity", "storage", default="0")):
        capacity = {"capacity": {"storage": wanted}}
        yield Patch(PERSISTENT_VOLUME, key_of(volume), {"spec": capacity})
        yield Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), {"status": capacity}, subresource="status")
