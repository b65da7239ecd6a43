"""Judges requests against the timeline: failed, misrouted, or right.

Pure. In: answers, a timeline. Out: `Verdict`. A failure is a failure at every instant. A plain request is misrouted
when any hop was served by a canary pod; a dyed one when a hop was served by a role that the hop's rule did not allow at
any instant between sending and answering. Pods are told apart by address, not by what they say of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from graylane.chain.workloads import Role
from graylane.cli.demo.answers import Answer, HopAnswer
from graylane.cli.demo.timeline import ALLOWED, Rule, Timeline


@dataclass(slots=True)
class Verdict:
    """Counts, and the first few complaints in words."""

    plain: int = 0
    dyed: int = 0
    dyed_on_canary: int = 0
    failed: int = 0
    misrouted: int = 0
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.plain + self.dyed

    @property
    def rate(self) -> float:
        return self.total / self.seconds if self.seconds else 0.0

    @property
    def clean(self) -> bool:
        return self.total > 0 and self.failed == 0 and self.misrouted == 0


_MOST_COMPLAINTS = 5


def judge(answers: Iterable[Answer], timeline: Timeline) -> Verdict:
    verdict = Verdict()
    first, last = float("inf"), float("-inf")
    for answer in answers:
        first, last = min(first, answer.sent), max(last, answer.sent)
        _count(verdict, answer, timeline)
        if fault := _fault(answer, timeline):
            if len(verdict.complaints) < _MOST_COMPLAINTS:
                verdict.complaints.append(fault)
            verdict.failed += not answer.ok
            verdict.misrouted += answer.ok
    verdict.seconds = max(0.0, last - first)
    return verdict


def _count(verdict: Verdict, answer: Answer, timeline: Timeline) -> None:
    if not answer.dyed:
        verdict.plain += 1
        return
    verdict.dyed += 1
    verdict.dyed_on_canary += any(Role.CANARY in _roles(hop, answer, timeline) for hop in answer.hops)


def _fault(answer: Answer, timeline: Timeline) -> str:
    kind = "dyed" if answer.dyed else "plain"
    if not answer.ok:
        return f"a {kind} request failed: {answer.error or f'HTTP {answer.status} {answer.body[:80]!r}'}"
    for hop in answer.hops:
        roles = _roles(hop, answer, timeline)
        if not roles:
            return f"a {kind} request was answered by {hop.ip}, which is no pod's address"
        if not roles & _allowed(hop, answer, timeline):
            by = f"{hop.app} {'/'.join(sorted(roles))} pod {hop.ip}: {answer.path}"
            return f"a {kind} request was answered by {by}; {timeline.describe(hop.app, answer.sent)}"
    return ""


def _allowed(hop: HopAnswer, answer: Answer, timeline: Timeline) -> frozenset[Role]:
    if not answer.dyed:
        return ALLOWED[Rule.BASE]
    rules = timeline.rules(hop.app, answer.sent, answer.done)
    return frozenset().union(*(ALLOWED[rule] for rule in rules))


def _roles(hop: HopAnswer, answer: Answer, timeline: Timeline) -> frozenset[Role]:
    return timeline.roles(hop.ip, answer.sent, answer.done)
