"""A StatefulSet's PersistentVolumeClaims: one per template and ordinal, kept as its policy says.

Pure. In: a StatefulSet, an ordinal, the claims there are. Out: new claims, a pod's volumes, who owns a claim. A claim
outlives its pod; `persistentVolumeClaimRetentionPolicy` may have it go with the set, or with a pod that is scaled
away: then that one is its owner, and the garbage collector does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graylane.kit import Patch
from graylane.model.kinds import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET, Kind
from graylane.model.meta import Obj, dig, key_of, labels_of, name_of, namespace_of, owner_refs, uid_of


def templates_of(stateful_set: Obj) -> list[Obj]:
    return dig(stateful_set, "spec", "volumeClaimTemplates", default=[])  # type: ignore[no-any-return]


def claim_name(template: Obj, stateful_set: Obj, ordinal: int) -> str:
    return f"{name_of(template)}-{name_of(stateful_set)}-{ordinal}"


def claim_names(stateful_set: Obj, ordinals: Iterable[int]) -> dict[str, int]:
    """Ordinal by name."""
    templates = templates_of(stateful_set)
    return {claim_name(template, stateful_set, ordinal): ordinal for ordinal in ordinals for template in templates}


def new_claims(stateful_set: Obj, ordinal: int, present: Mapping[str, Obj]) -> list[Obj]:
    """Those of the pod's claims that are not there yet."""
    selected = dig(stateful_set, "spec", "selector", "matchLabels", default={})
    found: list[Obj] = []
    for template in templates_of(stateful_set):
        name = claim_name(template, stateful_set, ordinal)
        if name in present:
            continue
        metadata: Obj = {
            "name": name,
            "namespace": namespace_of(stateful_set),
            "labels": labels_of(template) | selected,
        }
        if annotations := dig(template, "metadata", "annotations"):
            metadata["annotations"] = annotations
        found.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": template.get("spec") or {},
            }
        )
    return found


def with_claims(stateful_set: Obj, ordinal: int, spec: Obj) -> Obj:
    """The pod's spec with its claims as volumes; they take the place of template volumes of the same name."""
    templates = templates_of(stateful_set)
    if not templates:
        return spec
    claimed = [
        {
            "name": name_of(template),
            "persistentVolumeClaim": {"claimName": claim_name(template, stateful_set, ordinal)},
        }
        for template in templates
    ]
    names = {volume["name"] for volume in claimed}
    others = [volume for volume in spec.get("volumes") or [] if volume.get("name") not in names]
    return spec | {"volumes": [*claimed, *others]}


def owned(stateful_set: Obj, claim: Obj, pod: Obj | None, *, surplus: bool) -> tuple[Patch, ...]:
    """Make whoever takes the claim along its owner: the set, the `pod` that is scaled away, or nobody."""
    policy = dig(stateful_set, "spec", "persistentVolumeClaimRetentionPolicy", default={})
    wanted: list[Obj] = []
    if policy.get("whenScaled") == "Delete" and surplus and pod is not None:
        wanted = [_reference(pod, POD)]
    elif policy.get("whenDeleted") == "Delete":
        wanted = [_reference(stateful_set, STATEFUL_SET)]
    ours = [reference for reference in owner_refs(claim) if _is_ours(reference, stateful_set)]
    if [reference.get("uid") for reference in ours] == [reference["uid"] for reference in wanted]:
        return ()
    references = [*(reference for reference in owner_refs(claim) if reference not in ours), *wanted]
    metadata = {"ownerReferences": references or None, "resourceVersion": claim["metadata"].get("resourceVersion")}
    return (Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), {"metadata": metadata}, reason="who takes the claim along"),)


def _is_ours(reference: Obj, stateful_set: Obj) -> bool:
    if reference.get("kind") == STATEFUL_SET.kind:
        return bool(reference.get("uid") == uid_of(stateful_set))
    return reference.get("kind") == POD.kind


def _reference(owner: Obj, kind: Kind) -> Obj:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "name": name_of(owner), "uid": uid_of(owner)}
