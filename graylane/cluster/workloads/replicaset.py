"""ReplicaSet: as many pods as it says, and a status that counts them.

Pure. In: a ReplicaSet and its pods. Out: pods to create or delete, its status, and when the next pod becomes available.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from graylane.cluster.workloads.claims import Owner, claim
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.order import told_last
from graylane.cluster.workloads.pods import (
    available_at,
    first_wake,
    from_template,
    is_active,
    is_available,
    is_ready,
    new_names,
)
from graylane.cluster.workloads.ranking import deletion_order
from graylane.cluster.workloads.refusals import failed_create, keeping, overcome
from graylane.cluster.workloads.revisions import wanted_replicas
from graylane.kit import Create, Delete, Effect, Event, Outcome, Patch, View
from graylane.model.kinds import POD, REPLICA_SET
from graylane.model.meta import (
    Key,
    Obj,
    controller_of,
    dig,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

BURST = 500  # pods created or deleted by one reconcile, as in Kubernetes; the rest follows with the next


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One ReplicaSet. The status tells what was found: this step's own pods are counted when they show up."""
    replica_set = view.get(REPLICA_SET, *key)
    if replica_set is None:
        return Outcome()
    selector = LabelSelector.of(dig(replica_set, "spec", "selector"))
    claims = claim(view, Owner(replica_set, REPLICA_SET, selector), POD, is_active)
    effects: list[Effect] = [*claims.patches, *_status(replica_set, claims.mine, now)]
    if not is_deleting(replica_set):
        effects += _manage(view, replica_set, claims.mine, now)
    return Outcome(told_last(effects), _next_available(replica_set, claims.mine, now))


def _manage(view: View, replica_set: Obj, pods: Sequence[Obj], now: datetime) -> list[Effect]:
    missing = wanted_replicas(replica_set) - len(pods)
    if missing > 0 and not is_closing(view, namespace_of(replica_set)):
        return _create(view, replica_set, min(missing, BURST), now)
    if missing < 0:
        return _delete(view, replica_set, pods, min(-missing, BURST), now)
    return []


def _create(view: View, replica_set: Obj, how_many: int, now: datetime) -> list[Effect]:
    namespace = namespace_of(replica_set)
    refused, kept = failed_create(REPLICA_SET, replica_set), keeping(REPLICA_SET, replica_set, now)
    effects: list[Effect] = []
    for name in new_names(replica_set, how_many, lambda name: view.get(POD, namespace, name) is not None):
        pod = from_template(dig(replica_set, "spec", "template", default={}), replica_set, REPLICA_SET, name)
        effects += [
            Create(POD, pod, refused, kept),
            Event(REPLICA_SET, replica_set, "Normal", "SuccessfulCreate", f"Created pod: {name}"),
        ]
    return effects


def _delete(view: View, replica_set: Obj, pods: Sequence[Obj], how_many: int, now: datetime) -> list[Effect]:
    effects: list[Effect] = []
    for pod in deletion_order(pods, _crowd(view, replica_set), now)[:how_many]:
        effects += [
            Delete(POD, key_of(pod), uid_of(pod)),
            Event(REPLICA_SET, replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"),
        ]
    return effects


def _crowd(view: View, replica_set: Obj) -> Counter[str]:
    """Active pods by node, over all ReplicaSets of the same owner: crowded nodes lose pods first."""
    owner = controller_of(replica_set)
    related = view.owned_by(REPLICA_SET, str(owner.get("uid"))) if owner else [replica_set]
    pods = (pod for sibling in related for pod in view.owned_by(POD, uid_of(sibling)))
    return Counter(str(dig(pod, "spec", "nodeName", default="")) for pod in pods if is_active(pod))


def _status(replica_set: Obj, pods: Sequence[Obj], now: datetime) -> list[Effect]:
    old = dig(replica_set, "status", default={})
    template = LabelSelector.of_map(dig(replica_set, "spec", "template", "metadata", "labels", default={}))
    min_ready = int(dig(replica_set, "spec", "minReadySeconds", default=0))
    counts = {
        "fullyLabeledReplicas": sum(template.matches(labels_of(pod)) for pod in pods),
        "readyReplicas": sum(map(is_ready, pods)),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in pods),
        "observedGeneration": generation_of(replica_set),
    }
    new = {name: value for name, value in old.items() if name not in counts}
    new |= {"replicas": len(pods)} | {name: value for name, value in counts.items() if value}
    if len(pods) >= wanted_replicas(replica_set):
        new["conditions"] = overcome(new.get("conditions", [])) or None
    patch = create_merge_patch(old, {name: value for name, value in new.items() if value is not None})
    return [Patch(REPLICA_SET, key_of(replica_set), {"status": patch}, subresource="status")] if patch else []


def _next_available(replica_set: Obj, pods: Sequence[Obj], now: datetime) -> datetime | None:
    min_ready = int(dig(replica_set, "spec", "minReadySeconds", default=0))
    return first_wake((available_at(pod, min_ready) for pod in pods), now)
