"""Which version of a workload a pod template is, and which ReplicaSet runs the stable one.

Pure. In: pod templates and ReplicaSets as the API gives them. Out: revisions (short hashes), the stable ReplicaSet.
Admission and controller both decide by these functions, so they never disagree about what changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.model.hashing import short_hash
from graylane.model.meta import Obj, annotations_of, dig, labels_of, name_of

POD_TEMPLATE_HASH = "pod-template-hash"
DEPLOYMENT_REVISION = "deployment.kubernetes.io/revision"


def bare_template(template: Obj) -> Obj:
    """The template as its author meant it: without `pod-template-hash` and without empty metadata.

    The Deployment controller adds the label to its ReplicaSets' templates; some tools copy it back into the
    Deployment (openkruise/rollouts #308), which must not count as a new version.
    """
    metadata = dict(template.get("metadata") or {})
    labels = {name: text for name, text in (metadata.get("labels") or {}).items() if name != POD_TEMPLATE_HASH}
    metadata = {name: value for name, value in (metadata | {"labels": labels}).items() if value}
    return template | {"metadata": metadata}


def revision_of(template: Obj) -> str:
    """Equal templates give equal text; shows as `canaryRevision`."""
    return short_hash(bare_template(template))


def template_of(workload: Obj) -> Obj:
    return dig(workload, "spec", "template", default={})  # type: ignore[no-any-return]


def hash_of(replica_set: Obj) -> str:
    """The label every pod of this ReplicaSet carries; shows as `stableRevision` and `podTemplateHash`."""
    return labels_of(replica_set).get(POD_TEMPLATE_HASH, "")


def wanted_replicas(workload: Obj) -> int:
    """`spec.replicas`; absent means 1, as in Kubernetes."""
    return int(dig(workload, "spec", "replicas", default=1))


def oldest_first(replica_sets: Iterable[Obj]) -> list[Obj]:
    """By creation; within the same second by the Deployment's own count."""
    return sorted(
        replica_sets,
        key=lambda item: (dig(item, "metadata", "creationTimestamp", default=""), _count(item), name_of(item)),
    )


def stable_candidate(replica_sets: Iterable[Obj], template: Obj) -> Obj | None:
    """The oldest ReplicaSet that still has pods to run and runs another version than `template`.

    None: everything runs `template` already, or nothing runs, and there is nothing to hold back.
    """
    revision = revision_of(template)
    active = (item for item in oldest_first(replica_sets) if wanted_replicas(item) > 0)
    return next((item for item in active if revision_of(template_of(item)) != revision), None)


def _count(replica_set: Obj) -> int:
    text = annotations_of(replica_set).get(DEPLOYMENT_REVISION, "0")
    return int(text) if text.isdigit() else 0
