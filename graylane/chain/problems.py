"""What is wrong or unconfirmed with the routing objects, each problem said with its object.

Pure. In: objects with their status. Out: `Problem`s, and a three-valued `Confirmation` of one object by the proxies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from graylane.kit.cache import View
from graylane.model.kinds import DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, condition, dig, generation_of, name_of, namespace_of


class Confirmation(StrEnum):
    """Whether the proxies run what the object asks for."""

    CONFIRMED = "confirmed"
    ASKED = "asked"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that an object's own status complains about."""

    object: str
    message: str

    def __str__(self) -> str:
        return f"{self.object}: {self.message}"


def confirmation(obj: Obj) -> Confirmation:
    """A mesh that reports nothing (plain Istio) leaves us unable to tell, which is not the same as no."""
    reconciled = condition(obj, "Reconciled")
    if reconciled is None:
        return Confirmation.CANNOT_TELL
    current = dig(obj, "status", "observedGeneration", default=0) == generation_of(obj)
    return Confirmation.CONFIRMED if current and reconciled.get("status") == "True" else Confirmation.ASKED


def weakest(objects: Iterable[Obj]) -> Confirmation:
    """All must be confirmed; one laggard decides. No object at all needs no confirmation."""
    found = {confirmation(item) for item in objects}
    order = (Confirmation.ASKED, Confirmation.CANNOT_TELL)
    return next((value for value in order if value in found), Confirmation.CONFIRMED)


def problems(view: View, namespace: str) -> tuple[Problem, ...]:
    found: list[Problem] = []
    for kind in (VIRTUAL_SERVICE, DESTINATION_RULE):
        for item in view.list(kind, namespace):
            found += _invalid(kind, item) + _unreconciled(kind, item)
    for item in view.list(TRAFFIC_ROUTING, namespace):
        found += _refused(item)
    return tuple(found)


def _label(kind: Kind, obj: Obj) -> str:
    return f"{kind.kind} {namespace_of(obj)}/{name_of(obj)}"


def _invalid(kind: Kind, obj: Obj) -> list[Problem]:
    """Istio's shape: `{type: {code: IST0101}, level: ERROR, message: …}`."""
    return [
        Problem(_label(kind, obj), f"{dig(entry, 'type', 'code', default='')} {entry.get('message', '')}".strip())
        for entry in dig(obj, "status", "validationMessages", default=[])
    ]


def _unreconciled(kind: Kind, obj: Obj) -> list[Problem]:
    entry = condition(obj, "Reconciled")
    if entry is None or entry.get("status") != "False":
        return []
    return [Problem(_label(kind, obj), str(entry.get("message") or entry.get("reason") or "not taken by the proxies"))]


def _refused(routing: Obj) -> list[Problem]:
    """A routing that is not accepted confirms no routes either, for the same reason: that is one problem."""
    label = _label(TRAFFIC_ROUTING, routing)
    entries = [condition(routing, kind) for kind in ("Accepted", "RoutesConfirmed")]
    refusals = [
        str(entry.get("message") or entry.get("reason"))
        for entry in entries
        if entry is not None and entry.get("status") == "False"
    ]
    return [Problem(label, text.removeprefix(f"{label}: ")) for text in dict.fromkeys(refusals)]
