"""One look at one Rollout: what is true → where it stands → what to write.

Pure. In: a `View`, the Rollout's key, now. Out: `Look`: effects, and what they depend on. Every write to the Rollout is
conditional on what was read, so that an approval that lands meanwhile is met at the next look instead of overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from graylane.errors import Invalid
from graylane.kit.cache import View
from graylane.kit.effects import Effect, Event, Outcome, Patch
from graylane.kit.patience import MOMENT
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import Key, Obj, annotations_of, dig, finalizers_of, find_condition
from graylane.model.patches import create_merge_patch, guarded
from graylane.model.rollout import ABORT, HASH, ROLLOUT_FINALIZER, StepState
from graylane.model.versions.rollout import decode
from graylane.rollouts import status as wire
from graylane.rollouts.adoption import adopted, inherited
from graylane.rollouts.announce import announcements
from graylane.rollouts.batch import told_at
from graylane.rollouts.facts import Facts
from graylane.rollouts.leftovers import refuse, release_orphans
from graylane.rollouts.lifecycle import decide
from graylane.rollouts.observe import Known, Source, observe
from graylane.rollouts.plan import plan
from graylane.rollouts.prose import untold_until
from graylane.rollouts.release import GOING, Stage
from graylane.rollouts.waiting import Wait, waits_for


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be done, what that depends on, and whether the status was left as it is for a moment."""

    outcome: Outcome
    sources: frozenset[Source] = frozenset()
    unsaid: bool = False


def reconcile(view: View, key: Key, now: datetime, known: Known = Known()) -> Look:
    obj = view.get(ROLLOUT, *key)
    if obj is None:
        return Look(Outcome(tuple(release_orphans(view, key))))
    try:
        rollout = decode(obj)
    except Invalid as error:
        return Look(Outcome(tuple(refuse(view, obj, str(error), now))))
    release = wire.read(obj, rollout.plan_hash)
    observation = observe(view, obj, rollout, release, now, known)
    if first := inherited(observation.facts):
        return Look(Outcome(first), observation.sources)
    return replace(answer(adopted(observation.facts), known.patience or now + MOMENT), sources=observation.sources)


def answer(facts: Facts, patience: datetime) -> Look:
    """Metadata of the Rollout first and alone, since it changes the resourceVersion the status is written on."""
    facts, taken = decide(facts)
    chores = tuple(_chores(facts))
    if chores:
        return Look(Outcome(chores))
    if facts.release.stage is Stage.TERMINATING and facts.let_go():
        held = ROLLOUT_FINALIZER in finalizers_of(facts.obj)
        return Look(Outcome((_own_finalizer(facts, present=False),) if held else ()))
    wait = waits_for(facts)
    status = wire.write(facts, wait)
    untold = untold_until(facts, status, wait, patience)
    events = (*announcements(facts, taken), *_trouble(facts, wait), *_exposure(facts))
    said = () if untold else (*_status(facts, status), *events)
    due = told_at(facts)
    wakes = filter(None, (untold, _wake_at(facts), due))
    return Look(Outcome((*said, *plan(facts, due)), min(wakes, default=None)), unsaid=untold is not None)


# -- the Rollout's own metadata


def _chores(facts: Facts) -> Iterator[Effect]:
    if ROLLOUT_FINALIZER not in finalizers_of(facts.obj) and not facts.deleted():
        yield _own_finalizer(facts, present=True)
        return
    change: dict[str, str | None] = {}
    if annotations_of(facts.obj).get(HASH) != facts.rollout.plan_hash and not facts.deleted():
        change[HASH] = facts.rollout.plan_hash
    if _abort_is_spent(facts):
        change[ABORT] = None
        yield from _abort_ignored(facts)
    if change:
        yield _patch(facts, {"metadata": {"annotations": change}})


def _own_finalizer(facts: Facts, *, present: bool) -> Patch:
    others = [item for item in finalizers_of(facts.obj) if item != ROLLOUT_FINALIZER]
    return _patch(facts, {"metadata": {"finalizers": [*others, ROLLOUT_FINALIZER] if present else others}})


def _abort_is_spent(facts: Facts) -> bool:
    """Done, or never meant for this release; while it is being done it stays, as the reason anyone may read."""
    if not facts.rollout.abort or facts.deleted():
        return False
    if facts.release.stage is Stage.CANCELLING:
        return facts.gone() and facts.restored()
    return facts.release.stage not in GOING or facts.abort_misdirected()


def _abort_ignored(facts: Facts) -> Iterator[Effect]:
    if facts.release.stage is Stage.CANCELLING:
        return
    text = f"abort of revision {facts.rollout.abort} was ignored: it is not under release"
    yield Event(ROLLOUT, facts.obj, "Warning", "AbortIgnored", text)


# -- its status


def _status(facts: Facts, status: Obj) -> Iterator[Effect]:
    change = create_merge_patch(dig(facts.obj, "status", default={}), status)
    if change:
        yield _patch(facts, {"status": change}, "status")


def _trouble(facts: Facts, wait: Wait | None) -> Iterator[Effect]:
    """Told once: when what has to be mended, or done elsewhere, differs from what the status said before."""
    before = find_condition(dig(facts.obj, "status", "conditions", default=[]), wire.WAITING) or {}
    if wait and (wait.trouble or wait.others) and before.get("message") != wait.text:
        yield Event(ROLLOUT, facts.obj, "Warning" if wait.trouble else "Normal", wait.reason, wait.text)


def _exposure(facts: Facts) -> Iterator[Effect]:
    """Told before the first canary pod exists, mostly when the Rollout is created."""
    before = find_condition(dig(facts.obj, "status", "conditions", default=[]), wire.EXPOSED) or {}
    after = wire.exposed(facts)
    if after and after.message != before.get("message"):
        yield Event(ROLLOUT, facts.obj, "Warning", "CanaryExposed", after.message)


def _wake_at(facts: Facts) -> datetime | None:
    if facts.release.stage is not Stage.ROLLING:
        return None
    ends = facts.pause_ends_at if facts.release.state is StepState.PAUSED else facts.overdue_at
    return ends if ends and ends > facts.now else None


def _patch(facts: Facts, patch: Obj, subresource: str = "") -> Patch:
    return Patch(ROLLOUT, facts.rollout.key, guarded(facts.obj, patch), subresource=subresource)
