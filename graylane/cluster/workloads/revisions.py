"""Which ReplicaSet is the Deployment's present template, which are its past, and how they are numbered.

Pure. In: a Deployment and its ReplicaSets. Out: `Fleet`, new ReplicaSets, revision annotations, history to forget.
Template equality is what makes a revision: going back to an old template finds its old ReplicaSet again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graylane.cluster.workloads.rollout import Limits, Size
from graylane.model.hashing import short_hash
from graylane.model.kinds import DEPLOYMENT
from graylane.model.meta import (
    Obj,
    annotations_of,
    dig,
    generation_of,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
)

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"

_LONGEST_HISTORY = 2000  # characters of the revision-history annotation
_UNLIMITED = 2**31 - 1
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
    }
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """A Deployment's ReplicaSets: `new` holds the present template (None: not created yet), `olds` oldest first."""

    new: Obj | None
    olds: tuple[Obj, ...]

    @staticmethod
    def of(deployment: Obj, sets: Iterable[Obj]) -> Fleet:
        """Of several sets with the present template the oldest is the new one, as Kubernetes chooses.

        Of those of the same second it is the first by name, and not by revision: being chosen gives a new revision.
        """
        ordered = sorted(sets, key=_age)
        template = comparable(deployment["spec"].get("template"))
        same = [rs for rs in ordered if comparable(rs["spec"].get("template")) == template]
        new = min(same, key=lambda rs: (_created(rs), name_of(rs)), default=None)
        return Fleet(new, tuple(rs for rs in ordered if rs is not new))

    @property
    def all(self) -> tuple[Obj, ...]:
        return (*self.olds, self.new) if self.new is not None else self.olds

    @property
    def next_revision(self) -> int:
        return max(map(revision_of, self.olds), default=0) + 1


def _age(replica_set: Obj) -> tuple[str, int, str]:
    """Creation times have whole seconds; revisions order those of the same second."""
    return _created(replica_set), revision_of(replica_set), name_of(replica_set)


def _created(replica_set: Obj) -> str:
    return str(dig(replica_set, "metadata", "creationTimestamp", default=""))


def comparable(template: Mapping[str, Any] | None) -> Any:
    """The template without our own label; absent, null and empty metadata or lists are the same thing."""
    plain = _without_empties(template or {})
    metadata = dict(plain.get("metadata", {}))
    labels = {name: value for name, value in metadata.get("labels", {}).items() if name != HASH_LABEL}
    metadata = {name: value for name, value in (metadata | {"labels": labels}).items() if value}
    return plain | {"metadata": metadata}


def _without_empties(value: Any) -> Any:
    """`{}` inside a spec can mean something (`emptyDir: {}`) and stays."""
    if isinstance(value, Mapping):
        return {name: _without_empties(inner) for name, inner in value.items() if inner not in (None, "", [])}
    if isinstance(value, list):
        return [_without_empties(inner) for inner in value]
    return value


def revision_of(replica_set: Obj) -> int:
    """0 when the annotation is absent or somebody wrote nonsense into it."""
    return _number(annotations_of(replica_set).get(REVISION))


def size_of(replica_set: Obj) -> Size:
    """A ReplicaSet as `rollout.py` reckons with it."""
    annotations = annotations_of(replica_set)
    return Size(
        name_of(replica_set),
        wanted_replicas(replica_set),
        int(dig(replica_set, "status", "availableReplicas", default=0)),
        _number(annotations.get(DESIRED)),
        _number(annotations.get(MAXIMUM)),
    )


def wanted_replicas(replica_set: Obj) -> int:
    return int(dig(replica_set, "spec", "replicas", default=1))


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def template_hash(deployment: Obj) -> str:
    """Depends on the template, and on how many names it had to avoid so far (`status.collisionCount`)."""
    return short_hash([comparable(deployment["spec"].get("template")), collisions_of(deployment)])


def collisions_of(deployment: Obj) -> int:
    return int(dig(deployment, "status", "collisionCount", default=0))


def new_replica_set(deployment: Obj, limits: Limits, replicas: int, revision: int) -> Obj:
    """The ReplicaSet `<deployment>-<hash>` of the present template; label `pod-template-hash` marks its pods."""
    spec = deployment["spec"]
    hashed = {HASH_LABEL: template_hash(deployment)}
    template: Obj = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    labels = (metadata.get("labels") or {}) | hashed
    selector = spec["selector"] | {"matchLabels": (spec["selector"].get("matchLabels") or {}) | hashed}
    rs_spec = {
        "replicas": replicas,
        "selector": selector,
        "template": template | {"metadata": metadata | {"labels": labels}},
    }
    if spec.get("minReadySeconds"):
        rs_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "metadata": {
            "name": f"{name_of(deployment)}-{hashed[HASH_LABEL]}",
            "namespace": namespace_of(deployment),
            "labels": labels,
            "annotations": _copied(deployment) | {REVISION: str(revision)} | size_annotations(limits),
            "ownerReferences": [owner_reference(deployment, DEPLOYMENT)],
        },
        "spec": rs_spec,
    }


def size_annotations(limits: Limits) -> dict[str, str]:
    """What a scaled ReplicaSet remembers of its Deployment, so that a later scaling can tell and share fairly."""
    return {DESIRED: str(limits.desired), MAXIMUM: str(limits.max_total)}


def _copied(deployment: Obj) -> dict[str, str]:
    return {name: value for name, value in annotations_of(deployment).items() if name not in _NOT_COPIED}


def wanted_annotations(deployment: Obj, fleet: Fleet) -> dict[str, str]:
    """What the new ReplicaSet's annotations must hold: the Deployment's own, and the highest revision of all."""
    assert fleet.new is not None
    present = annotations_of(fleet.new)
    wanted = _copied(deployment)
    revision = revision_of(fleet.new)
    if revision < fleet.next_revision:
        wanted[REVISION] = str(fleet.next_revision)
        if REVISION in present:
            wanted[HISTORY] = _history(present.get(HISTORY, ""), present[REVISION])
    return {name: value for name, value in wanted.items() if present.get(name) != value}


def _history(before: str, revision: str) -> str:
    """Revisions this ReplicaSet had earlier, oldest first; the oldest go when the text grows too long."""
    entries = [*filter(None, before.split(",")), revision]
    while len(",".join(entries)) > _LONGEST_HISTORY:
        entries.pop(0)
    return ",".join(entries)


def forgettable(deployment: Obj, olds: Sequence[Obj]) -> list[Obj]:
    """Old ReplicaSets beyond `revisionHistoryLimit`, lowest revision first; only those that are empty and settled."""
    limit = int(dig(deployment, "spec", "revisionHistoryLimit", default=10))
    if limit == _UNLIMITED:
        return []
    alive = sorted((rs for rs in olds if not is_deleting(rs)), key=lambda rs: (revision_of(rs), _age(rs)))
    return [rs for rs in alive[: max(0, len(alive) - limit)] if _is_settled_and_empty(rs)]


def _is_settled_and_empty(replica_set: Obj) -> bool:
    return (
        wanted_replicas(replica_set) == 0
        and dig(replica_set, "status", "replicas", default=0) == 0
        and generation_of(replica_set) <= dig(replica_set, "status", "observedGeneration", default=0)
    )
