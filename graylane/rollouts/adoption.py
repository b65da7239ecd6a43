"""Takes over a release that OpenKruise began: its memory in the status, its canary Deployment, its BatchRelease.

Pure. In: `Facts` as observed. Out: the facts with a memory that is ours, and the effects that make its objects ours.
OpenKruise must not run any more; two controllers on one release fight over every field.

What differs: `canaryRevision` is a hash of OpenKruise's own making, the canary Deployment does not say which template
it carries, a finalizer holds the BatchRelease, and no condition says that a pause was offered for approval. Canaries
that Graylane made before there were BatchReleases, or whose BatchRelease was made anew, are moved here as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graylane.kit.effects import Effect, Patch
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT
from graylane.model.meta import Obj, annotations_of, finalizers_of, key_of, owner_refs
from graylane.model.patches import guarded
from graylane.model.rollout import BATCH_RELEASE_FINALIZER, CONTROL_INFO, OVERLAY, REVISION, StepState
from graylane.rollouts.batch import owner
from graylane.rollouts.embedded import inherit
from graylane.rollouts.facts import Facts
from graylane.rollouts.lifecycle import WORLD
from graylane.rollouts.parts import Batch, Canary
from graylane.rollouts.release import ROLLED_BACK, Release, Stage, Verdict

_OVER = frozenset({Stage.INITIAL, Stage.HEALTHY, Stage.DISABLED})


def inherited(facts: Facts) -> tuple[Effect, ...]:
    """What must be there before the status is ours: afterwards nobody knows that routes were not made by us."""
    release = facts.release
    return tuple(inherit(facts)) if release.foreign and release.stage not in _OVER else ()


def adopted(facts: Facts) -> Facts:
    """The same facts where the status is our own."""
    if not facts.release.foreign:
        return facts
    release = replace(facts.release, foreign=False)
    return replace(facts, release=release if release.stage in _OVER else _translated(facts, release))


def _translated(facts: Facts, release: Release) -> Release:
    """Standing still in the past is not held against it; finishing begins with what comes first in our order.

    While OpenKruise initializes, the steps may still be those of the last release, all of them done.
    """
    if release.stage is Stage.INITIALIZING:
        return replace(release, stage=Stage.HEALTHY, verdict=None)
    waits = release.state in (StepState.UPGRADE, StepState.TRAFFIC)
    verdict = Verdict(False, ROLLED_BACK, "the release was being cancelled when it was taken over")
    return replace(
        release,
        stage=Stage.PROMOTING if release.stage is Stage.RETIRING else release.stage,
        canary_revision=_revision(facts),
        offered=release.stage in (Stage.ROLLING, Stage.PAUSED) and release.state in (StepState.PAUSED, StepState.READY),
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
    """Canaries are marked as ours and belong to the BatchRelease that is there now; OpenKruise's claims go.

    One that is on its way out is let go only when none would go with it.
    """
    moved = [item for item in facts.canaries if item.foreign or _is_astray(facts, item)]
    for canary in moved:
        yield _adopt(facts, canary)
    if facts.stable and CONTROL_INFO in annotations_of(facts.stable.obj):
        yield _disclaim(facts.stable.obj)
    if facts.batch and facts.batch.held and not moved:
        yield _unhold(facts.batch)


def _is_astray(facts: Facts, canary: Canary) -> bool:
    """While it is wanted it belongs to whom a new one would; at the end it goes, whosever it is."""
    wanted = owner(facts) if WORLD[facts.release.stage].canary and not canary.deleting else None
    return wanted is not None and canary.owner != wanted["uid"]


def _adopt(facts: Facts, canary: Canary) -> Effect:
    metadata: Obj = {}
    if canary.foreign:
        metadata["annotations"] = {REVISION: canary.revision, OVERLAY: canary.overlay, CONTROL_INFO: None}
    if _is_astray(facts, canary):
        others = [reference for reference in owner_refs(canary.obj) if not reference.get("controller")]
        metadata["ownerReferences"] = [*others, owner(facts)]
    patch = guarded(canary.obj, {"metadata": metadata})
    return Patch(DEPLOYMENT, key_of(canary.obj), patch, reason="taken over")


def _disclaim(workload: Obj) -> Effect:
    """OpenKruise's claim; the Rollout's own, `in-progressing`, stays for us to keep and end."""
    patch = guarded(workload, {"metadata": {"annotations": {CONTROL_INFO: None}}})
    return Patch(DEPLOYMENT, key_of(workload), patch, reason="taken over from OpenKruise")


def _unhold(batch: Batch) -> Effect:
    left = [item for item in finalizers_of(batch.obj) if item != BATCH_RELEASE_FINALIZER]
    patch = guarded(batch.obj, {"metadata": {"finalizers": left}})
    return Patch(BATCH_RELEASE, key_of(batch.obj), patch, reason="taken over from OpenKruise")
