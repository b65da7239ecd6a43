"""Release ↔ the status of a Rollout, in OpenKruise's fields, reasons and messages.

Pure. In: a wire status, or facts after the decision. Out: `Release`, or the wire status. Reading what was written gives
the same release, so that the controller may die at any instant.
"""

from __future__ import annotations

from datetime import datetime

from graylane.model.meta import Condition, Obj, dig, find_condition, format_time, generation_of, labels_of, parse_time
from graylane.model.rollout import ROLLOUT_ID, Phase, StepState
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import COMPLETED, OVERDUE, Release, Stage, Verdict
from graylane.rollouts.waiting import Wait
from graylane.rollouts.words import message, progressing

OFFERED = "graylane.dev/ApprovalOpen"  # True while the present step has paused and an approval means it
EXPOSED = "graylane.dev/CanaryExposed"  # True while plain requests would reach canary pods, or do
WAITING = "graylane.dev/Waiting"  # what it waits for; lastUpdateTime says since when
PLAN_HASH_LENGTH = 16

NOTHING = {  # there is no workload; health checks stumble over an absent `canaryStatus` (Argo CD's does)
    "canaryReplicas": 0,
    "canaryReadyReplicas": 0,
    "canaryRevision": "",
    "podTemplateHash": "",
    "currentStepState": "",
    "nextStepIndex": 0,
    "finalisingStep": "",
}

_PHASES = {
    Stage.INITIAL: Phase.INITIAL,
    Stage.HEALTHY: Phase.HEALTHY,
    Stage.DISABLED: Phase.DISABLED,
    Stage.DISABLING: Phase.DISABLING,
    Stage.TERMINATING: Phase.TERMINATING,
}
REASONS = {
    Stage.INITIALIZING: "Initializing",
    Stage.ROLLING: "InRolling",
    Stage.PAUSED: "Paused",
    Stage.FAILED: OVERDUE,
    Stage.PROMOTING: "Finalising",
    Stage.RETIRING: "Finalising",
    Stage.CANCELLING: "Cancelling",
}
_FINALISING = {  # which part of the closing work is being done, in OpenKruise 0.6's words
    Stage.PROMOTING: "ResumeWorkload",
    Stage.RETIRING: "FinalisingStepRouteTrafficToStable",
    Stage.CANCELLING: "FinalisingStepRouteTrafficToStable",
}


def read(obj: Obj, plan_hash: str) -> Release:
    """The release a status describes. `plan_hash` is the present plan's: a hash that is not ours is taken for equal."""
    status = dig(obj, "status", default={})
    canary = dig(status, "canaryStatus", default={})
    conditions = dig(status, "conditions", default=[])
    known = str(canary.get("rolloutHash", ""))
    since = canary.get("lastUpdateTime")
    return Release(
        stage=_stage(status, conditions, canary),
        step=int(canary.get("currentStepIndex", 0)),
        state=_state(canary),
        next_step=int(canary.get("nextStepIndex", 0)),
        offered=_says(conditions, OFFERED, "True"),
        stable_revision=str(canary.get("stableRevision", "")),
        canary_revision=str(canary.get("canaryRevision", "")),
        plan_hash=known if len(known) == PLAN_HASH_LENGTH else plan_hash,
        since=parse_time(since) if since else None,
        foreign=bool(status) and len(known) != PLAN_HASH_LENGTH,
        ready=int(canary.get("canaryReadyReplicas", 0)),
        verdict=_verdict(conditions),
    )


def write(facts: Facts, wait: Wait | None) -> Obj:
    """The status that says where the release stands; equal facts write an equal status."""
    release = facts.release
    old = dig(facts.obj, "status", default={})
    status: Obj = {
        "observedGeneration": generation_of(facts.obj),
        "phase": str(_PHASES.get(release.stage, Phase.PROGRESSING)),
        "message": message(facts, wait),
        "conditions": _conditions(facts, wait, dig(old, "conditions", default=[])),
    }
    status["canaryStatus"] = NOTHING if release.stage is Stage.INITIAL else _canary_status(facts)
    return status


# -- reading


def _stage(status: Obj, conditions: list[Obj], canary: Obj) -> Stage:
    phase = status.get("phase", "")
    if phase == Phase.PROGRESSING:
        return _stage_in_release(find_condition(conditions, "Progressing") or {}, canary)
    return next((stage for stage, known in _PHASES.items() if known == phase), Stage.INITIAL)


def _stage_in_release(progressing: Obj, canary: Obj) -> Stage:
    reason = progressing.get("reason")
    if reason == COMPLETED:
        return Stage.HEALTHY
    if reason == "Finalising":
        retiring = canary.get("finalisingStep") == _FINALISING[Stage.RETIRING]
        return Stage.RETIRING if retiring else Stage.PROMOTING
    return next((stage for stage, known in REASONS.items() if known == reason), Stage.INITIALIZING)


def _state(canary: Obj) -> StepState:
    """A state we do not know (OpenKruise 0.6 has BeforeStepUpgrade) is the beginning of a step."""
    text = canary.get("currentStepState") or StepState.COMPLETED
    return StepState(text) if text in set(StepState) else StepState.UPGRADE


def _says(conditions: list[Obj], kind: str, status: str) -> bool:
    return (find_condition(conditions, kind) or {}).get("status") == status


def _verdict(conditions: list[Obj]) -> Verdict | None:
    entry = find_condition(conditions, "Succeeded")
    if entry is None:
        return None
    return Verdict(entry.get("status") == "True", str(entry.get("reason", "")), str(entry.get("message", "")))


# -- writing


def _conditions(facts: Facts, wait: Wait | None, old: list[Obj]) -> list[Obj]:
    """Ours in place of what we wrote before; a condition that somebody else wrote is kept."""
    release, kept = facts.release, [entry for entry in old if entry.get("type") not in _OURS]
    wanted: list[Condition | None] = [progressing(facts)]
    if release.verdict:
        verdict = release.verdict
        wanted.append(Condition("Succeeded", str(verdict.succeeded), verdict.reason, verdict.message))
    if release.stage is Stage.TERMINATING:
        wanted.append(Condition("Terminating", "True", "InTerminating", "Rollout is in terminating"))
    if release.offered:
        text = f"step {release.step} of revision {release.canary_revision}"
        wanted.append(Condition(OFFERED, "True", "StepPaused", text))
    wanted.append(exposed(facts))
    if wait:
        wanted.append(Condition(WAITING, "True", wait.reason, wait.text))
    return [*kept, *(_dated(find_condition(old, new.type), new, facts.now) for new in wanted if new)]


_OURS = frozenset({"Progressing", "Succeeded", "Terminating", OFFERED, EXPOSED, WAITING})
_PAST_APPROVAL = frozenset({Stage.INITIAL, Stage.PROMOTING, Stage.RETIRING, Stage.DISABLED, Stage.TERMINATING})


def exposed(facts: Facts) -> Condition | None:
    """None once the new version is approved for everybody."""
    if not facts.exposed or facts.release.stage in _PAST_APPROVAL:
        return None
    return Condition(EXPOSED, "True", "LabelsMatch", facts.exposed)


def _dated(old: Obj | None, new: Condition, now: datetime) -> Obj:
    """`lastTransitionTime` moves with the status, `lastUpdateTime` with the reason; a mere message moves neither."""
    before = old or {}
    flipped, changed = before.get("status") != new.status, before.get("reason") != new.reason
    return {
        "type": new.type,
        "status": new.status,
        "reason": new.reason,
        "message": new.message,
        "lastTransitionTime": format_time(now) if flipped else before.get("lastTransitionTime", format_time(now)),
        "lastUpdateTime": format_time(now) if flipped or changed else before.get("lastUpdateTime", format_time(now)),
    }


def _canary_status(facts: Facts) -> Obj:
    release, stable, canary = facts.release, facts.stable, facts.canary
    resting = release.stage in (Stage.HEALTHY, Stage.DISABLED)
    finished = resting and release.state is StepState.COMPLETED
    status: Obj = {
        "observedWorkloadGeneration": generation_of(stable.obj) if stable else 0,
        "observedRolloutID": labels_of(stable.obj).get(ROLLOUT_ID, "") if stable else "",
        "rolloutHash": facts.rollout.plan_hash if resting else release.plan_hash,
        "stableRevision": release.stable_revision,
        "canaryRevision": release.canary_revision,
        "podTemplateHash": canary.template_hash if canary and not resting else "",
        "canaryReplicas": sum(item.replicas for item in facts.canaries if not item.deleting),
        "canaryReadyReplicas": facts.ready_pods,
        "currentStepIndex": facts.total_steps if finished else release.step,
        "nextStepIndex": -1 if finished else facts.expected_next,
        "currentStepState": str(release.state),
        "finalisingStep": _FINALISING.get(release.stage, ""),  # the CRD of OpenKruise 0.6 requires it
        "message": _canary_message(facts),
    }
    if release.since:
        status["lastUpdateTime"] = format_time(release.since)
    if resting and stable:
        status |= {"stableRevision": _running(facts), "canaryRevision": stable.revision}
    return status


def _running(facts: Facts) -> str:
    """The oldest version that has pods: what a release that starts now would call stable."""
    active = (item.hash for item in facts.stable.sets if item.wanted > 0) if facts.stable else iter(())
    return next(active, facts.release.stable_revision)


def _canary_message(facts: Facts) -> str:
    canary = facts.canary
    if canary is None:
        return ""
    return f"Deployment {canary.name}: {canary.available} of {facts.target} pods available"
