"""What a TrafficRouting says of itself: phase, message, conditions, for whom its routes are live.

Pure. In: the decision, the composed targets, the troubles. Out: the next `status` and the events it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.kit.effects import Event
from graylane.model.kinds import TRAFFIC_ROUTING
from graylane.model.meta import (
    Condition,
    Obj,
    dig,
    find_condition,
    format_micro_time,
    generation_of,
    set_condition,
)
from graylane.model.trafficrouting import Phase, TrafficRouting
from graylane.trafficrouting.compose import Composed
from graylane.trafficrouting.confirm import Answer, tells
from graylane.trafficrouting.lane import Decision, Facts
from graylane.trafficrouting.observe import IDLE, ROUTES_CONFIRMED
from graylane.trafficrouting.troubles import Trouble

ACCEPTED = "Accepted"
_PASSING = frozenset({"Writing", str(Answer.LAGS)})
_ENGAGED = frozenset({Phase.PROGRESSING, Phase.FINALIZING, Phase.TERMINATING})


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the status is made from."""

    routing: TrafficRouting
    facts: Facts
    decision: Decision
    composed: tuple[Composed, ...]
    troubles: tuple[Trouble, ...]

    @property
    def active_for(self) -> tuple[str, ...]:
        """Those who hold it, once all is confirmed; kept while an edit is being taken in, and until it is over."""
        if not self.decision.world.routes:
            return self.routing.active_for if self.facts.routed else ()
        added = [item for item in self.composed if item.adds]
        if not self.troubles and all(item.is_settled for item in added):
            return self.routing.holders
        in_place = all(item.target.routed for item in added) and not _missing(self.troubles)
        return tuple(name for name in self.routing.holders if name in self.routing.active_for) if in_place else ()


def next_status(obj: Obj, report: Report, now: datetime) -> dict[str, Any]:
    """The whole status; equal to the present one when nothing is new."""
    conditions = list(dig(obj, "status", "conditions", default=[]))
    for entry in (_accepted(report), _confirmed(report)):
        conditions = set_condition(conditions, entry, now)
    status = {
        "observedGeneration": generation_of(obj),
        "phase": str(report.decision.phase),
        "message": _message(report, conditions),
        "activeFor": list(report.active_for),
        "routes": _records(report),
        "conditions": conditions,
    }
    return {name: value for name, value in status.items() if value != []}


def events(obj: Obj, status: dict[str, Any], report: Report) -> tuple[Event, ...]:
    """One per new fact: the phase moved, a trouble appeared or went, routes became live."""
    found: list[Event] = []
    if report.decision.because and status["phase"] != dig(obj, "status", "phase"):
        found.append(Event(TRAFFIC_ROUTING, obj, "Normal", status["phase"], report.decision.because))
    before = find_condition(dig(obj, "status", "conditions", default=[]), ACCEPTED) or {}
    after = find_condition(status["conditions"], ACCEPTED) or {}
    if after.get("status") == "False" and after.get("message") != before.get("message"):
        found.append(Event(TRAFFIC_ROUTING, obj, "Warning", str(after["reason"]), str(after["message"])))
    if after.get("status") == "True" and before.get("status") == "False":
        found.append(Event(TRAFFIC_ROUTING, obj, "Normal", ACCEPTED, str(after["message"])))
    gained = [name for name in status.get("activeFor", []) if name not in report.routing.active_for]
    if gained:
        through = ", ".join(str(item.target.ref) for item in report.composed if item.adds)
        found.append(
            Event(
                TRAFFIC_ROUTING,
                obj,
                "Normal",
                ROUTES_CONFIRMED,
                f"routes for {', '.join(gained)} are live in {through}",
            )
        )
    return tuple(found)


def untold_until(obj: Obj, status: dict[str, Any], patience: datetime, now: datetime) -> datetime | None:
    """Until when a status need not be written that only tells which object proxies are getting at this moment.

    Routes of a thousand releases pass from object to object in moments, in and out; what takes longer is told then.
    `patience`: until when what passes may be left untold. Until routes are out they are said to be in.
    """
    old: Obj = obj.get("status") or {}
    before, after = (find_condition(item.get("conditions", []), ROUTES_CONFIRMED) or {} for item in (old, status))
    passes = after.get("reason") in _PASSING and (before.get("reason") in _PASSING or _is_farewell(old, status))
    if old == status or not passes or _without_progress(old) != _without_progress(status):
        return None
    return patience if now < patience else None


def _is_farewell(old: Obj, status: Obj) -> bool:
    return (old.get("phase"), status.get("phase")) == (Phase.PROGRESSING, Phase.FINALIZING)


def _without_progress(status: Obj) -> Obj:
    """What has to be stored: that routes are in, and where. That nobody wants them any more is seen by looking."""
    others = [entry for entry in status.get("conditions", []) if entry.get("type") != ROUTES_CONFIRMED]
    phase = Phase.PROGRESSING if status.get("phase") == Phase.FINALIZING else status.get("phase")
    return status | {"message": "", "phase": phase, "conditions": others}


def wake_at(report: Report) -> datetime | None:
    """When time alone may have changed an answer; None when only objects can, as while nobody waits for one."""
    if report.decision.phase not in _ENGAGED:
        return None
    return min((item.target.verdict.ask_at for item in report.composed if item.target.verdict.ask_at), default=None)


def _accepted(report: Report) -> Condition:
    if not report.troubles:
        return Condition(ACCEPTED, "True", ACCEPTED, "everything it names exists")
    first = report.troubles[0]
    more = len(report.troubles) - 1
    return Condition(ACCEPTED, "False", first.reason, first.message + (f" (and {more} more)" if more else ""))


def _confirmed(report: Report) -> Condition:
    """True: the proxies have what the phase wants. Unknown: the mesh does not say, and the grace period is over.

    The first in writing order that is not settled is what all others wait for: definitions when routes go in, routes
    when they go out.
    """
    if report.decision.phase not in _ENGAGED or not (report.decision.world.routes or report.facts.routed):
        return Condition(ROUTES_CONFIRMED, "True", IDLE, "no release holds it; the routed objects are the user's own")
    if report.decision.world.routes and report.troubles:
        return Condition(ROUTES_CONFIRMED, "False", "NotAccepted", report.troubles[0].message)
    in_order = sorted(report.composed, key=lambda item: not item.goes_first)
    for item in in_order:
        if not item.is_settled:
            return _unsettled(item)
    assumed = [item for item in in_order if item.target.verdict.answer is Answer.ASSUMED]
    if assumed:
        return Condition(ROUTES_CONFIRMED, "Unknown", str(Answer.ASSUMED), _words(assumed[0]))
    return Condition(ROUTES_CONFIRMED, "True", str(Answer.YES), "all proxies have acknowledged the routes")


def _unsettled(item: Composed) -> Condition:
    if item.error:
        return Condition(ROUTES_CONFIRMED, "False", "ScriptFailed", f"{item.target.ref}: {item.error}")
    if item.change is not None:
        return Condition(ROUTES_CONFIRMED, "False", "Writing", f"{item.target.ref} is being written")
    answer = item.target.verdict.answer
    return Condition(ROUTES_CONFIRMED, "Unknown" if answer is Answer.WAITS else "False", str(answer), _words(item))


def _words(item: Composed) -> str:
    return f"{item.target.ref} {item.target.verdict.words}"


def _message(report: Report, conditions: list[Obj]) -> str:
    """OpenKruise's sentence while all is well; else what it waits for, or what the user can do."""
    phase = report.decision.phase
    if report.troubles:
        return report.troubles[0].message
    confirmed = find_condition(conditions, ROUTES_CONFIRMED) or {}
    settled = confirmed.get("reason") in (IDLE, Answer.YES, Answer.ASSUMED)
    return f"TrafficRouting is {phase}" + ("" if settled else f": {confirmed.get('message')}")


def _records(report: Report) -> list[Obj]:
    """What may hold our routes, so that an object the user drops from the spec is still restored."""
    if report.decision.phase not in _ENGAGED or not (report.decision.world.routes or report.facts.routed):
        return []
    return [_record(item) for item in report.composed if item.target.own or item.target.routed or not item.is_settled]


def _record(item: Composed) -> Obj:
    ref, live = item.target.ref, item.target.live
    entry: Obj = {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name}
    if item.change is not None or tells(live):
        return entry
    return entry | {"generation": generation_of(live), "since": format_micro_time(item.target.since)}


def _missing(troubles: tuple[Trouble, ...]) -> bool:
    return any(
        trouble.reason.endswith(("NotFound", "NotServed")) and trouble.reason != "ScriptNotFound"
        for trouble in troubles
    )
