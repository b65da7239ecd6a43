"""Whether the proxies have taken an object as it is now: yes, no, or nobody says.

Pure. In: an object with its status, since when it is as wanted, and now. Out: a `Verdict`. Our mesh writes the
condition `Reconciled` with `observedGeneration`; Istio by default writes neither, and then time is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from graylane.model.meta import Obj, condition, dig, find_condition, format_time, generation_of


class Answer(StrEnum):
    """`LAGS` and `REFUSED` are both no; `WAITS` and `ASSUMED` both mean that nobody says."""

    YES = "ProxiesAcknowledged"
    LAGS = "ProxiesLag"
    REFUSED = "ProxiesRefuse"
    WAITS = "GracePeriod"
    ASSUMED = "GracePeriodOver"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, in words that follow an object's name, and when to ask again if only time will tell."""

    answer: Answer
    words: str = ""
    ask_at: datetime | None = None

    @property
    def may_go_on(self) -> bool:
        return self.answer in (Answer.YES, Answer.ASSUMED)


def tells(obj: Obj) -> bool:
    """Whether a mesh reports on this object at all."""
    return _reconciled(obj) is not None


def _reconciled(obj: Obj) -> tuple[Obj, int] | None:
    """The condition and the generation it is about; a route of the Gateway API has one for each of its parents."""
    own = condition(obj, "Reconciled")
    if own is not None:
        # Istio's own status writer gives the generation as text, as protobuf's JSON does for 64-bit integers.
        return own, int(dig(obj, "status", "observedGeneration", default=0))
    parents = dig(obj, "status", "parents", default=[])
    found = (find_condition(parent.get("conditions") or [], "Reconciled") for parent in parents)
    told = [(each, int(each.get("observedGeneration", 0))) for each in found if each is not None]
    return min(told, key=lambda each: (each[1], each[0].get("status") == "True"), default=None)


def verdict(obj: Obj, since: datetime, grace: timedelta, now: datetime) -> Verdict:
    """`since`: when the object was first seen as it is now; used only where the mesh does not report."""
    found = _reconciled(obj)
    if found is None:
        return _by_time(since, grace, now)
    reconciled, generation = found
    words = str(reconciled.get("message") or reconciled.get("reason") or "")
    if generation != generation_of(obj):
        return Verdict(Answer.LAGS, "is on its way to the proxies")
    if reconciled.get("status") == "True":
        return Verdict(Answer.YES)
    refused = str(reconciled.get("reason", "")).startswith(("Refused", "Rejected"))
    return Verdict(Answer.REFUSED if refused else Answer.LAGS, f"is not on all proxies: {words}" if words else "")


def _by_time(since: datetime, grace: timedelta, now: datetime) -> Verdict:
    end = since + grace
    seconds = f"{grace.total_seconds():g} s"
    if now >= end:
        return Verdict(Answer.ASSUMED, f"is not reported on by the mesh; {seconds} were taken as enough")
    return Verdict(Answer.WAITS, f"is not reported on by the mesh; waits {seconds}, until {format_time(end)}", end)
