"""Takes over a release that OpenKruise began: its memory in the status, its canary Deployment, its BatchRelease.

Pure. In: `Facts` as observed. Out: the facts with a memory that is ours, and the effects that make its objects ours.
OpenKruise must not run any more; two controllers on one release fight over every field.

What differs: `canaryRevision` is a hash of OpenKruise's own making, the canary Deployment belongs to a BatchRelease of
the Rollout's name, and no condition says that a pause was offered for approval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graylane.kit.effects import Delete, Effect, Patch
from graylane.model.kinds import DEPLOYMENT, ROLLOUT
from graylane.model.meta import Key, Obj, annotations_of, finalizers_of, is_deleting, key_of, owner_refs, uid_of
from graylane.model.patches import guarded
from graylane.model.rollout import BATCH_RELEASE_FINALIZER, CONTROL_INFO, OVERLAY, REVISION, StepState
from graylane.rollouts.canary import owner_of
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import ROLLED_BACK, Release, Stage, Verdict

_OVER = frozenset({Stage.INITIAL, Stage.HEALTHY, Stage.DISABLED})


def adopted(facts: Facts) -> Facts:
    """The same facts where the status is our own."""
    if not facts.release.foreign:
        return facts
    release = replace(facts.release, foreign=False)
    return replace(facts, release=release if release.stage in _OVER else _translated(facts, release))


def _translated(facts: Facts, release: Release) -> Release:
    """Standing still in the past is not held against it; finishing begins with what comes first in our order."""
    waits = release.state in (StepState.UPGRADE, StepState.TRAFFIC)
    verdict = Verdict(False, ROLLED_BACK, "the release was being cancelled when it was taken over")
    return replace(
        release,
        stage=Stage.PROMOTING if release.stage is Stage.RETIRING else release.stage,
        canary_revision=_revision(facts),
        offered=release.stage is Stage.ROLLING and release.state in (StepState.PAUSED, StepState.READY),
        since=facts.moment if waits else release.since,
        ready=facts.ready_pods if waits else release.ready,
        verdict=verdict if release.stage is Stage.CANCELLING else release.verdict,
    )


def _revision(facts: Facts) -> str:
    """Ours for the version under release: the template's, unless a canary shows that the template moved on since."""
    template = facts.stable.revision if facts.stable else ""
    known = {item.revision for item in facts.canaries}
    return template if not known or template in known else facts.release.canary_revision


# -- its objects


def take_over(facts: Facts) -> Iterator[Effect]:
    """The canaries first: once none is the BatchRelease's, that can go without taking any along."""
    for canary in facts.canaries:
        if canary.foreign:
            yield _adopt(facts, canary.obj, canary.revision, canary.overlay)
    if facts.stable and CONTROL_INFO in annotations_of(facts.stable.obj):
        yield _disclaim(facts.stable.obj)
    if facts.batch and not any(canary.foreign for canary in facts.canaries):
        yield from _bury(facts)


def _adopt(facts: Facts, deployment: Obj, revision: str, overlay: str) -> Effect:
    others = [reference for reference in owner_refs(deployment) if not reference.get("controller")]
    metadata = {
        "ownerReferences": [*others, owner_of(facts.rollout)],
        "annotations": {REVISION: revision, OVERLAY: overlay, CONTROL_INFO: None},
    }
    patch = guarded(deployment, {"metadata": metadata})
    return Patch(DEPLOYMENT, key_of(deployment), patch, reason="taken over from OpenKruise")


def _disclaim(workload: Obj) -> Effect:
    """The BatchRelease's claim; the Rollout's own, `in-progressing`, stays for us to keep and end."""
    patch = guarded(workload, {"metadata": {"annotations": {CONTROL_INFO: None}}})
    return Patch(DEPLOYMENT, key_of(workload), patch, reason="taken over from OpenKruise")


def _bury(facts: Facts) -> Iterator[Effect]:
    assert facts.batch is not None
    kind, obj = facts.batch
    if BATCH_RELEASE_FINALIZER in finalizers_of(obj):
        left = [item for item in finalizers_of(obj) if item != BATCH_RELEASE_FINALIZER]
        patch = guarded(obj, {"metadata": {"finalizers": left}})
        yield Patch(kind, key_of(obj), patch, reason="taken over from OpenKruise")
    if not is_deleting(obj):
        yield Delete(kind, key_of(obj), uid=uid_of(obj))


def is_of_batch_release(deployment: Obj, rollout: Key) -> bool:
    """Whether a canary Deployment belongs to the BatchRelease that OpenKruise made for this Rollout."""
    controllers = (reference for reference in owner_refs(deployment) if reference.get("controller"))
    return any(
        (reference.get("kind"), reference.get("name")) == ("BatchRelease", rollout.name)
        and str(reference.get("apiVersion")).startswith(f"{ROLLOUT.group}/")
        for reference in controllers
    )
