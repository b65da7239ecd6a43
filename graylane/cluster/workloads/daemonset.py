"""DaemonSet: one pod on every node that fits.

Pure. In: a DaemonSet, the nodes, its ControllerRevisions and pods. Out: an `Outcome`. What happens on which node is
decided in `daemon_rollout.py`; this file finds the facts and writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from graylane.cluster.workloads.claims import Owner, claim
from graylane.cluster.workloads.daemon_pods import hash_of, new_pod, node_of, places
from graylane.cluster.workloads.daemon_rollout import Facts, Tasks, tasks
from graylane.cluster.workloads.history import CONTROLLER_REVISION, POD_REVISION, History, avoid_name
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.order import told_last
from graylane.cluster.workloads.pods import available_at, first_wake, is_ready, new_names
from graylane.cluster.workloads.refusals import failed_create
from graylane.kit import Create, Delete, Effect, Event, Outcome, Patch, View
from graylane.model.kinds import DAEMON_SET, NODE, POD
from graylane.model.meta import (
    Key,
    Obj,
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


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One round of one DaemonSet; what it causes brings the next."""
    daemon_set = view.get(DAEMON_SET, *key)
    if daemon_set is None:
        return Outcome()
    owner = Owner(daemon_set, DAEMON_SET, LabelSelector.of(dig(daemon_set, "spec", "selector")))
    revisions = claim(view, owner, CONTROLLER_REVISION)
    pods = claim(view, owner, POD)
    if revisions.patches or pods.patches:
        return Outcome((*revisions.patches, *pods.patches))  # first settle whose they are
    history = History.of(owner, revisions.mine, POD_REVISION)
    if history.collides(view):
        return Outcome((avoid_name(owner),))
    facts = Facts(daemon_set, history, tuple(places(daemon_set, view.list(NODE), pods.mine)), now)
    todo = Tasks() if is_deleting(daemon_set) else tasks(facts)
    effects = [*history.effects, *_status(facts), *_perform(view, facts, todo), *_forget(facts)]
    return Outcome(told_last(effects), _wake_at(facts, todo))


def _perform(view: View, facts: Facts, todo: Tasks) -> Iterator[Effect]:
    """Room is made before it is taken."""
    for pod in todo.finished:
        yield _told_end(facts, pod)
    for pod in (*todo.finished, *todo.surplus):
        yield Delete(POD, key_of(pod), uid_of(pod))
        yield _told(facts, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
    namespace = namespace_of(facts.daemon_set)
    if is_closing(view, namespace):
        return
    refused = failed_create(DAEMON_SET, facts.daemon_set)
    names = new_names(facts.daemon_set, len(todo.create_on), lambda name: view.get(POD, namespace, name) is not None)
    for name, node in zip(names, todo.create_on, strict=True):
        yield Create(POD, new_pod(facts.daemon_set, name, node, facts.history.update), refused)
        yield _told(facts, "SuccessfulCreate", f"Created pod: {name}")


def _told(facts: Facts, reason: str, message: str) -> Event:
    return Event(DAEMON_SET, facts.daemon_set, "Normal", reason, message)


def _told_end(facts: Facts, pod: Obj) -> Event:
    where = f"daemon pod {namespace_of(pod)}/{name_of(pod)} on node {node_of(pod)}"
    if dig(pod, "status", "phase") == "Succeeded":
        return _told(facts, "SucceededDaemonPod", f"Found succeeded {where}, will try to delete it")
    said = f"Found failed {where}, will try to kill it"
    return Event(DAEMON_SET, facts.daemon_set, "Warning", "FailedDaemonPod", said)


_SHOWN = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")


def _status(facts: Facts) -> list[Effect]:
    old = dig(facts.daemon_set, "status", default={})
    counts = _counts(facts)
    kept = {name: value for name, value in old.items() if name not in counts}
    patch = create_merge_patch(old, kept | {name: counts[name] for name in counts if counts[name] or name in _SHOWN})
    key = key_of(facts.daemon_set)
    return [Patch(DAEMON_SET, key, {"status": patch}, subresource="status")] if patch else []


def _counts(facts: Facts) -> dict[str, int]:
    """A node counts by its oldest pod; zeros included."""
    wanted = [place for place in facts.places if place.wanted]
    speakers = [place.pods[0] for place in wanted if place.pods]
    available = sum(map(facts.available, speakers))
    return {
        "observedGeneration": generation_of(facts.daemon_set),
        "desiredNumberScheduled": len(wanted),
        "currentNumberScheduled": len(speakers),
        "numberMisscheduled": sum(bool(place.pods) for place in facts.places if not place.wanted),
        "numberReady": sum(map(is_ready, speakers)),
        "updatedNumberScheduled": sum(map(facts.updated, speakers)),
        "numberAvailable": available,
        "numberUnavailable": len(wanted) - available,
    }


def _forget(facts: Facts) -> list[Effect]:
    hashes = {labels_of(pod).get(POD_REVISION) for place in facts.places for pod in place.pods}
    in_use = {name_of(revision) for revision in facts.history.all if hash_of(revision) in hashes}
    limit = int(dig(facts.daemon_set, "spec", "revisionHistoryLimit", default=10))
    return [] if is_deleting(facts.daemon_set) else facts.history.forgettable(limit, in_use)


def _wake_at(facts: Facts, todo: Tasks) -> datetime | None:
    moments = [available_at(pod, facts.min_ready) for place in facts.places for pod in place.pods]
    return first_wake([*moments, todo.wake_at], facts.now)
