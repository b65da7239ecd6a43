"""The BatchRelease of a release: a record that OpenKruise's tools read, and the owner of the canary Deployments.

Pure. In: `Facts`. Out: effects. It is written from what the Rollout's lifecycle decided and never read for a decision,
so that one which is deleted or edited by hand is made again or put right, and nothing else happens. Its status is
written where the release rests, and of what passes only when it has lasted: a record, not a running commentary.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from graylane.kit.cache import View
from graylane.kit.effects import Create, Delete, Effect, Patch
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, ROLLOUT
from graylane.model.meta import (
    Obj,
    condition,
    controller_of,
    dig,
    finalizers_of,
    format_time,
    generation_of,
    is_deleting,
    labels_of,
    owner_reference,
    parse_time,
    uid_of,
)
from graylane.model.patches import create_merge_patch, guarded
from graylane.model.rollout import BATCH_RELEASE_FINALIZER, ROLLOUT_ID, Rollout, StepState
from graylane.rollouts.canary import owner_of
from graylane.rollouts.facts import Facts
from graylane.rollouts.lifecycle import WORLD
from graylane.rollouts.parts import Batch
from graylane.rollouts.release import HOLDING, Stage

LASTING = timedelta(seconds=30)


def batch_of(view: View, rollout: Rollout) -> Batch | None:
    """What has the Rollout's name. It is ours if it says so, or if it owns a canary of ours; else a stranger's."""
    obj = view.get(BATCH_RELEASE, *rollout.key)
    if obj is None:
        return None
    owner, owned = controller_of(obj) or {}, view.owned_by(DEPLOYMENT, uid_of(obj))
    named = (owner.get("kind"), owner.get("name")) == (ROLLOUT.kind, rollout.key.name)
    return Batch(obj, named or bool(owned), is_deleting(obj), BATCH_RELEASE_FINALIZER in finalizers_of(obj))


# -- the record


def record(facts: Facts, due: datetime | None) -> Iterator[Effect]:
    """There from the release's first look to its last; as its plan and its step want it. `due` is `told_at`."""
    if not WORLD[facts.release.stage].canary or facts.stable is None:
        return
    if facts.batch is None:
        if (facts.release.stage in HOLDING and not facts.frozen()) or facts.canaries:
            yield Create(BATCH_RELEASE, _build(facts))
    elif facts.batch.ours and not facts.batch.deleting:
        yield from _put_right(facts, facts.batch.obj, due)


def _build(facts: Facts) -> Obj:
    key = facts.rollout.key
    metadata = {"namespace": key.namespace, "name": key.name, "ownerReferences": [owner_of(facts.rollout)]}
    return {"metadata": metadata, "spec": _spec(facts)}


def _put_right(facts: Facts, obj: Obj, due: datetime | None) -> Iterator[Effect]:
    wanted = _build(facts)
    change: Obj = {}
    if spec := create_merge_patch(obj.get("spec") or {}, wanted["spec"]):
        change["spec"] = spec
    if dig(obj, "metadata", "ownerReferences") != wanted["metadata"]["ownerReferences"]:
        change["metadata"] = {"ownerReferences": wanted["metadata"]["ownerReferences"]}
    if change:
        yield Patch(BATCH_RELEASE, facts.rollout.key, guarded(obj, change), reason="as the release stands")
    elif due and due <= facts.now:
        patch = guarded(obj, {"status": create_merge_patch(obj.get("status") or {}, _status(facts, obj))})
        yield Patch(BATCH_RELEASE, facts.rollout.key, patch, subresource="status")


def close(facts: Facts) -> Iterator[Effect]:
    """With it go the canary Deployments it owns: their finalizers are off, for no route leads to them any more."""
    batch = facts.batch
    if WORLD[facts.release.stage].canary or batch is None or not batch.ours or batch.deleting:
        return
    if facts.lane_clear() and not any(item.protected for item in facts.canaries):
        yield Delete(BATCH_RELEASE, facts.rollout.key, uid=uid_of(batch.obj))


def owner(facts: Facts) -> Obj | None:
    """Whom a canary Deployment belongs to; None as long as that is not there yet.

    The Rollout itself while the BatchRelease's name is taken, by a stranger's or by one on its way out.
    """
    batch = facts.batch
    if batch is None:
        return None
    if batch.ours and not batch.deleting:
        return owner_reference(batch.obj, BATCH_RELEASE)
    return owner_of(facts.rollout)


# -- what it says


def _spec(facts: Facts) -> Obj:
    rollout = facts.rollout
    overlay = {"labels": dict(rollout.patch.labels), "annotations": dict(rollout.patch.annotations)}
    plan: Obj = {
        "batches": [{"canaryReplicas": step.replicas} for step in rollout.steps],
        "batchPartition": _batch(facts),
        "enableExtraWorkloadForCanary": True,
        "rolloutID": _rollout_id(facts),
        "failureThreshold": rollout.failure_threshold,
        "patchPodTemplateMetadata": {field: value for field, value in overlay.items() if value},
    }
    workload = rollout.workload
    target = {"apiVersion": workload.api_version, "kind": workload.kind, "name": workload.name}
    said = {name: value for name, value in plan.items() if name == "batchPartition" or value}
    return {"targetReference": {"workloadRef": target}, "releasePlan": said}


def _batch(facts: Facts) -> int:
    return min(max(facts.release.step, 1), facts.total_steps) - 1


def _rollout_id(facts: Facts) -> str:
    return labels_of(facts.stable.obj).get(ROLLOUT_ID, "") if facts.stable else ""


def _status(facts: Facts, obj: Obj) -> Obj:
    canary, release = facts.canary, facts.release
    counts = {
        "updatedReplicas": canary.updated if canary else 0,
        "updatedReadyReplicas": min(canary.updated, canary.available) if canary else 0,
    }
    status = {
        "phase": _phase(facts),
        "observedGeneration": generation_of(obj),
        "observedRolloutID": _rollout_id(facts),
        "observedReleasePlanHash": release.plan_hash,
        "observedWorkloadReplicas": facts.stable.replicas if facts.stable else 0,
        "stableRevision": release.stable_revision,
        "updateRevision": release.canary_revision,
        "canaryStatus": {
            "currentBatch": _batch(facts),
            "batchState": _batch_state(facts),
            **counts,
            **_ready(facts, obj),
        },
    }
    return (obj.get("status") or {}) | status


def _phase(facts: Facts) -> str:
    if facts.release.stage is Stage.INITIALIZING:
        return "Preparing"
    return "Progressing" if facts.release.stage in HOLDING else "Finalizing"


def _batch_state(facts: Facts) -> str:
    if facts.canary_ready():
        return "Ready"
    canary = facts.canary
    return "Verifying" if canary and canary.replicas >= facts.target and canary.updated >= facts.target else "Upgrading"


def _ready(facts: Facts, obj: Obj) -> Obj:
    """Since when the batch is ready: told where the step pauses, and kept as long as it is."""
    release, told = facts.release, dig(obj, "status", "canaryStatus", default={})
    if _batch_state(facts) != "Ready":
        return {}
    if release.state is StepState.PAUSED and release.since:
        return {"batchReadyTime": format_time(release.since)}
    kept = told.get("currentBatch") == _batch(facts) and told.get("batchReadyTime")
    return {"batchReadyTime": kept} if kept else {}


def told_at(facts: Facts) -> datetime | None:
    """When what the status lacks is to be written; None where it says what is true."""
    batch = facts.batch
    if not WORLD[facts.release.stage].canary or batch is None or not batch.ours or batch.deleting:
        return None
    if _status(facts, batch.obj) == (batch.obj.get("status") or {}):
        return None
    return facts.now if facts.release.state is StepState.PAUSED else _entered(facts) + LASTING


def _entered(facts: Facts) -> datetime:
    """When the release came to where it is."""
    progressing = condition(facts.obj, "Progressing") or {}
    times = [parse_time(str(progressing["lastUpdateTime"]))] if progressing.get("lastUpdateTime") else []
    return max(filter(None, (facts.release.since, *times)), default=facts.now)
