"""The autoscaler's loop: looks every fifteen seconds, and at once when somebody edits what it should do.

Pure but for its memory of recent recommendations, and for the question it asks. In: HorizontalPodAutoscalers and what
the resource metrics API says of pods. Out: a new size for the target through its `/scale`, a status, events.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graylane.client import ApiClient
from graylane.cluster.workloads.autoscaling.decision import Decision, Facts, News, Scale, decide
from graylane.cluster.workloads.autoscaling.metrics import Readings
from graylane.cluster.workloads.autoscaling.pace import ABLE, Memory
from graylane.cluster.workloads.autoscaling.targets import SCALABLE, Rivals, scale_of, target_kind
from graylane.errors import ApiError
from graylane.kit import Controller, Effect, Event, Outcome, Patch, View
from graylane.model.kinds import HORIZONTAL_POD_AUTOSCALER, POD, POD_METRICS
from graylane.model.meta import Condition, Key, Obj, dig, key_of, namespace_of, set_condition, uid_of
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

NAME = "horizontal-pod-autoscaler"
INTERVAL = timedelta(seconds=15)

Ask = Callable[[str, LabelSelector], Readings | Awaitable[Readings]]
"""Namespace and selector of pods → what they use."""


def asking(client: ApiClient) -> Ask:
    """By the API's own `metrics.k8s.io`, whoever serves it."""

    async def ask(namespace: str, selector: LabelSelector) -> Readings:
        try:
            return Readings(tuple((await client.list(POD_METRICS, namespace, labels=str(selector))).items))
        except ApiError as error:
            return Readings(trouble=error.message)

    return ask


@dataclass(frozen=True, slots=True)
class _Last:
    """The last look of one autoscaler: what it was asked to do, what size it left, and when it looks again."""

    spec: Obj
    replicas: int
    next: datetime
    memory: Memory | None


@dataclass
class Autoscaler:
    """Remembers by uid: who comes again under the same name begins anew, as after a restart."""

    ask: Ask
    _looks: dict[str, _Last] = field(default_factory=dict)
    _uids: dict[Key, str] = field(default_factory=dict)
    _rivals: Rivals = field(default_factory=Rivals)

    def controller(self) -> Controller:
        return Controller(NAME, HORIZONTAL_POD_AUTOSCALER, self.reconcile, workers=2, extra_caches=(POD, *SCALABLE))

    def reconcile(self, view: View, key: Key, now: datetime) -> Outcome | Awaitable[Outcome]:
        autoscaler = view.get(HORIZONTAL_POD_AUTOSCALER, *key)
        if autoscaler is None:
            self._forget(key)
            self._rivals.forget(key)
            return Outcome()
        if self._uids.get(key) != uid_of(autoscaler):
            self._forget(key)
            self._uids[key] = uid_of(autoscaler)
        last, scale = self._looks.get(uid_of(autoscaler)), scale_of(view, autoscaler)
        if last is not None and now < last.next and _stands(last, autoscaler, scale):
            return Outcome(wake_at=last.next)
        self._rivals.note(view, autoscaler)
        pods = _pods(view, key.namespace, scale)
        facts = Facts(autoscaler, scale, pods, self._rivals.of(pods), last.memory if last else None, now)
        if not facts.measured:
            return self._decided(facts, Readings())
        assert isinstance(scale, Scale)
        answer = self.ask(key.namespace, scale.selector)
        return self._once(facts, answer) if inspect.isawaitable(answer) else self._decided(facts, answer)

    def _forget(self, key: Key) -> None:
        self._looks.pop(self._uids.pop(key, ""), None)

    async def _once(self, facts: Facts, answer: Awaitable[Readings]) -> Outcome:
        return self._decided(facts, await answer)

    def _decided(self, facts: Facts, readings: Readings) -> Outcome:
        decision = decide(facts, readings)
        kept = facts.scale.wanted if isinstance(facts.scale, Scale) else 0
        size = kept if decision.replicas is None else decision.replicas
        wake_at = facts.now + INTERVAL
        self._looks[uid_of(facts.autoscaler)] = _Last(facts.autoscaler["spec"], size, wake_at, decision.memory)
        return Outcome(tuple(_effects(facts, decision)), wake_at)


def _stands(last: _Last, autoscaler: Obj, scale: Scale | str) -> bool:
    """Nothing but time could change the last decision: it was carried out, and is still what is asked for."""
    return autoscaler["spec"] == last.spec and (isinstance(scale, str) or scale.wanted == last.replicas)


def _pods(view: View, namespace: str, scale: Scale | str) -> tuple[Obj, ...]:
    if isinstance(scale, str) or scale.selector.empty:
        return ()
    return tuple(view.list(POD, namespace, scale.selector))


def _effects(facts: Facts, decision: Decision) -> list[Effect]:
    """The size first: what is told afterwards is true by then."""
    autoscaler = facts.autoscaler
    told = [Event(HORIZONTAL_POD_AUTOSCALER, autoscaler, *_words(news)) for news in decision.news]
    return [*_resize(facts, decision), *_status(autoscaler, decision.status), *told]


def _words(news: News) -> tuple[str, str, str]:
    return news.type, news.reason, news.message


def _resize(facts: Facts, decision: Decision) -> Iterator[Effect]:
    """Only if the target still has the size that was found: somebody else's word is heard first."""
    kind, reference = target_kind(facts.autoscaler), dig(facts.autoscaler, "spec", "scaleTargetRef", default={})
    if decision.replicas is None or kind is None or not isinstance(facts.scale, Scale):
        return
    key = Key(namespace_of(facts.autoscaler), str(reference["name"]))
    reason = next((news.message for news in decision.news if news.reason == "SuccessfulRescale"), "")
    refused = Event(HORIZONTAL_POD_AUTOSCALER, facts.autoscaler, "Warning", "FailedRescale", f"{reason}; error: ")
    patch = {"metadata": {"resourceVersion": facts.scale.version}, "spec": {"replicas": decision.replicas}}
    yield Patch(kind, key, patch, subresource="scale", refused=refused, kept=_keeping(facts))


def _keeping(facts: Facts) -> Callable[[str], Patch]:
    """How a refusal to change the size is kept in the status."""
    conditions: list[Obj] = dig(facts.autoscaler, "status", "conditions", default=[])

    def keep(words: str) -> Patch:
        said = f"the HPA controller was unable to update the target scale: {words}"
        failed = set_condition(conditions, Condition(ABLE, "False", "FailedUpdateScale", said), facts.now)
        return _patch_status(facts.autoscaler, {"conditions": failed})

    return keep


def _status(autoscaler: Obj, status: Obj) -> Iterator[Effect]:
    if patch := create_merge_patch(dig(autoscaler, "status", default={}), status):
        yield _patch_status(autoscaler, patch)


def _patch_status(autoscaler: Obj, patch: Obj) -> Patch:
    return Patch(HORIZONTAL_POD_AUTOSCALER, key_of(autoscaler), {"status": patch}, subresource="status")
