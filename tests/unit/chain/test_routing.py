"""Where requests go by the rules as stored."""

from __future__ import annotations

import pytest

from chain.scene import Scene, base, open_lane, release, start_canary
from graylane.chain.matching import covers
from graylane.chain.requests import Dye, DyeHeader, Request
from graylane.chain.routing import Routed, route
from graylane.model.meta import name_of

DYE = Dye((DyeHeader("my-request-id", "canary"),))
MOCKB = Request("mockb.default.svc.cluster.local", port=8000, source_namespace="default")
EDGE = Request("*", gateway="default/sample-gateway")


def pods(routed: Routed) -> list[str]:
    return [name_of(pod) for destination in routed.destinations for pod in destination.pods]


@pytest.mark.parametrize(("request_", "app"), [(EDGE, "mocka"), (MOCKB, "mockb")])
def test_dyed_requests_reach_the_canary_and_plain_ones_the_base(request_: Request, app: str) -> None:
    scene = base()
    release(scene, app, f"rollouts-{app[-1]}")
    observed = scene.observed()
    assert pods(route(observed, request_)) == [f"{app}-base-pod"]
    assert pods(route(observed, request_.dyed(DYE))) == [f"{app}-base-x7k2p-pod"]


def test_a_canary_pod_of_a_service_gets_nothing_before_its_lane_is_open() -> None:
    scene = base()
    start_canary(scene, "mockb", "rollouts-b")
    assert pods(route(scene.observed(), MOCKB.dyed(DYE))) == ["mockb-base-pod"] * 1


def test_a_lane_without_its_subset_is_a_503_with_the_reason() -> None:
    scene = base()
    open_lane(scene, "mockb")
    scene.get("DestinationRule", "dr-mockb")["spec"]["subsets"].pop()
    (destination,) = route(scene.observed(), MOCKB.dyed(DYE)).destinations
    assert destination.problem == "503: mockb has no subset canary"


def test_a_subset_without_a_ready_pod_is_a_503_with_the_reason() -> None:
    scene = base()
    start_canary(scene, "mockb", "rollouts-b", ready=False)
    open_lane(scene, "mockb")
    (destination,) = route(scene.observed(), MOCKB.dyed(DYE)).destinations
    assert destination.problem == "503: subset canary of mockb has no ready pod"


def test_a_rule_with_an_unknown_host_says_so() -> None:
    scene = base()
    scene.get("VirtualService", "vs-mockb")["spec"]["http"][0]["route"][0]["destination"]["host"] = "nosuch"
    (destination,) = route(scene.observed(), MOCKB).destinations
    assert destination.problem == "503: host nosuch not found"


def test_without_a_virtual_service_every_ready_pod_of_the_service_serves() -> None:
    scene = base()
    start_canary(scene, "mockb", "rollouts-b")
    del scene.objects["VirtualService", "vs-mockb"]
    assert pods(route(scene.observed(), MOCKB)) == ["mockb-base-pod", "mockb-base-x7k2p-pod"]


def test_the_oldest_virtual_service_of_a_mesh_host_wins() -> None:
    scene = base()
    scene.get("VirtualService", "vs-mockb")["metadata"]["creationTimestamp"] = "2030-01-02T00:00:00Z"
    older = virtual_service(scene, "older", ["mockb"], [{"route": [{"destination": {"host": "mocka"}}]}])
    older["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
    assert pods(route(scene.observed(), MOCKB)) == ["mocka-base-pod"]


def test_at_a_gateway_rules_that_match_everything_go_last() -> None:
    scene = base()
    rule = {"match": [{"uri": {"prefix": "/b"}}], "route": [{"destination": {"host": "mockb"}}]}
    virtual_service(scene, "zz-later", ["*"], [rule])["spec"]["gateways"] = ["sample-gateway"]
    observed = scene.observed()
    below_b = Request("*", path="/b/1", gateway="default/sample-gateway")
    assert pods(route(observed, below_b)) == ["mockb-base-pod"]
    assert pods(route(observed, EDGE)) == ["mocka-base-pod"]


def test_rules_of_a_wildcard_say_nothing_about_a_host_that_has_its_own() -> None:
    scene = base()
    rule = {"match": [{"uri": {"prefix": "/b"}}], "route": [{"destination": {"host": "mockb"}}]}
    virtual_service(scene, "own", ["shop.test"], [rule])["spec"]["gateways"] = ["sample-gateway"]
    wide = [{"route": [{"destination": {"host": "mocka"}}]}]
    virtual_service(scene, "wide", ["*.default.svc.cluster.local"], wide)["metadata"]["creationTimestamp"] = (
        "1970-01-01"
    )
    observed = scene.observed()
    other, own = (Request("shop.test", path=path, gateway="default/sample-gateway") for path in ("/a", "/b"))
    assert pods(route(observed, own)) == ["mockb-base-pod"]
    assert route(observed, other).problem == "404: no rule covers it"
    assert pods(route(observed, MOCKB)) == ["mockb-base-pod"]


def test_weights_share_the_traffic() -> None:
    scene = base()
    routes = [
        {"destination": {"host": "mocka"}, "weight": 70},
        {"destination": {"host": "mockb"}, "weight": 30},
        {"destination": {"host": "nosuch"}, "weight": 0},
    ]
    scene.get("VirtualService", "vs-mockb")["spec"]["http"] = [{"route": routes}]
    found = route(scene.observed(), MOCKB).destinations
    assert [(item.host, item.percent) for item in found] == [("mocka", 70), ("mockb", 30)]


def test_no_rule_for_a_request_is_a_404() -> None:
    scene = base()
    scene.get("VirtualService", "vs-mockb")["spec"]["http"][0]["match"] = [{"method": {"exact": "POST"}}]
    assert route(scene.observed(), MOCKB).problem == "404: no rule covers it"


def virtual_service(scene: Scene, name: str, hosts: list[str], http: list[dict[str, object]]) -> dict[str, object]:
    return scene.put({"kind": "VirtualService", "metadata": {"name": name}, "spec": {"hosts": hosts, "http": http}})


MATCHES = [
    ({"headers": {"My-Request-Id": {"exact": "canary"}}}, True),
    ({"headers": {"my-request-id": {"prefix": "can"}}}, True),
    ({"headers": {"my-request-id": {"regex": "can"}}}, False),
    ({"headers": {"my-request-id": {"regex": "can.*"}}}, True),
    ({"headers": {"my-request-id": {}}}, True),
    ({"headers": {"other": {}}}, False),
    ({"withoutHeaders": {"my-request-id": {"exact": "base"}}}, True),
    ({"withoutHeaders": {"my-request-id": {"exact": "canary"}}}, False),
    ({"uri": {"prefix": "/shop"}}, True),
    ({"uri": {"exact": "/SHOP/1"}, "ignoreUriCase": True}, True),
    ({"uri": {"exact": "/shop"}}, False),
    ({"queryParams": {"user": {"exact": "7"}}}, True),
    ({"queryParams": {"user": {"exact": "8"}}}, False),
    ({"method": {"exact": "GET"}, "port": 8000}, True),
    ({"port": 9000}, False),
    ({"gateways": ["edge"]}, False),
    ({"gateways": ["mesh"]}, True),
    ({"sourceLabels": {"app": "mocka"}}, True),
    ({"sourceLabels": {"app": "mockz"}}, False),
    ({"sourceNamespace": "default"}, True),
    ({"authority": {"exact": "mockb"}}, True),
    ({"scheme": {"exact": "https"}}, False),
    ({}, True),
]


@pytest.mark.parametrize(("match", "expected"), MATCHES)
def test_a_match_covers_what_istio_says_it_covers(match: dict[str, object], expected: bool) -> None:
    request = Request("mockb", "/shop/1?user=7", 8000, source_namespace="default", source_labels={"app": "mocka"}).dyed(
        DYE
    )
    assert covers(match, request, "default") is expected


def test_a_dye_known_only_by_its_expression_satisfies_that_expression_and_no_other() -> None:
    request = Request("mockb").dyed(Dye((DyeHeader("uid", "^9", regex=True),)))
    assert covers({"headers": {"uid": {"regex": "^9"}}}, request, "default")
    assert not covers({"headers": {"uid": {"exact": "9"}}}, request, "default")
