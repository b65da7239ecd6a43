"""Deployment: ReplicaSets moved, one step at a time, until the present template runs as often as it should.

Pure. In: a Deployment, its ReplicaSets and their pods. Out: an `Outcome`. What is done next depends on the Deployment's
`Mode` alone, so a lost write is found and repeated; `enact.py` says how a step is written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from graylane.cluster.workloads.claims import Owner, claim
from graylane.cluster.workloads.enact import Facts, Mode, Step, enact
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.pods import is_finished
from graylane.cluster.workloads.revisions import Fleet, forgettable, new_replica_set, size_of, wanted_replicas
from graylane.cluster.workloads.rollout import Limits, recreate, rescale, roll, room_for_new
from graylane.kit import Event, Outcome, Patch, View
from graylane.model.kinds import DEPLOYMENT, POD, REPLICA_SET
from graylane.model.meta import Key, Obj, dig, generation_of, key_of, name_of, uid_of
from graylane.model.selectors import LabelSelector

_LOOK_FOR_OLD_PODS = timedelta(seconds=1)


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One step of one Deployment; what it causes brings the next."""
    deployment = view.get(DEPLOYMENT, *key)
    if deployment is None:
        return Outcome()
    selector = LabelSelector.of(dig(deployment, "spec", "selector"))
    if selector.empty:
        return _refuse_to_select_everything(deployment)
    claims = claim(view, Owner(deployment, DEPLOYMENT, selector), REPLICA_SET)
    if claims.patches:
        return Outcome(claims.patches)  # sets are written on the version that was read: first settle whose they are
    fleet = Fleet.of(deployment, claims.mine)
    facts = Facts(deployment, fleet, Limits.of(deployment["spec"]), _old_pods_gone(view, fleet), now)
    step = STEPS[facts.mode](facts)
    if step.create is not None and is_closing(view, key.namespace):
        return Outcome()
    if step.create is not None and view.get(REPLICA_SET, key.namespace, name_of(step.create)) is not None:
        return Outcome((_avoid_name(deployment),))
    outcome = enact(facts, step)
    return Outcome(outcome.effects, outcome.wake_at or _recheck(facts))


def _hold(facts: Facts) -> Step:
    new = size_of(facts.fleet.new) if facts.fleet.new else None
    olds = [size_of(old) for old in facts.fleet.olds]
    pods = int(dig(facts.deployment, "status", "replicas", default=0))
    sizes = rescale(facts.limits, new, olds, rolling=facts.rolling, status_replicas=pods)
    forget = forgettable(facts.deployment, facts.fleet.olds) if facts.paused else []
    return Step(sizes, resized_for_all=True, forget=tuple(forget))


def _roll(facts: Facts) -> Step:
    fleet = facts.fleet
    if fleet.new is None:
        room = room_for_new(facts.limits, 0, sum(map(wanted_replicas, fleet.olds)))
        return _create(facts, room)
    sizes = roll(facts.limits, size_of(fleet.new), [size_of(old) for old in fleet.olds])
    return Step(sizes, moves_on=True, forget=_history(facts))


def _recreate(facts: Facts) -> Step:
    fleet = facts.fleet
    new = size_of(fleet.new) if fleet.new else None
    sizes = recreate(facts.limits, new, [size_of(old) for old in fleet.olds], old_pods_gone=facts.old_pods_gone)
    if new is None and not sizes and facts.old_pods_gone:
        return _create(facts, facts.limits.desired)
    return Step(sizes, moves_on=True, forget=_history(facts))


def _create(facts: Facts, replicas: int) -> Step:
    created = new_replica_set(facts.deployment, facts.limits, replicas, facts.fleet.next_revision)
    return Step(create=created, moves_on=True)


def _history(facts: Facts) -> tuple[Obj, ...]:
    """Nothing is forgotten while a rollout may still want to go back."""
    return tuple(forgettable(facts.deployment, facts.fleet.olds)) if facts.complete else ()


STEPS: dict[Mode, Callable[[Facts], Step]] = {
    Mode.DELETING: lambda _: Step(),
    Mode.HOLDING: _hold,
    Mode.ROLLING: _roll,
    Mode.RECREATING: _recreate,
}


def _old_pods_gone(view: View, fleet: Fleet) -> bool:
    """Recreate promises that versions never overlap: a pod that is still stopping counts as running."""
    if any(dig(old, "status", "replicas", default=0) for old in fleet.olds):
        return False
    return all(is_finished(pod) for old in fleet.olds for pod in view.owned_by(POD, uid_of(old)))


def _recheck(facts: Facts) -> datetime | None:
    """A pod's name leads to its Deployment only if we named its ReplicaSet; an adopted set's pods may end unheard."""
    waiting = facts.mode is Mode.RECREATING and not facts.old_pods_gone
    return facts.now + _LOOK_FOR_OLD_PODS if waiting else None


def _avoid_name(deployment: Obj) -> Patch:
    """Somebody else's ReplicaSet has the name we would take: count the collision, which makes another hash."""
    collisions = int(dig(deployment, "status", "collisionCount", default=0)) + 1
    return Patch(DEPLOYMENT, key_of(deployment), {"status": {"collisionCount": collisions}}, subresource="status")


def _refuse_to_select_everything(deployment: Obj) -> Outcome:
    if dig(deployment, "status", "observedGeneration", default=0) >= generation_of(deployment):
        return Outcome()
    message = "This deployment is selecting all pods. A non-empty selector is required."
    status = {"status": {"observedGeneration": generation_of(deployment)}}
    return Outcome(
        (
            Event(DEPLOYMENT, deployment, "Warning", "SelectingAll", message),
            Patch(DEPLOYMENT, key_of(deployment), status, subresource="status"),
        )
    )
