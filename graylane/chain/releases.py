"""What each Rollout is doing: phase, step, what it waits for, since when, what to type next; how the last one ended.

Pure. In: a `View`, a Rollout. Out: `Release`. What it waits for is the table in `waits.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graylane.chain.requests import Dye
from graylane.chain.waits import WAITS, Facts
from graylane.chain.workloads import canaries_of, group
from graylane.kit.cache import View
from graylane.model.kinds import DEPLOYMENT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, condition, dig, namespace_of, parse_time
from graylane.model.rollout import routing_name


class Ending(StrEnum):
    """How the last release ended: the reason of the condition Succeeded."""

    NONE = ""  # it goes on, or there never was one
    COMPLETED = "Completed"
    ROLLED_BACK = "RolledBack"
    ABORTED = "Aborted"
    FAILED = "ProgressDeadlineExceeded"
    DISABLED = "Disabled"
    DELETED = "Deleted"
    OTHER = "Other"  # words of somebody else's controller


@dataclass(frozen=True, slots=True)
class Release:
    """One Rollout for a reader. `waits_for` is "" when it rests; `outcome` then says how the last release ended.

    `lane` dyes its requests; `traffic` says in a word or two which requests its step is for. `changed` is when it last
    came to where it is, also at rest: routes are as they are since then.
    """

    name: str
    namespace: str
    workload: str
    routing: str
    phase: str
    step: str
    state: str
    revision: str
    waits_for: str
    since: datetime | None
    next: tuple[str, ...]
    outcome: str
    failed: bool = False
    lane: tuple[Dye, ...] = ()
    traffic: str = ""
    ended: Ending = Ending.NONE
    changed: datetime | None = None
    awaits_approval: bool = False


def release(view: View, rollout: Obj) -> Release:
    facts = _observe(view, rollout)
    row = next((row for row in WAITS if row.applies(facts)), None)
    canary = dig(rollout, "status", "canaryStatus", default={})
    return Release(
        name=facts.name,
        namespace=namespace_of(rollout),
        workload=_workload(rollout),
        routing=routing_name(rollout),
        phase=facts.phase or "Unknown",
        step=f"{facts.index}/{len(facts.steps)}" if facts.index else "-",
        state=facts.state or "-",
        revision=str(canary.get("canaryRevision", "")),
        waits_for=row.says(facts).strip().rstrip(":") if row else "",
        since=facts.waits_since if row else None,
        next=tuple(command.format(name=facts.name) for command in row.next) if row else (),
        failed=facts.has_failed,
        outcome="" if facts.is_progressing else _outcome(rollout),
        lane=Dye.all_of(facts.routing) if facts.routing else (),
        traffic=_traffic(facts),
        ended=Ending.NONE if facts.is_progressing else _ending(rollout),
        changed=facts.since or _verdict_time(rollout),
        awaits_approval=row is not None and row.asks,
    )


def _observe(view: View, rollout: Obj) -> Facts:
    namespace = namespace_of(rollout)
    routing = routing_name(rollout)
    workload = str(dig(rollout, "spec", "objectRef", "workloadRef", "name", default=""))
    deployment = view.get(DEPLOYMENT, namespace, workload)
    canaries = canaries_of(view, deployment) if deployment else []
    return Facts(rollout, view.get(TRAFFIC_ROUTING, namespace, routing), group(view, canaries))


def _workload(rollout: Obj) -> str:
    reference = dig(rollout, "spec", "objectRef", "workloadRef", default={})
    return f"{str(reference.get('kind', '')).lower()}/{reference.get('name', '')}"


def _outcome(rollout: Obj) -> str:
    succeeded = condition(rollout, "Succeeded")
    if succeeded is None:
        return ""
    word = "succeeded" if succeeded.get("status") == "True" else "did not succeed"
    detail = succeeded.get("message") or succeeded.get("reason") or ""
    return f"last release {word}" + (f": {detail}" if detail else "")


def _ending(rollout: Obj) -> Ending:
    verdict = condition(rollout, "Succeeded")
    if verdict is None:
        return Ending.NONE
    if verdict.get("status") == "True":
        return Ending.COMPLETED
    reason = verdict.get("reason")
    return next((ending for ending in _BAD_ENDS if ending == reason), Ending.OTHER)


_BAD_ENDS = (Ending.ROLLED_BACK, Ending.ABORTED, Ending.FAILED, Ending.DISABLED, Ending.DELETED)


def _verdict_time(rollout: Obj) -> datetime | None:
    text = (condition(rollout, "Succeeded") or {}).get("lastTransitionTime")
    return parse_time(str(text)) if text else None


def _traffic(facts: Facts) -> str:
    """`header`, `10%`, `header+10%`; "" where the step routes nothing, or none is at hand."""
    if not facts.index or facts.index > len(facts.steps):
        return ""
    own = dig(facts.rollout, "spec", "strategy", "canary", "trafficRoutings")
    asked = facts.steps[facts.index - 1] if own else dig(facts.routing, "spec", "strategy", default={})
    kinds = [word for field, word in _MATCHED if any(match.get(field) for match in asked.get("matches") or [])]
    weight = asked.get("weight")
    return "+".join([*kinds, *([f"{weight}%"] if weight is not None else [])])


_MATCHED = (("headers", "header"), ("path", "path"), ("queryParams", "query"))
