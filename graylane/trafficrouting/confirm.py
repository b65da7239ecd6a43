"""Whether the proxies have taken an object as it is now: yes, no, or nobody says.

Pure. In: an object with its status, since when it is as wanted, and now. Out: a `Verdict`. Our mesh writes the
condition `Reconciled` with `observedGeneration`; Istio by default writes neither, and then time is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from graylane.model.meta import Obj, condition, dig, format_time, generation_of


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
    return condition(obj, "Reconciled") is not None


def verdict(obj: Obj, since: datetime, grace: timedelta, now: datetime) -> Verdict:
    """`since`: when the object was first seen as it is now; used only where the mesh does not report."""
    reconciled = condition(obj, "Reconciled")
    if reconciled is None:
        return _by_time(since, grace, now)
    words = str(reconciled.get("message") or reconciled.get("reason") or "")
    # Istio's own status writer gives the generation as text, as protobuf's JSON does for 64-bit integers.
    if int(dig(obj, "status", "observedGeneration", default=0)) != generation_of(obj):
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
