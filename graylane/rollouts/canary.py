"""The canary Deployment: its name, its content, and which ones are ours.

Pure. In: the stable Deployment and the Rollout. Out: objects to create and patches to keep them right.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.kit.cache import View
from graylane.model.hashing import short_hash
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, REPLICA_SET, ROLLOUT, Kind
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    controller_of,
    dig,
    finalizers_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    owner_refs,
    uid_of,
)
from graylane.model.revisions import bare_template, oldest_first, revision_of, template_of
from graylane.model.rollout import CANARY_DEPLOYMENT, CANARY_FINALIZER, OVERLAY, REVISION, Rollout
from graylane.model.selectors import LabelSelector


def owned(view: View, rollout: Rollout, batch: str) -> list[Obj]:
    """The canary Deployments of this Rollout, of any revision, also those on their way out.

    By whoever controls them, of which `batch` is the BatchRelease's uid; and by their label, since a BatchRelease that
    was deleted by hand leaves canaries behind that name it still, or nobody.
    """
    labelled = LabelSelector.of_map({CANARY_DEPLOYMENT: rollout.workload.name})
    found: list[Obj] = view.list(DEPLOYMENT, rollout.key.namespace, labelled)
    for uid in filter(None, (rollout.uid, batch)):
        found += view.owned_by(DEPLOYMENT, uid)
    unique = {key_of(item): item for item in found if belongs(rollout, item)}
    return [unique[key] for key in sorted(unique)]


def belongs(rollout: Rollout, deployment: Obj) -> bool:
    owner = controller_of(deployment)
    if CANARY_DEPLOYMENT not in labels_of(deployment):
        return False
    if owner is None:
        return bool(revision_on(deployment))
    return owner.get("uid") == rollout.uid or (is_recorded(deployment) and owner.get("name") == rollout.key.name)


def is_recorded(deployment: Obj) -> bool:
    """Whether it belongs to a BatchRelease, there or not."""
    return _is_of(controller_of(deployment), BATCH_RELEASE)


def rollout_of(deployment: Obj) -> Key | None:
    """The Rollout that an object belongs to, directly or through the BatchRelease of its name."""
    owners = (item for item in owner_refs(deployment) if _is_of(item, ROLLOUT) or _is_of(item, BATCH_RELEASE))
    return next((Key(namespace_of(deployment), str(item.get("name"))) for item in owners), None)


def _is_of(reference: Obj | None, kind: Kind) -> bool:
    group = str((reference or {}).get("apiVersion", "")).partition("/")[0]
    return reference is not None and (group, reference.get("kind")) == (kind.group, kind.kind)


def revision_on(deployment: Obj) -> str:
    return annotations_of(deployment).get(REVISION, "")


def overlay_on(deployment: Obj) -> str:
    return annotations_of(deployment).get(OVERLAY, "")


def is_edited(view: View, deployment: Obj) -> bool:
    """Somebody gave the canary another template than it was made with: it shows a version that nobody releases.

    Told from its ReplicaSets, of which one that nobody edits has one: what other webhooks make of it is no edit.
    """
    sets = oldest_first(view.owned_by(REPLICA_SET, uid_of(deployment)))
    return len(sets) > 1 and revision_of(template_of(sets[0])) != revision_of(template_of(deployment))


def free_name(view: View, rollout: Rollout, revision: str) -> str:
    """The name of this revision's canary: its living one's, else the first that is not taken.

    Names follow from the Rollout, the revision and the overlay, so a creation repeated after a crash meets the first
    one. A canary that is on its way out, or was edited, keeps its name until it is gone; its replacement gets the next.
    """
    for name in _names(rollout, revision):
        taken = view.get(DEPLOYMENT, rollout.key.namespace, name)
        if taken is None or (belongs(rollout, taken) and not is_deleting(taken) and not is_edited(view, taken)):
            return name
    raise AssertionError("names are endless")


def _names(rollout: Rollout, revision: str) -> Iterator[str]:
    """A changed overlay makes another canary: rolled in place, its old pods could go before the new ones are listed."""
    number = 0
    while True:
        yield f"{rollout.workload.name}-{short_hash([rollout.uid, revision, rollout.overlay, number], 5)}"
        number += 1


def template(stable: Obj, rollout: Rollout) -> Obj:
    """The stable Deployment's template with `patchPodTemplateMetadata` laid over it."""
    base = bare_template(template_of(stable))
    metadata = dict(base["metadata"])
    for field, overlay in (("labels", rollout.patch.labels), ("annotations", rollout.patch.annotations)):
        if overlay:
            metadata[field] = dict(metadata.get(field) or {}) | dict(overlay)
    return base | {"metadata": metadata}


def misfit(stable: Obj, rollout: Rollout) -> str:
    """Why the API would refuse the canary: a patched label contradicts the selector it shares with stable."""
    selector = LabelSelector.of(dig(stable, "spec", "selector", default={}))
    labels = dig(template(stable, rollout), "metadata", "labels", default={})
    if selector.matches(labels):
        return ""
    return (
        f"patchPodTemplateMetadata.labels contradicts the selector {selector} of Deployment "
        f"{namespace_of(stable)}/{name_of(stable)}; remove the label from the patch"
    )


def build(stable: Obj, rollout: Rollout, name: str, replicas: int, owner: Obj) -> Obj:
    """A new canary of the stable Deployment's present template. It shares its selector, so that the same Services
    select its pods.
    """
    spec = {field: value for field, value in stable["spec"].items() if field not in ("paused", "replicas", "template")}
    return {
        "metadata": {
            "namespace": namespace_of(stable),
            "name": name,
            "labels": {CANARY_DEPLOYMENT: name_of(stable)},
            "annotations": {REVISION: revision_of(template_of(stable)), OVERLAY: rollout.overlay},
            "finalizers": [CANARY_FINALIZER],
            "ownerReferences": [owner],
        },
        "spec": spec | {"replicas": replicas, "template": template(stable, rollout)},
    }


def correction(canary: Obj, replicas: int) -> Obj:
    """The merge patch that makes a living canary right again; `{}` when it is. Never fewer replicas."""
    patch: Obj = {}
    if int(dig(canary, "spec", "replicas", default=1)) < replicas:
        patch["spec"] = {"replicas": replicas}
    if CANARY_FINALIZER not in finalizers_of(canary):
        patch["metadata"] = {"finalizers": [*finalizers_of(canary), CANARY_FINALIZER]}
    return patch


def owner_of(rollout: Rollout) -> Obj:
    """The reference that everything a Rollout makes carries."""
    key: Key = rollout.key
    return owner_reference({"metadata": {"name": key.name, "namespace": key.namespace, "uid": rollout.uid}}, ROLLOUT)
