"""StatefulSet: pods with names that last, coming, going and changing in order.

Pure. In: a StatefulSet, its ControllerRevisions and pods. Out: an `Outcome`. What happens to pods is in
`stateful_order.py`, to their claims in `stateful_claims.py`; this file finds the facts and writes the status.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from graylane.cluster.workloads.claims import Owner, claim
from graylane.cluster.workloads.history import CONTROLLER_REVISION, History, avoid_name
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.order import told_last
from graylane.cluster.workloads.pods import available_at, first_wake, is_available, is_ready
from graylane.cluster.workloads.revisions import collisions_of
from graylane.cluster.workloads.stateful_claims import claim_names, owned
from graylane.cluster.workloads.stateful_order import Facts, moves
from graylane.cluster.workloads.stateful_pods import ordinal_of, revision_of
from graylane.kit import Effect, Outcome, Patch, View
from graylane.model.kinds import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from graylane.model.meta import Key, Obj, dig, generation_of, is_deleting, key_of, name_of, namespace_of
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

HASH_LABEL = "controller.kubernetes.io/hash"

_LOOK_FOR_NAME = timedelta(seconds=5)  # a stranger's pod that has a name of ours may go without our hearing of it


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One round of one StatefulSet; what it causes brings the next."""
    stateful_set = view.get(STATEFUL_SET, *key)
    if stateful_set is None:
        return Outcome()
    owner = Owner(stateful_set, STATEFUL_SET, LabelSelector.of(dig(stateful_set, "spec", "selector")))
    revisions = claim(view, owner, CONTROLLER_REVISION)
    pods = claim(view, owner, POD, lambda pod: ordinal_of(pod, key.name) is not None)
    if revisions.patches or pods.patches:
        return Outcome((*revisions.patches, *pods.patches))  # first settle whose they are
    history = History.of(owner, revisions.mine, HASH_LABEL)
    if history.collides(view):
        return Outcome((avoid_name(owner),))
    facts = _facts(view, stateful_set, history, pods.mine, now)
    effects = [*history.effects, *_status(facts), *_manage(view, facts), *_forget(facts)]
    return Outcome(told_last(effects), _wake_at(facts))


def _facts(view: View, stateful_set: Obj, history: History, pods: tuple[Obj, ...], now: datetime) -> Facts:
    name, namespace = name_of(stateful_set), namespace_of(stateful_set)
    current = history.named(str(dig(stateful_set, "status", "currentRevision"))) or history.update
    mine = {ordinal: pod for pod in pods if (ordinal := ordinal_of(pod, name)) is not None}
    facts = Facts(stateful_set, history, current, mine, frozenset(), {}, now)
    missing = (ordinal for ordinal in facts.slots if ordinal not in mine)
    taken = frozenset(ordinal for ordinal in missing if view.get(POD, namespace, f"{name}-{ordinal}") is not None)
    names = claim_names(stateful_set, {*facts.slots, *mine})
    found = ((each, view.get(PERSISTENT_VOLUME_CLAIM, namespace, each)) for each in names)
    return replace(facts, taken=taken, claims={each: claim for each, claim in found if claim is not None})


def _manage(view: View, facts: Facts) -> list[Effect]:
    if is_deleting(facts.stateful_set) or is_closing(view, namespace_of(facts.stateful_set)):
        return []
    return [*_own_claims(facts), *moves(facts)]


def _own_claims(facts: Facts) -> Iterator[Effect]:
    for name, ordinal in claim_names(facts.stateful_set, {*facts.slots, *facts.pods}).items():
        if claim := facts.claims.get(name):
            surplus = ordinal not in facts.slots
            yield from owned(facts.stateful_set, claim, facts.pods.get(ordinal), surplus=surplus)


def _status(facts: Facts) -> list[Effect]:
    old = dig(facts.stateful_set, "status", default={})
    counted = _completed(facts, _counts(facts))
    kept = {name: value for name, value in old.items() if name not in counted}
    patch = create_merge_patch(old, kept | {name: counted[name] for name in counted if counted[name] or name in _SHOWN})
    key = key_of(facts.stateful_set)
    return [Patch(STATEFUL_SET, key, {"status": patch}, subresource="status")] if patch else []


_SHOWN = ("replicas", "availableReplicas", "collisionCount")  # these are shown even when they are 0


def _counts(facts: Facts) -> Obj:
    pods = facts.pods.values()
    staying = [revision_of(pod) for pod in pods if not is_deleting(pod)]
    update, current = name_of(facts.history.update), name_of(facts.current)
    return {
        "observedGeneration": generation_of(facts.stateful_set),
        "replicas": len(pods),
        "readyReplicas": sum(map(is_ready, pods)),
        "availableReplicas": sum(is_available(pod, facts.min_ready, facts.now) for pod in pods),
        "currentReplicas": staying.count(current),
        "updatedReplicas": staying.count(update),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": collisions_of(facts.stateful_set),
    }


def _completed(facts: Facts, counts: Obj) -> Obj:
    """A rolling update is over, and its revision the current one, when every wanted pod is of it and ready."""
    numbers = (counts["replicas"], counts["updatedReplicas"], counts["readyReplicas"])
    if not facts.rolling or any(number != facts.desired for number in numbers):
        return counts
    return counts | {"currentRevision": counts["updateRevision"], "currentReplicas": counts["updatedReplicas"]}


def _forget(facts: Facts) -> list[Effect]:
    in_use = {name_of(facts.current), *map(revision_of, facts.pods.values())}
    limit = int(dig(facts.stateful_set, "spec", "revisionHistoryLimit", default=10))
    return [] if is_deleting(facts.stateful_set) else facts.history.forgettable(limit, in_use)


def _wake_at(facts: Facts) -> datetime | None:
    moments = [available_at(pod, facts.min_ready) for pod in facts.pods.values()]
    return first_wake([*moments, facts.now + _LOOK_FOR_NAME if facts.taken else None], facts.now)
