"""Nothing that does not move is silent: every wait of a Rollout and of its routes has a reason, an object, a since and
an end, in its condition, in an event where somebody has to act, and in `graylane status`.

The stories lead through all that `waiting.py` can say; each is looked at whenever a controller looks, also in passing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from graylane.chain.observed import observed
from graylane.chain.releases import release
from graylane.kit.effects import Effect, Event
from graylane.model.kinds import POD, TRAFFIC_ROUTING, VIRTUAL_SERVICE
from graylane.model.meta import Obj, find_condition, name_of
from graylane.rollouts import reconcile, waiting
from graylane.rollouts import status as wire
from graylane.rollouts.facts import Facts
from graylane.rollouts.release import Stage
from graylane.rollouts.waiting import Wait
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.releases import stand_ins
from graylane.trafficrouting.confirm import Answer

from . import test_argo_health_story as argo
from . import test_embedded_routes_story as embedded
from . import test_shared_routes_story as shared
from .routed import RoutedStage


def timed() -> None:
    ReleaseStage(steps=({"replicas": 1, "pause": {"duration": 60}},)).begin().push("v2").settle()


def impossible() -> None:
    overlay = {"patchPodTemplateMetadata": {"labels": {"app": "other"}}}
    ReleaseStage().begin().edit({"strategy": {"canary": overlay}}).settle().push("v2").settle()


def too_few_stable_pods() -> None:
    """Admission and our controller were down, so the new version has pods already; the stable one loses its own."""
    stage = RoutedStage(admission=False).begin().push("v2")
    workloads, old = tuple(stand_ins()[:2]), stage.world.list(POD)
    stage.world.run(workloads)
    for pod in old:
        stage.world.delete(POD, NAMESPACE, name_of(pod))
    stage.world.run(workloads)
    stage.settle()


def lagging(refused: bool) -> None:
    stage = RoutedStage(embedded=None).begin()
    (stage.mesh.refuses if refused else stage.mesh.holds_back).add("web")
    stage.push("v2").settle(seconds=10)


def taken_back() -> None:
    embedded.paused().abort().settle()


def without_routes() -> None:
    stage = RoutedStage(embedded=None).begin().push("v2").settle()
    stage.world.delete(VIRTUAL_SERVICE, NAMESPACE, "web")
    stage.settle()


def unreached() -> None:
    RoutedStage(embedded=None, overlay={"version": "canary"}).begin().push("v2").settle()


STORIES: tuple[Callable[[], object], ...] = (
    *(story for story, _, _ in argo.STORIES.values()),
    shared.test_alone_it_waits_and_says_for_what,
    embedded.test_row_98_in_the_end_the_canary_service_is_gone_and_the_selector_is_the_users,
    embedded.test_a_service_that_is_missing_or_lost_is_named_and_pinned_again,
    timed,
    impossible,
    too_few_stable_pods,
    taken_back,
    without_routes,
    unreached,
    partial(lagging, True),
    partial(lagging, False),
)
ENDS = {  # by reason: the object, and what ends the wait
    "WorkloadNotFound": (r"Deployment shop/web", "create it or correct its name"),
    "CanaryImpossible": (r"Deployment shop/web", "remove the label from the patch"),
    "ServicesNotReady": (r"Service shop/web", "create it or correct"),
    "StableNotSufficient": (r"Service shop/web", r"once that can bear all requests: \d+ of \d+ pods"),
    "ServiceNotFreed": (r"Service shop/web", "is being freed .* before Deployment shop/web goes on"),
    "CanaryNotReady": (r"Deployment .*shop/web", r"\d+ of \d+ pods ready|is being created"),
    "CanaryNotReached": (r"DestinationRule web", "let patchPodTemplateMetadata.labels set istio.service.tag=gray"),
    "CanaryNotListed": (r"Service shop/\S+ of TrafficRouting shop/", r"lists \d+ of \d+ canary pods"),
    "TrafficRoutingNotReady": (r"TrafficRouting shop/web", "create it or correct"),
    "RoutesNotConfirmed": (
        r"TrafficRouting shop/web",
        "has not taken up the request|written|on its way|proxies|is Progressing",
    ),
    "RoutesNotRestored": (r"TrafficRouting shop/web", "restores its routes"),
    "RoutesShared": (
        r"TrafficRouting shop/web .* Rollout other",
        "until that ends.*graylane approve other -n shop, or",
    ),
    "CanaryNotGone": (r"Deployment shop/web-", "is being deleted"),
    "RoutesNotGone": (r"TrafficRouting shop/web", "is being deleted"),
    "Approval": (r"web -n shop", "graylane approve web -n shop, or graylane abort"),
    "Failed": (r"Deployment shop/web-", "mend it, or graylane abort web -n shop"),
    "Duration": (r"", r"until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "Resume": (r"spec.strategy.paused", "graylane resume web -n shop"),
    "StableNotHeld": (r"Deployment shop/web", "is being paused"),
    "StableNotUpdated": (r"Deployment shop/web", r"\d+ of \d+ pods updated"),
    "StableNotRestored": (r"Deployment shop/web", r"\d+ of \d+ pods of its stable version"),
}
AT_REST = {Stage.HEALTHY, Stage.DISABLED}


@dataclass
class Watched:
    """Each wait once, with the facts it was met on; each status of a TrafficRouting."""

    waits: dict[tuple[Stage, str, str], tuple[Facts, Wait]] = field(default_factory=dict)
    silent: set[Stage] = field(default_factory=set)
    routings: list[Obj] = field(default_factory=list)

    def look(self, facts: Facts, wait: Wait | None) -> None:
        stage = facts.release.stage
        if wait is None:
            self.silent.add(stage)
        else:
            self.waits.setdefault((stage, wait.reason, re.sub(r"\w+-\w+", "", wait.text)), (facts, wait))


@pytest.fixture(scope="module")
def watched() -> Watched:
    found, patch = Watched(), pytest.MonkeyPatch()
    say, watch = waiting.waits_for, ReleaseStage._watch

    def waits_for(facts: Facts) -> Wait | None:
        wait = say(facts)
        found.look(facts, wait)
        return wait

    def look(stage: ReleaseStage, effect: Effect) -> None:
        watch(stage, effect)
        found.routings += [item for item in stage.world.list(TRAFFIC_ROUTING) if "conditions" in item.get("status", {})]

    with patch.context() as patched:
        patched.setattr(reconcile, "waits_for", waits_for)
        patched.setattr(ReleaseStage, "_watch", look)
        for story in STORIES:
            story()
    return found


def test_the_stories_meet_every_wait_that_there_is(watched: Watched) -> None:
    said = set(re.findall(r'Wait\(\s*"(\w+)"', inspect.getsource(waiting)))
    assert said == ENDS.keys()
    assert {reason for _, reason, _ in watched.waits} == said


def test_only_what_rests_is_silent(watched: Watched) -> None:
    assert watched.silent <= AT_REST


def test_every_wait_names_an_object_and_what_ends_it(watched: Watched) -> None:
    for facts, wait in watched.waits.values():
        named, ends = ENDS[wait.reason]
        assert re.search(named, wait.text), (facts.release.stage, wait)
        assert re.search(ends, wait.text), (facts.release.stage, wait)


def test_every_wait_is_a_condition_with_its_reason_and_its_time(watched: Watched) -> None:
    for facts, wait in watched.waits.values():
        entry = find_condition(wire.write(facts, wait)["conditions"], wire.WAITING) or {}
        assert (entry["status"], entry["reason"], entry["message"]) == ("True", wait.reason, wait.text)
        assert entry["lastTransitionTime"]
        assert entry["lastUpdateTime"]


def test_every_wait_is_in_the_view_of_the_chain_with_its_time(watched: Watched) -> None:
    for facts, wait in watched.waits.values():
        if facts.release.stage in AT_REST:
            continue
        told = facts.obj | {"status": wire.write(facts, wait)}
        shown = release(observed({}), told)
        assert shown.waits_for, (facts.release.stage, wait)
        assert shown.since is not None, (facts.release.stage, wait)
        in_words = {"Approval": "approval", "Duration": "its pause of 60 s to pass, until", "Resume": "resume"}
        said = in_words.get(wait.reason) or wait.text.partition("; mend it")[0]
        assert said in shown.waits_for, (facts.release.stage, wait)


def test_a_wait_that_somebody_has_to_end_is_told_by_an_event_too(watched: Watched) -> None:
    for facts, wait in watched.waits.values():
        unsaid = {**facts.obj.get("status", {}), "conditions": []}
        effects = list(reconcile._trouble(replace(facts, obj=facts.obj | {"status": unsaid}), wait))
        if wait.trouble or wait.others:
            (event,) = effects
            assert isinstance(event, Event)
            assert (event.reason, event.message) == (wait.reason, wait.text)
            assert event.type == ("Warning" if wait.trouble else "Normal")
        else:
            assert effects == []
    reasons = {event.reason for event in argo.held().world.events}
    assert reasons >= {"StepPaused", "Paused"}, "an approval and a resume are asked for by the events of their step"


def test_routes_that_are_not_confirmed_say_why_of_which_object_and_since_when(watched: Watched) -> None:
    reasons = set()
    for item in watched.routings:
        for kind in ("Accepted", "RoutesConfirmed"):
            entry = find_condition(item["status"]["conditions"], kind)
            if entry is None or entry["status"] == "True":
                continue
            reasons.add(entry["reason"])
            assert re.search(r"(VirtualService|DestinationRule|TrafficRouting) \S+", entry["message"]), entry
            assert entry["lastTransitionTime"]
    assert reasons >= {"Writing", str(Answer.LAGS), "NotAccepted"}
