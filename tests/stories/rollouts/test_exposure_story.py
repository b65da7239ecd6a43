"""Labels that would let plain requests reach canary pods are named before the first canary pod exists."""

from __future__ import annotations

from graylane.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from graylane.testing.release_stage import NAMESPACE
from tests.stories.rollouts.routed import RoutedStage, virtual_service

EXPOSED = "graylane.dev/CanaryExposed"


def at_rest(**overlay: str) -> RoutedStage:
    return RoutedStage(embedded=None, steps=({"replicas": 1, "pause": {}},), overlay=overlay).begin()


def told(stage: RoutedStage) -> list[str]:
    return [event.message for event in stage.world.events if event.reason == "CanaryExposed"]


def test_a_base_subset_that_selects_canary_pods_is_named_at_rest_and_only_once() -> None:
    stage = at_rest(**{"istio.service.tag": "gray"})
    said = (
        "plain requests will reach canary pods: VirtualService web routes to subset version-base of "
        "DestinationRule web, which they are in by version=base; "
        "let patchPodTemplateMetadata.labels change one of these"
    )
    assert stage.condition(EXPOSED)["message"] == said
    assert told(stage) == [said]
    stage.push("v2").settle()
    assert told(stage) == [said]


def test_a_route_to_the_service_as_a_whole_is_named() -> None:
    stage = at_rest(version="canary")
    assert stage.condition(EXPOSED) == {}
    stage.world.patch(VIRTUAL_SERVICE, NAMESPACE, "web", {"spec": virtual_service()})
    stage.settle()
    assert (
        "routes to Service web without a subset, and it selects them by app=web" in stage.condition(EXPOSED)["message"]
    )


def test_it_goes_when_labels_or_routes_are_mended_and_when_everything_is_approved() -> None:
    stage = at_rest(**{"istio.service.tag": "gray"})
    subsets = [{"name": "version-base", "labels": {"version": "base", "tier": "web"}}]
    stage.world.patch(DESTINATION_RULE, NAMESPACE, "web", {"spec": {"subsets": subsets}})
    stage.settle()
    assert stage.condition(EXPOSED) == {}
    stage = at_rest(**{"istio.service.tag": "gray"}).push("v2")
    stage.settle()
    assert stage.condition(EXPOSED)["status"] == "True"
    stage.allowed.add("v2")
    stage.approve().settle(until=lambda world: stage.condition("Progressing")["reason"] == "Finalising")
    assert stage.condition(EXPOSED) == {}


def test_a_canary_with_labels_of_its_own_is_not_exposed_and_neither_is_one_with_its_own_service() -> None:
    assert at_rest(**{"istio.service.tag": "gray", "version": "canary"}).condition(EXPOSED) == {}
    embedded = RoutedStage(overlay={}).begin().push("v2")
    assert embedded.settle().condition(EXPOSED) == {}
