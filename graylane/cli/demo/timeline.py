"""Who was allowed to answer when, and which pod was what when: the two histories that judge every request.

Pure. In: marks as the story goes on, pods as they come and go. Out: the roles that may serve a hop in a span of time,
and the role of an address in that span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from graylane.chain.workloads import Role

_SLACK_SECONDS = 1.0  # how late the watch may tell us of a pod that already answers, or still answers


class Rule(StrEnum):
    """What holds for dyed requests at a hop. Plain requests are never a canary's."""

    BASE = "base"  # no release: base alone
    CANARY = "canary"  # routes confirmed: the canary alone
    EITHER = "either"  # a release starts or ends: any version, but always an answer


@dataclass(frozen=True, slots=True)
class Mark:
    """From `time` on, `rule` holds at the hop."""

    time: float
    rule: Rule


@dataclass(slots=True)
class Stay:
    """One pod's time at one address; `until` is None while it is there."""

    role: Role
    since: float
    until: float | None = None

    def overlaps(self, start: float, end: float) -> bool:
        return self.since - _SLACK_SECONDS <= end and (self.until is None or self.until + _SLACK_SECONDS >= start)


@dataclass(slots=True)
class Timeline:
    """Grows while the story is told; judged when it is over."""

    marks: dict[str, list[Mark]] = field(default_factory=dict)
    stays: dict[str, list[Stay]] = field(default_factory=dict)

    def mark(self, hop: str, rule: Rule, time: float) -> None:
        self.marks.setdefault(hop, [Mark(float("-inf"), Rule.BASE)]).append(Mark(time, rule))

    def arrive(self, ip: str, role: Role, time: float) -> None:
        stays = self.stays.setdefault(ip, [])
        if not stays or stays[-1].until is not None:
            stays.append(Stay(role, time))

    def leave(self, ip: str, time: float) -> None:
        for stay in self.stays.get(ip, [])[-1:]:
            stay.until = time if stay.until is None else stay.until

    def rules(self, hop: str, start: float, end: float) -> frozenset[Rule]:
        """Every rule that held at some instant of the span."""
        marks = self.marks.get(hop, [Mark(float("-inf"), Rule.BASE)])
        ends = [mark.time for mark in marks[1:]] + [float("inf")]
        return frozenset(
            mark.rule for mark, until in zip(marks, ends, strict=True) if mark.time <= end and until > start
        )

    def describe(self, hop: str, time: float) -> str:
        """Where in the hop's history an instant lies, for a complaint."""
        marks = [mark for mark in self.marks.get(hop, []) if mark.time <= time]
        if not marks or marks[-1].time == float("-inf"):
            return f"sent before any release of {hop}"
        return f"sent {time - marks[-1].time:.3f} s after {hop}'s rule became '{marks[-1].rule}'"

    def roles(self, ip: str, start: float, end: float) -> frozenset[Role]:
        """What the address was during the span; empty when no pod is known to have had it."""
        return frozenset(stay.role for stay in self.stays.get(ip, []) if stay.overlaps(start, end))


ALLOWED = {
    Rule.BASE: frozenset({Role.BASE}),
    Rule.CANARY: frozenset({Role.CANARY}),
    Rule.EITHER: frozenset({Role.BASE, Role.CANARY}),
}
