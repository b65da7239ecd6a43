"""Routes written into the Rollout itself: weights grow step by step, and everything is given back in the end."""

from __future__ import annotations

from contextlib import suppress

import pytest

from graylane.errors import Forbidden
from graylane.kit.effects import Effect, Patch
from graylane.model.kinds import CRD, DEPLOYMENT, ROLLOUT, SERVICE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, dig, name_of, owner_refs
from graylane.model.patches import json_patch, merge_patch
from graylane.model.rollout import ABORT
from graylane.testing.release_stage import NAMESPACE, deployment_spec
from graylane.testing.releases import BROKEN
from graylane.trafficrouting.providers.ingress import INGRESS
from graylane.webhooks.deployments import mutate_deployment
from tests.stories.rollouts.routed import ISTIO, LANE, RoutedStage, virtual_service
from tests.stories.trafficrouting.test_gateway_story import HTTP_ROUTE, crd

CANARY_HASH = ("canaryStatus", "podTemplateHash")
STABLE_HASH = ("canaryStatus", "stableRevision")


def paused(**changes: object) -> RoutedStage:
    stage = RoutedStage(**changes).begin().push("v2")  # type: ignore[arg-type]
    stage.settle()
    return stage


def is_as_before(stage: RoutedStage) -> None:
    """Nothing of ours is left, and one more look changes nothing."""
    assert stage.selector() == {"app": "web"}
    assert (stage.get(VIRTUAL_SERVICE) or {})["spec"] == virtual_service()
    assert stage.get(SERVICE, "web-canary") is None
    assert stage.get(TRAFFIC_ROUTING, "web-routes") is None
    assert dig(stage.get(SERVICE), "metadata", "annotations", default={}) == {}
    assert stage.canaries() == []
    assert stage.harms == []
    writes = stage.world.writes
    stage.settle()
    assert stage.world.writes == writes


def test_row_97_a_step_with_a_weight_gets_a_canary_service_by_hash_and_the_routes_are_split() -> None:
    stage = paused()
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"
    assert stage.selector("web-canary") == {"app": "web", "pod-template-hash": stage.status(*CANARY_HASH)}
    assert stage.selector() == {"app": "web", "pod-template-hash": stage.status(*STABLE_HASH)}
    assert stage.shares() == {"web": 80, "web-canary": 20}
    service = stage.get(SERVICE, "web-canary") or {}
    assert [(ref["kind"], ref["name"]) for ref in owner_refs(service)] == [("Rollout", "web")]
    assert stage.harms == []


def test_a_later_step_may_have_a_smaller_share() -> None:
    """As v1beta1 allows: more pods, fewer requests."""
    stage = paused(replicas=3, steps=({"replicas": 1, "weight": 50}, {"replicas": 2, "weight": 20}))
    assert stage.shares() == {"web": 50, "web-canary": 50}
    stage.approve().settle()
    assert stage.shares() == {"web": 80, "web-canary": 20}
    stage.allowed.add("v2")
    stage.approve().settle()
    is_as_before(stage)


def test_row_98_in_the_end_the_canary_service_is_gone_and_the_selector_is_the_users() -> None:
    stage = paused()
    stage.approve().settle()
    assert stage.shares() == {"web": 50, "web-canary": 50}
    assert dig(stage.canaries()[0], "spec", "replicas") == 2
    stage.allowed.add("v2")
    stage.approve().settle()
    assert stage.row() == "Healthy 2 Completed | canary none | lane off | stable v2"
    is_as_before(stage)


def test_row_99_an_ingress_gets_a_second_one_with_the_canarys_weight() -> None:
    stage = RoutedStage(
        steps=({"replicas": 1, "weight": 10, "pause": {}},),
        embedded={"service": "web", "ingress": {"classType": "nginx", "name": "web"}},
    )
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rules = [{"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    stage.put(INGRESS, "web", {"rules": rules})
    stage.begin().push("v2").settle(seconds=3)
    canary = stage.get(INGRESS, "web-canary") or {}
    assert dig(canary, "spec", "rules", 0, "http", "paths", 0, "backend", "service", "name") == "web-canary"
    annotations = dig(canary, "metadata", "annotations")
    assert annotations["nginx.ingress.kubernetes.io/canary"] == "true"
    assert annotations["nginx.ingress.kubernetes.io/canary-weight"] == "10"
    stage.allowed.add("v2")
    stage.approve().settle(seconds=9)
    assert stage.get(INGRESS, "web-canary") is None
    is_as_before(stage)


def test_row_100_an_http_route_is_split_by_weight_and_gets_its_own_weights_back() -> None:
    stage = RoutedStage(
        steps=({"replicas": 1, "weight": 30, "pause": {}},),
        embedded={"service": "web", "gateway": {"httpRouteName": "web"}},
    )
    stage.world.put(CRD, crd("v1"))
    own = {"rules": [{"backendRefs": [{"kind": "Service", "name": "web", "port": 80, "weight": 1}]}]}
    stage.put(HTTP_ROUTE, "web", own)
    stage.begin().push("v2").settle(seconds=3)
    backends = dig(stage.get(HTTP_ROUTE), "spec", "rules", 0, "backendRefs")
    assert [(item["name"], item["weight"]) for item in backends] == [("web", 70), ("web-canary", 30)]
    stage.allowed.add("v2")
    stage.approve().settle(seconds=9)
    assert (stage.get(HTTP_ROUTE) or {})["spec"] == own
    is_as_before(stage)


def test_the_weight_grows_only_when_the_pods_of_the_step_are_there() -> None:
    stage = RoutedStage(steps=({"replicas": 1, "weight": 20, "pause": {}}, {"replicas": 3, "weight": 90})).begin()
    stage.push("v2").settle()
    stage.approve().settle(until=lambda world: dig(stage.canaries()[0], "spec", "replicas") == 3)
    assert stage.shares() == {"web": 80, "web-canary": 20}
    stage.settle()
    assert stage.shares() == {"web": 10, "web-canary": 90}


def test_a_step_is_met_only_when_the_proxies_have_its_weight() -> None:
    stage = paused()
    stage.mesh.holds_back = {"web"}
    stage.approve().settle(seconds=3)
    assert stage.shares() == {"web": 50, "web-canary": 50}
    assert stage.status("canaryStatus", "currentStepState") == "StepTrafficRouting"
    assert "TrafficRouting shop/web-routes" in stage.status("message")
    stage.mesh.holds_back = set()
    stage.settle()
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"


def test_a_jump_back_lowers_the_weight_at_once() -> None:
    stage = paused()
    stage.approve().settle()
    stage.status_patch({"nextStepIndex": 1}).settle()
    assert stage.shares() == {"web": 80, "web-canary": 20}
    assert stage.row() == "Progressing 1 StepPaused | canary 2×v2 | lane on | stable v1 paused"


@pytest.mark.parametrize("way", ["template", "abort", "delete", "disable"])
def test_going_back_takes_routes_then_services_then_pods(way: str) -> None:
    stage = paused()
    match way:
        case "template":
            stage.push("v1")
        case "abort":
            stage.abort()
        case "delete":
            stage.delete_rollout()
        case _:
            stage.edit({"disabled": True})
    stage.settle()
    assert stage.row().endswith("canary none | lane off | stable v1" + (" paused" if way[0] == "d" else ""))
    is_as_before(stage)


def test_a_newer_version_first_gets_the_first_steps_weight_and_then_takes_the_service_over() -> None:
    stage = paused()
    stage.approve().settle()
    stage.push("v3").settle()
    assert stage.shares() == {"web": 80, "web-canary": 20}
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    assert stage.selector("web-canary")["pod-template-hash"] == stage.status(*CANARY_HASH)
    stage.abort().settle()
    is_as_before(stage)


def test_an_abort_in_the_middle_of_the_promotion() -> None:
    stage = paused()
    stage.approve().settle()
    stage.allowed.add("v2")
    stage.approve().settle(until=lambda world: "v1+v2" in stage.row())
    assert stage.selector() == {"app": "web"}, "the new stable pods have another hash"
    stage.abort().settle()
    assert stage.row() == "Healthy 2 Completed | canary none | lane off | stable v1"
    is_as_before(stage)


def test_matches_and_header_modifiers_of_a_step() -> None:
    modifier = {"set": [{"name": "x-version", "value": "gray"}]}
    stage = paused(steps=({"replicas": 1, "pause": {}, "requestHeaderModifier": modifier, **LANE},))
    assert stage.rules()[0] == {
        "match": [{"headers": {"my-request-id": {"exact": "canary"}}}],
        "route": [{"destination": {"host": "web-canary"}}],
        "headers": {"request": {"set": {"x-version": "gray"}}},
    }
    stage.abort().settle()
    is_as_before(stage)


def test_row_96_a_step_may_match_path_and_header_together() -> None:
    headers = LANE["matches"][0]["headers"]
    match = {"path": {"type": "PathPrefix", "value": "/p"}, "headers": headers}
    stage = paused(steps=({"replicas": 1, "pause": {}, "matches": [match]},))
    assert stage.rules()[0]["match"] == [{"uri": {"prefix": "/p"}, "headers": {"my-request-id": {"exact": "canary"}}}]


def test_a_step_without_a_share_has_pods_and_no_request_reaches_them() -> None:
    steps = ({"replicas": 1, "pause": {}}, {"replicas": 2, "weight": 50, "pause": {}})
    stage = paused(steps=steps)
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane off | stable v1 paused"
    stage.approve().settle()
    assert stage.shares() == {"web": 50, "web-canary": 50}
    stage.status_patch({"nextStepIndex": 1}).settle()
    assert not stage.lane()
    assert stage.harms == []


def test_without_a_canary_service_the_subset_tells_the_canary_apart() -> None:
    stage = RoutedStage(embedded={"service": "web", "customNetworkRefs": ISTIO}).begin()
    stage.edit({"strategy": {"canary": {"disableGenerateCanaryService": True}}}).settle()
    stage.harms.clear()
    stage.embedded = None  # the subset, not the Service, keeps plain requests apart from now on
    stage.push("v2").settle()
    assert stage.shares() == {"web": 80, "web/canary": 20}
    assert stage.get(SERVICE, "web-canary") is None
    assert stage.selector() == {"app": "web"}


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (SERVICE, "web-canary", "Service web-canary is somebody else's"),
        (TRAFFIC_ROUTING, "web-routes", "TrafficRouting shop/web-routes is somebody else's"),
    ],
)
def test_a_name_that_is_taken_stops_the_release_aloud(kind: Kind, name: str, words: str) -> None:
    stage = RoutedStage().begin()
    theirs: Obj = {"objectRef": [{"service": "web"}], "strategy": {}} if kind is TRAFFIC_ROUTING else {}
    stage.put(kind, name, theirs)
    stage.push("v2").settle()
    assert words in stage.status("message")
    assert not stage.lane()
    stage.world.delete(kind, NAMESPACE, name)
    stage.settle(seconds=1)
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"
    stage.abort().settle()
    is_as_before(stage)


def test_a_service_that_is_missing_or_lost_is_named_and_pinned_again() -> None:
    stage = paused()
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    stage.world.delete(SERVICE, NAMESPACE, "web")
    stage.settle()
    assert "Service shop/web not found" in stage.status("message")
    stage.put(SERVICE, "web", spec)
    stage.settle()
    assert "pod-template-hash" in stage.selector()
    stage.world.delete(SERVICE, NAMESPACE, "web-canary")
    stage.settle()
    assert stage.selector("web-canary")["pod-template-hash"] == stage.status(*CANARY_HASH)
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"


def test_a_service_that_is_replaced_again_and_again_costs_one_write_each_and_nothing_runs_past_a_pin() -> None:
    stage = paused()
    watch, written = stage.world.after_write, list[Effect]()

    def note(effect: Effect) -> None:
        if isinstance(effect, Patch) and effect.kind == SERVICE:
            written.append(effect)

    stage.world.after_write = note
    for count in range(1, 4):
        stage.put(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
        stage.settle()
        assert len(written) == count
        assert "pod-template-hash" in stage.selector()
    stage.world.after_write = watch

    def refuse(effect: Effect) -> None:
        if isinstance(effect, Patch) and effect.kind == SERVICE:
            raise Forbidden("services is forbidden")

    stage.harms.clear()
    stage.approve().settle()
    stage.allowed.add("v2")
    stage.world.before_write = refuse
    stage.approve()
    for _ in range(9):
        outcome = stage.actors[0].reconcile(stage.world.view(), Key(NAMESPACE, "web"), stage.world.now())
        with suppress(Forbidden):
            stage.world.apply(outcome)
    assert "Service shop/web is being freed of its pin" in stage.status("message")
    stage.world.before_write = None
    stage.settle()
    is_as_before(stage)


def test_a_canary_service_may_be_given_up_and_asked_for_in_the_middle() -> None:
    stage = RoutedStage(embedded={"service": "web", "customNetworkRefs": ISTIO}).begin().push("v2")
    stage.settle()
    stage.edit({"strategy": {"canary": {"disableGenerateCanaryService": True}}}).settle()
    assert stage.shares() == {"web": 80, "web/canary": 20}
    assert (stage.get(SERVICE, "web-canary"), stage.selector()) == (None, {"app": "web"})
    stage.edit({"strategy": {"canary": {"disableGenerateCanaryService": False}}}).settle()
    assert stage.shares() == {"web": 80, "web-canary": 20}
    assert "pod-template-hash" in stage.selector()
    assert not [harm for harm in stage.harms if "leads" in harm], "no request of ours met nobody"
    stage.harms.clear()
    stage.abort().settle()
    is_as_before(stage)


def test_routes_taken_out_of_the_spec_in_the_middle_leave_nothing_behind() -> None:
    """Admission refuses that during a release; it may have been down."""
    stage = paused()
    stage.edit({"strategy": {"canary": {"trafficRoutings": None}}}).settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane off | stable v1 paused"
    stage.abort().settle()
    assert not [harm for harm in stage.harms if "leads" in harm]
    stage.harms.clear()  # without routes, canary pods are simply more pods of the Service
    is_as_before(stage)


def test_a_service_that_lists_pods_of_others_is_not_pinned() -> None:
    """OpenKruise would cut them off."""
    stage = RoutedStage().begin()
    stage.put(DEPLOYMENT, "batch", deployment_spec("v1", 1))
    stage.settle()
    stage.push("v2").settle()
    assert "Service shop/web also lists pod batch-" in stage.status("message")
    assert (stage.selector(), stage.canaries()) == ({"app": "web"}, [])
    stage.world.delete(DEPLOYMENT, NAMESPACE, "batch")
    stage.settle()
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"


def test_two_rollouts_never_pin_one_service() -> None:
    stage = RoutedStage().begin()
    nowhere = {"objectRef": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nowhere"}}}
    stage.put(ROLLOUT, "other", stage.manifest()["spec"] | nowhere)
    stage.world.patch(SERVICE, NAMESPACE, "web", {"metadata": {"annotations": {"graylane.dev/pinned-by": "other"}}})
    stage.push("v2").settle()
    assert "Service shop/web is pinned for Rollout other; its release must end first" in stage.status("message")
    stage.world.patch(ROLLOUT, NAMESPACE, "other", {"metadata": {"finalizers": []}})
    stage.world.delete(ROLLOUT, NAMESPACE, "other")
    stage.settle()
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"


def test_a_canary_that_never_starts_gets_no_request() -> None:
    stage = RoutedStage().begin().push(BROKEN)
    stage.settle()
    assert not stage.lane()
    stage.abort().settle()
    is_as_before(stage)


def test_a_rollout_removed_by_force_gives_the_service_back() -> None:
    stage = paused()
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"metadata": {"finalizers": []}})
    stage.world.delete(ROLLOUT, NAMESPACE, "web")
    for _ in range(4):  # the key of an object that is gone is looked at when what it left changes
        stage.world.apply(stage.actors[0].reconcile(stage.world.view(), Key(NAMESPACE, "web"), stage.world.now()))
        stage.settle()
    assert stage.selector() == {"app": "web"}
    assert [name_of(item) for item in stage.canaries()] == []
    assert not stage.lane()


@pytest.mark.parametrize("first", ["web", "api"])
def test_two_rollouts_on_one_virtual_service_end_in_either_order(first: str) -> None:
    stage = RoutedStage(2, ({"replicas": 1, "weight": 20, "pause": {}},)).begin()
    both = {"hosts": ["web"], "http": [rule("web"), rule("api")]}
    stage.put(VIRTUAL_SERVICE, "web", both)
    add_neighbour(stage, "api")
    stage.push("v2").settle()
    release(stage, "api", "v2")
    assert weights(stage) == [{"web": 80, "web-canary": 20}, {"api": 80, "api-canary": 20}]
    second = {"web": "api", "api": "web"}[first]
    for name in (first, second):
        revision = dig(stage.get(ROLLOUT, name), "status", "canaryStatus", "canaryRevision")
        stage.world.patch(ROLLOUT, NAMESPACE, name, {"metadata": {"annotations": {ABORT: revision}}})
        stage.settle()
        assert dig(stage.get(ROLLOUT, name), "status", "phase") == "Healthy", "it waits for nobody else"
        if name == first:
            left = {"web": {"web": 100}, "api": {"api": 100}} | {second: {second: 80, f"{second}-canary": 20}}
            assert weights(stage) == [left["web"], left["api"]]
    assert (stage.get(VIRTUAL_SERVICE) or {})["spec"] == both
    assert (stage.selector(), stage.selector("api")) == ({"app": "web"}, {"app": "api"})


def rule(service: str) -> Obj:
    match = [{"uri": {"prefix": f"/{service}"}}]
    return {"match": match, "route": [{"destination": {"host": service}}]}


def weights(stage: RoutedStage) -> list[dict[str, int]]:
    return [{route["destination"]["host"]: route.get("weight", 100) for route in r["route"]} for r in stage.rules()]


def add_neighbour(stage: RoutedStage, name: str) -> None:
    """Another service with a Rollout of its own that routes through the same VirtualService."""
    stage.put(SERVICE, name, {"selector": {"app": name}, "ports": [{"port": 80}]})
    spec = deployment_spec("v1", 2)
    spec |= {"selector": {"matchLabels": {"app": name}}}
    spec["template"]["metadata"]["labels"] = {"app": name}
    stage.put(DEPLOYMENT, name, spec)
    rollout = stage.manifest()["spec"]
    rollout["objectRef"] = {"workloadRef": rollout["objectRef"]["workloadRef"] | {"name": name}}
    canary = rollout["strategy"]["canary"] | {"trafficRoutings": [{"service": name, "customNetworkRefs": ISTIO[:1]}]}
    stage.put(ROLLOUT, name, rollout | {"strategy": {"canary": canary}})
    stage.settle()


def release(stage: RoutedStage, name: str, version: str) -> None:
    old = stage.get(DEPLOYMENT, name) or {}
    new = merge_patch(old, {"spec": {"template": {"spec": {"containers": [{"name": "default", "image": version}]}}}})
    request = {"operation": "UPDATE", "namespace": NAMESPACE, "object": new, "oldObject": old}
    stage.world.put(DEPLOYMENT, json_patch(new, list(mutate_deployment(request, stage.world.view()).patch)))
    stage.settle()
