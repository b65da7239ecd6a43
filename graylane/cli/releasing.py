"""What approve, pause, resume and abort do to a Rollout, and when they refuse.

Pure. In: a Rollout as just read. Out: a `Change` (a patch that only fits this very version of the object) or `Refused`
with what would help. Fields and sentences follow kubectl-kruise, so that both tools can be used in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graylane.cli.exits import Refused
from graylane.errors import UserError
from graylane.model.meta import Obj, annotations_of, dig, name_of
from graylane.model.rollout import ABORT, Phase, StepState

_TYPES = ("rollout", "rollouts", "rollout.rollouts.kruise.io", "rollouts.rollouts.kruise.io")


@dataclass(frozen=True, slots=True)
class Change:
    """One patch of one Rollout. `subresource` is "" for the object itself; `says` goes on stdout when it is done."""

    patch: Obj
    subresource: str
    says: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the user decided on: a change is only made to this revision in this step."""

    revision: str
    step: int

    @staticmethod
    def of(rollout: Obj) -> Seen:
        canary = dig(rollout, "status", "canaryStatus", default={})
        return Seen(str(canary.get("canaryRevision", "")), int(canary.get("currentStepIndex", 0)))


Verb = Callable[[Obj], Change]


def parse_name(text: str) -> str:
    """`NAME` or `rollout/NAME`; other types are refused."""
    kind, slash, name = text.rpartition("/")
    if slash and kind not in _TYPES:
        raise UserError(f"{text}: only Rollouts can be released; write rollout/{name}, or the name alone")
    if not name:
        raise UserError(f"{text}: a Rollout's name is missing")
    return name


def approve(rollout: Obj) -> Change:
    state = dig(rollout, "status", "canaryStatus", "currentStepState", default="")
    if state != StepState.PAUSED:
        raise Refused(
            f'rollouts.rollouts.kruise.io "{name_of(rollout)}" does not allow to approve, because current canary state '
            f"is not '{StepState.PAUSED}': {_state(rollout)}; see `graylane status {name_of(rollout)}`"
        )
    ready = {"canaryStatus": {"currentStepState": StepState.READY.value}}
    return _change(rollout, {"status": ready}, "approved", "status")


def pause(rollout: Obj) -> Change:
    if _is_paused(rollout):
        raise Refused(f'rollouts.rollouts.kruise.io "{name_of(rollout)}" is already paused')
    return _change(rollout, {"spec": {"strategy": {"paused": True}}}, "paused")


def resume(rollout: Obj) -> Change:
    if not _is_paused(rollout):
        raise Refused(f'rollouts.rollouts.kruise.io "{name_of(rollout)}" is not paused')
    return _change(rollout, {"spec": {"strategy": {"paused": False}}}, "resumed")


def abort(rollout: Obj) -> Change:
    if dig(rollout, "status", "phase", default="") != Phase.PROGRESSING:
        raise Refused(f'rollouts.rollouts.kruise.io "{name_of(rollout)}" is in no release: {_state(rollout)}')
    if ABORT in annotations_of(rollout):
        raise Refused(f'rollouts.rollouts.kruise.io "{name_of(rollout)}" is already being aborted')
    revision = Seen.of(rollout).revision
    return _change(rollout, {"metadata": {"annotations": {ABORT: revision}}}, "abort requested")


def _is_paused(rollout: Obj) -> bool:
    return bool(dig(rollout, "spec", "strategy", "paused", default=False))


def _state(rollout: Obj) -> str:
    phase = dig(rollout, "status", "phase", default="no phase yet")
    state = dig(rollout, "status", "canaryStatus", "currentStepState", default="")
    return f"it is {phase}" + (f", {state}" if state else "")


def _change(rollout: Obj, patch: Obj, says: str, subresource: str = "") -> Change:
    """The version we read goes into the patch: whatever changed since makes the server refuse it."""
    version = {"resourceVersion": rollout["metadata"]["resourceVersion"]}
    metadata = {**version, **patch.get("metadata", {})}
    return Change(patch | {"metadata": metadata}, subresource, f"rollout.rollouts.kruise.io/{name_of(rollout)} {says}")
