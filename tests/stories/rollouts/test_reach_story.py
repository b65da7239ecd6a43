"""Routes are not opened to a subset that no canary pod is in: dyed requests meet base, and the release says why."""

from __future__ import annotations

from graylane.model.kinds import CONFIG_MAP, DESTINATION_RULE, ROLLOUT
from graylane.model.meta import dig
from graylane.model.userscripts import config_map_key, data_key
from graylane.testing.release_stage import NAMESPACE
from tests.stories.rollouts.routed import RoutedStage, destination_rule

WAITING = "graylane.dev/Waiting"
SAID = (
    "no canary pod is in subset canary of DestinationRule web, which dyed requests would be sent to; "
    "let patchPodTemplateMetadata.labels set istio.service.tag=gray"
)


def released(**overlay: str) -> RoutedStage:
    stage = RoutedStage(embedded=None, steps=({"replicas": 1, "pause": {}},), overlay=overlay).begin()
    return stage.push("v2").settle()  # type: ignore[return-value]


def state(stage: RoutedStage) -> str:
    return str(dig(stage.get(ROLLOUT), "status", "canaryStatus", "currentStepState"))


def relabel(stage: RoutedStage, **labels: str | None) -> None:
    overlay = {"patchPodTemplateMetadata": {"labels": labels}}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"spec": {"strategy": {"canary": overlay}}})
    stage.settle()


def test_a_forgotten_label_opens_no_route_and_is_named_until_it_is_set() -> None:
    stage = released(version="canary")
    assert not stage.lane()
    assert state(stage) == "StepUpgrade"
    assert stage.condition(WAITING)["message"] == SAID
    assert [event.message for event in stage.world.events if event.reason == "CanaryNotReached"] == [SAID]
    relabel(stage, **{"istio.service.tag": "gray"})
    assert stage.lane()
    assert state(stage) == "StepPaused"


def test_a_subset_of_the_users_own_is_what_counts() -> None:
    stage = RoutedStage(embedded=None, overlay={"version": "canary"}).begin()
    subsets = [*destination_rule()["subsets"], {"name": "canary", "labels": {"version": "canary"}}]
    stage.world.patch(DESTINATION_RULE, NAMESPACE, "web", {"spec": {"subsets": subsets}})
    stage.push("v2").settle()
    assert stage.lane()
    assert state(stage) == "StepPaused"


def test_at_a_label_taken_away_at_the_pause_the_canary_that_is_reached_stays() -> None:
    stage = released(**{"version": "canary", "istio.service.tag": "gray"})
    relabel(stage, **{"istio.service.tag": None})
    assert stage.condition(WAITING)["message"] == SAID
    assert stage.lane()
    assert len(stage.canaries()) == 2
    relabel(stage, **{"istio.service.tag": "gray"})
    assert stage.condition(WAITING)["reason"] == "Approval"
    assert len(stage.canaries()) == 1
    assert stage.harms == []


def test_after_an_edit_of_our_subset_it_is_put_back_and_the_release_stands_where_it_stood() -> None:
    stage = released(**{"version": "canary", "istio.service.tag": "gray"})
    subsets = [*destination_rule()["subsets"], {"name": "canary", "labels": {"version": "other"}}]
    stage.world.patch(DESTINATION_RULE, NAMESPACE, "web", {"spec": {"subsets": subsets}})
    stage.settle()
    assert stage.lane()
    assert stage.condition(WAITING)["reason"] == "Approval"
    assert stage.harms == []


def test_what_scripts_of_the_users_own_route_to_is_not_judged() -> None:
    stage = released(version="canary")
    namespace, name = config_map_key()
    source = 'table.insert(obj.data.spec.subsets, {name = "canary", labels = {version = "canary"}}) return obj.data'
    data = {data_key("DestinationRule", "networking.istio.io"): source}
    stage.world.put(CONFIG_MAP, {"metadata": {"namespace": namespace, "name": name}, "data": data})
    stage.settle()
    assert stage.lane()
    assert state(stage) == "StepPaused"
