"""What one look of an autoscaler comes to: a size, a status, and what is told.

Pure. In: `Facts`. Out: a `Decision`. Words, reasons and their order are those of Kubernetes' horizontal controller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from graylane.cluster.workloads.autoscaling import metrics
from graylane.cluster.workloads.autoscaling.metrics import Failed, Question, Readings
from graylane.cluster.workloads.autoscaling.pace import ABLE, ACTIVE, Asked, Memory, Note, Wish, follow
from graylane.cluster.workloads.autoscaling.proposal import TOLERANCE, Proposal, Tolerance
from graylane.model.meta import Condition, Obj, dig, format_time, namespace_of, set_condition
from graylane.model.quantity import amount
from graylane.model.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Scale:
    """The target's size, as its `/scale` tells it."""

    wanted: int
    selector: LabelSelector
    version: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """`scale`: or why it cannot be had. `rivals`: all autoscalers, by key, that would count some of `pods`."""

    autoscaler: Obj
    scale: Scale | str
    pods: tuple[Obj, ...]
    rivals: tuple[str, ...]
    memory: Memory | None
    now: datetime

    @property
    def least(self) -> int:
        return int(dig(self.autoscaler, "spec", "minReplicas", default=1))

    @property
    def most(self) -> int:
        return int(dig(self.autoscaler, "spec", "maxReplicas", default=0))

    @property
    def in_bounds(self) -> bool:
        """Else the bounds alone decide."""
        return isinstance(self.scale, Scale) and self.least <= self.scale.wanted <= self.most

    @property
    def measured(self) -> bool:
        """Whether what pods use makes a difference."""
        asked = dig(self.autoscaler, "spec", "metrics", default=[])
        return self.in_bounds and len(self.rivals) < 2 and any(map(metrics.needs_readings, asked))


@dataclass(frozen=True, slots=True)
class News:
    """An event."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`replicas`: the new size, None where it stays. `status` is whole."""

    status: Obj
    replicas: int | None = None
    news: tuple[News, ...] = ()
    memory: Memory | None = None


def decide(facts: Facts, readings: Readings) -> Decision:
    """The next size of the target."""
    if isinstance(facts.scale, str):
        return _no_scale(facts, facts.scale)
    first, behavior = Memory((Note(facts.now, facts.scale.wanted),)), dig(facts.autoscaler, "spec", "behavior")
    memory = (facts.memory or first).settled(facts.scale.wanted, behavior)
    look = _Look(facts, facts.scale.wanted, memory).saying(
        Condition(ABLE, "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    )
    if look.wanted == 0 and facts.least != 0:
        why = "scaling is disabled since the replica count of the target is zero"
        return look.saying(Condition(ACTIVE, "False", "ScalingDisabled", why)).rest()
    if look.wanted > facts.most:
        return look.rescale(facts.most, "Current number of replicas above Spec.MaxReplicas")
    if look.wanted < facts.least:
        return look.rescale(facts.least, "Current number of replicas below Spec.MinReplicas")
    return _by_metrics(look, readings)


@dataclass(frozen=True, slots=True)
class _Look:
    """A decision in the making."""

    facts: Facts
    wanted: int
    memory: Memory
    conditions: tuple[Condition, ...] = ()
    news: tuple[News, ...] = ()
    current_metrics: list[Obj] | None = None

    def saying(self, *conditions: Condition) -> _Look:
        return replace(self, conditions=(*self.conditions, *conditions))

    def telling(self, *news: News) -> _Look:
        return replace(self, news=(*self.news, *news))

    def rest(self) -> Decision:
        return self._decided(self.wanted)

    def rescale(self, replicas: int, reason: str) -> Decision:
        done = f"the HPA controller was able to update the target scale to {replicas}"
        look = self.saying(Condition(ABLE, "True", "SucceededRescale", done))
        look = look.telling(News("Normal", "SuccessfulRescale", f"New size: {replicas}; reason: {reason}"))
        memory = replace(look.memory, asked=Asked(self.facts.now, self.wanted, replicas))
        decision = replace(look, memory=memory)._decided(replicas)
        status = decision.status | {"lastScaleTime": format_time(self.facts.now)}
        return replace(decision, status=status, replicas=replicas)

    def fail(self, condition: Condition, *news: News) -> Decision:
        """As before, but for what is said."""
        desired = dig(self.facts.autoscaler, "status", "desiredReplicas", default=0)
        return self.saying(condition).telling(*news)._decided(desired)

    def _decided(self, desired: int) -> Decision:
        status: Obj = {"currentReplicas": self.wanted, "desiredReplicas": desired}
        if self.current_metrics is not None:
            status["currentMetrics"] = self.current_metrics
        if (last := dig(self.facts.autoscaler, "status", "lastScaleTime")) is not None:
            status["lastScaleTime"] = last
        status["conditions"] = _conditions(self.facts, self.conditions)
        return Decision(status, None, self.news, self.memory)


def _conditions(facts: Facts, said: tuple[Condition, ...]) -> list[Obj]:
    """The last word of each type counts; a type that nothing is said of stays."""
    found: list[Obj] = dig(facts.autoscaler, "status", "conditions", default=[])
    for each in {each.type: each for each in said}.values():
        found = set_condition(found, each, facts.now)
    return found


def _no_scale(facts: Facts, why: str) -> Decision:
    message = f"the HPA controller was unable to get the target's current scale: {why}"
    told = _conditions(facts, (Condition(ABLE, "False", "FailedGetScale", message),))
    old: Obj = dig(facts.autoscaler, "status", default={})
    status = {"currentReplicas": 0, "desiredReplicas": 0} | old | {"conditions": told}
    return Decision(status, None, (News("Warning", "FailedGetScale", why),), facts.memory)


def _by_metrics(look: _Look, readings: Readings) -> Decision:
    facts = look.facts
    if (unclear := _unclear(facts)) is not None:
        return look.fail(*unclear)
    asked: list[Obj] = dig(facts.autoscaler, "spec", "metrics", default=[])
    question = Question(
        namespace_of(facts.autoscaler), facts.pods, readings, look.wanted, _tolerance(facts.autoscaler), facts.now
    )
    answers = [metrics.answer(metric, question) for metric in asked]
    found = [each for each in answers if isinstance(each, Proposal)]
    failed = [each for each in answers if isinstance(each, Failed)]
    shown = [each.current if isinstance(each, Proposal) else {"type": ""} for each in answers]
    if not asked:
        return look.rest()
    look = replace(look, current_metrics=shown).telling(*map(_missed, failed))
    best = max(found, key=lambda proposal: proposal.replicas, default=None)
    if best is None or (failed and best.replicas < look.wanted):
        return look.fail(_inactive(failed[0]), _summary(failed, len(asked)))
    said = f"the HPA was able to successfully calculate a replica count from {best.metric}"
    return _paced(look.saying(Condition(ACTIVE, "True", "ValidMetricFound", said)), best)


def _paced(look: _Look, best: Proposal) -> Decision:
    facts = look.facts
    wish = Wish(best.replicas, look.wanted, facts.least, facts.most, facts.now)
    verdict = follow(wish, dig(facts.autoscaler, "spec", "behavior"), look.memory)
    look = replace(look, memory=verdict.memory).saying(*verdict.conditions)
    if verdict.replicas == look.wanted:
        return look.rest()
    return look.rescale(verdict.replicas, _why(best, look.wanted))


def _why(best: Proposal, wanted: int) -> str:
    """Nothing, where it is an earlier recommendation that is followed."""
    if best.replicas == wanted:
        return ""
    return f"{best.metric} above target" if best.replicas > wanted else "All metrics below target"


def _unclear(facts: Facts) -> tuple[Condition, News, News] | None:
    """Why it cannot be said whose pods these are."""
    assert isinstance(facts.scale, Scale)
    if facts.scale.selector.empty:
        why, said = "selector is required", "the HPA target's scale is missing a selector"
        reasons = ("InvalidSelector", "SelectorRequired")
    elif len(facts.rivals) > 1:
        keys = " ".join(facts.rivals)
        why = said = f"pods by selector {facts.scale.selector} are controlled by multiple HPAs: [{keys}]"
        reasons = ("AmbiguousSelector", "AmbiguousSelector")
    else:
        return None
    told = (News("Warning", reasons[1], why), News("Warning", "FailedComputeMetricsReplicas", why))
    return (Condition(ACTIVE, "False", reasons[0], said), *told)


def _missed(failed: Failed) -> News:
    return News("Warning", failed.reason, failed.message)


def _inactive(failed: Failed) -> Condition:
    said = f"the HPA was unable to compute the replica count: {failed.message}"
    return Condition(ACTIVE, "False", failed.reason, said)


def _summary(failed: list[Failed], of: int) -> News:
    said = f"invalid metrics ({len(failed)} invalid out of {of}), first error is: {failed[0].summary}"
    return News("Warning", "FailedComputeMetricsReplicas", said)


def _tolerance(autoscaler: Obj) -> Tolerance:
    up, down = (dig(autoscaler, "spec", "behavior", way, "tolerance") for way in ("scaleUp", "scaleDown"))
    return Tolerance(*(TOLERANCE if each is None else float(amount(each)) for each in (up, down)))
