"""Where Istio's own Gateway API controller was found to say or make something else: what it does, in our words."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.mesh.read import AGE
from graylane.model.kinds import GATEWAY, GRPC_ROUTE, HTTP_ROUTE, KUBE_GATEWAY, VIRTUAL_SERVICE
from graylane.model.meta import Obj, annotations_of, dig

from .test_statuses import LISTENER, calls, gateway, of_listener, of_route, route, settle, told, world

__all__ = ["world"]

FOUND, LOST = {"name": "b", "port": 8000}, {"name": "none", "port": 80}
ODD, ELSEWHERE = {"kind": "Foo", "name": "b"}, {"name": "b", "namespace": "far", "port": 8000}


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([[LOST, ODD]], "InvalidKind"),
        ([[ODD, LOST]], "BackendNotFound"),
        ([[LOST], [ELSEWHERE], [FOUND]], "RefNotPermitted"),
        ([[FOUND, {**LOST, "weight": 0}]], "ResolvedRefs"),
        ([[{**ODD, "namespace": "far"}]], "RefNotPermitted"),
    ],
)
def test_of_several_backends_that_cannot_be_had_the_last_is_told(world: Any, rules: Any, reason: str) -> None:
    world.put(HTTP_ROUTE, route(rules=[{"backendRefs": refs} for refs in rules]))
    settle(world)
    assert of_route(world, "ResolvedRefs")[1] == reason


@pytest.mark.parametrize(
    ("listeners", "reason"),
    [
        ([{"hostname": "a.x", "allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}], "NoMatchingListenerHostname"),
        ([{"hostname": "a.x"}, {"allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}], "NotAllowedByListeners"),
    ],
)
def test_a_listener_for_other_hosts_says_so_before_it_says_whom_it_takes(
    world: Any, listeners: Any, reason: str
) -> None:
    named = [{"name": f"l{number}", "port": 80, "protocol": "HTTP", **each} for number, each in enumerate(listeners)]
    world.put(KUBE_GATEWAY, gateway(*named))
    world.put(HTTP_ROUTE, route(hostnames=["b.x"]))
    settle(world)
    assert of_route(world, "Accepted") == ("False", reason)


def test_a_parent_in_the_mesh_that_is_not_there_asks_for_no_grant(world: Any) -> None:
    ref = {"group": "", "kind": "Service", "name": "none"}
    world.put(HTTP_ROUTE, route(parentRefs=[ref], rules=[{"backendRefs": [{**ELSEWHERE, "weight": 1}]}]))
    settle(world)
    assert of_route(world, "ResolvedRefs")[1] == "BackendNotFound"


def test_headers_of_a_rule_are_changed_where_its_backends_cannot_be_had(world: Any) -> None:
    edit = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-a", "value": "1"}]}}
    world.put(HTTP_ROUTE, route(rules=[{"filters": [edit], "backendRefs": [LOST]}]))
    settle(world)
    rule = dig(world.list(VIRTUAL_SERVICE)[0], "spec", "http")[0]
    assert (rule["headers"], rule["directResponse"]) == ({"response": {"set": {"x-a": "1"}}}, {"status": 500})


def test_kinds_that_a_listener_does_not_take_are_told_before_its_certificate(world: Any) -> None:
    tls = {"certificateRefs": [{"name": "none"}]}
    world.put(
        KUBE_GATEWAY,
        gateway({**LISTENER, "protocol": "HTTPS", "tls": tls, "allowedRoutes": {"kinds": [{"kind": "Foo"}]}}),
    )
    settle(world)
    listener = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners")[0]
    assert told(listener["conditions"], "ResolvedRefs") == ("False", "InvalidRouteKinds")


def test_every_listeners_port_is_named_default(world: Any) -> None:
    settle(world)
    assert dig(world.list(GATEWAY)[0], "spec", "servers")[0]["port"]["name"] == "default"


def parent_of(world: Any, type: str) -> Obj:
    (parent,) = dig(world.get(HTTP_ROUTE, "shop", "r"), "status", "parents")
    return next(each for each in parent["conditions"] if each["type"] == type)


def test_a_port_that_a_backend_lacks_is_a_500_that_only_the_message_tells_of(world: Any) -> None:
    world.put(HTTP_ROUTE, route("{backendRefs: [{name: b, port: 1}]}"))
    settle(world)
    found = parent_of(world, "ResolvedRefs")
    assert (found["status"], found["reason"]) == ("True", "ResolvedRefs")
    assert found["message"] == "backend(b.shop) has no port 1: requests get 500"
    assert dig(world.list(VIRTUAL_SERVICE)[0], "spec", "http", 0, "directResponse") == {"status": 500}


def test_a_route_for_a_port_that_its_parent_in_the_mesh_lacks_is_accepted(world: Any) -> None:
    world.put(HTTP_ROUTE, route(parentRefs=[{"group": "", "kind": "Service", "name": "b", "port": 1}]))
    settle(world)
    assert of_route(world, "Accepted") == ("True", "Accepted")
    assert (
        parent_of(world, "ResolvedRefs")["message"]
        == "parent Service shop/b has no port 1: no request meets this route"
    )


FATAL = [
    ("InvalidFilter", "{filters: [{type: ExtensionRef}]}"),
    ("InvalidFilter", "{backendRefs: [{name: b, port: 8000, filters: [{type: URLRewrite}]}]}"),
    ("InvalidDestination", "{backendRefs: [{name: b}]}"),
    ("BackendNotFound", "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: none, port: 1}}}]}"),
]


@pytest.mark.parametrize(("reason", "rule"), FATAL)
def test_what_takes_the_whole_route_with_it_leaves_it_accepted_all_the_same(world: Any, reason: str, rule: str) -> None:
    good = {"backendRefs": [FOUND]}
    bad = route(rule)["spec"]["rules"][0]
    world.put(HTTP_ROUTE, route(rules=[good, bad]))
    settle(world)
    assert of_route(world, "Accepted") == ("True", "Accepted")
    assert of_route(world, "ResolvedRefs") == ("False", reason)
    assert of_route(world, "Reconciled") == ("False", "Rejected")
    assert world.list(VIRTUAL_SERVICE) == []


def test_listeners_that_contradict_each_other_are_all_asked_of_the_mesh(world: Any) -> None:
    secure = {**LISTENER, "name": "secure", "port": 80, "protocol": "HTTPS", "tls": {"certificateRefs": []}}
    world.put(KUBE_GATEWAY, gateway(LISTENER, {**LISTENER, "name": "again"}, secure))
    settle(world)
    assert len(world.list(GATEWAY)) == 2
    assert [of_listener(world, "Conflicted", index) for index in (0, 1, 2)] == [("False", "NoConflicts")] * 3
    assert [of_listener(world, "Programmed", index)[0] for index in (0, 1, 2)] == ["True", "True", "False"]


def hosts_and_ages(world: Any) -> dict[str, str]:
    made = world.list(VIRTUAL_SERVICE)
    return {each["spec"]["hosts"][0]: annotations_of(each)[AGE] for each in made}


def test_routes_are_kept_by_the_hosts_they_write_as_old_as_the_oldest_of_each(world: Any) -> None:
    ages = {}
    for name, hostnames in (("z", ["*.x"]), ("r", ["a.x", "*.x"]), ("a", ["a.x"])):
        world.clock.advance(10)
        world.put(HTTP_ROUTE, route(name=name, hostnames=hostnames))
        ages[name] = dig(world.get(HTTP_ROUTE, "shop", name), "metadata", "creationTimestamp")
    settle(world)
    assert hosts_and_ages(world) == {"*.x": ages["z"], "a.x": ages["r"]}
    world.delete(HTTP_ROUTE, "shop", "z")
    settle(world)
    assert hosts_and_ages(world) == {"*.x": ages["r"], "a.x": ages["r"]}


def test_what_is_opened_is_as_old_as_its_gateway(world: Any) -> None:
    created = dig(world.get(KUBE_GATEWAY, "shop", "front"), "metadata", "creationTimestamp")
    world.clock.advance(100)
    settle(world)
    assert [annotations_of(each)[AGE] for each in world.list(GATEWAY)] == [created]


def test_in_the_mesh_routes_for_one_port_are_apart_from_those_for_all(world: Any) -> None:
    for name, port in (("r", {}), ("s", {"port": 8000})):
        world.put(HTTP_ROUTE, route(name=name, parentRefs=[{"group": "", "kind": "Service", "name": "b", **port}]))
    settle(world)
    matches = [rule["match"] for each in world.list(VIRTUAL_SERVICE) for rule in each["spec"]["http"]]
    assert sorted(matches, key=str) == [[{"uri": {"prefix": "/"}, "port": 8000}], [{"uri": {"prefix": "/"}}]]


def test_calls_of_any_method_come_after_those_that_an_expression_names(world: Any) -> None:
    any_call, some, named = {}, {"matches": [{}]}, {"matches": [{"method": {"method": "C"}}]}
    rules = [{**each, "backendRefs": [FOUND]} for each in (any_call, some, named)]
    spec = {"parentRefs": [{"name": "front"}], "rules": rules}
    world.put(GRPC_ROUTE, {"metadata": {"name": "r", "namespace": "shop"}, "spec": spec})
    settle(world)
    (made,) = world.list(VIRTUAL_SERVICE)
    assert [rule["name"] for rule in made["spec"]["http"]] == [f"shop.r.{number}.grpc" for number in (2, 1, 0)]


def test_an_http_route_comes_before_a_grpc_route_that_says_the_same(world: Any) -> None:
    calls(world, "{matches: [{method: {service: a, method: B}}], backendRefs: [{name: b, port: 8000}]}")
    world.clock.advance(10)
    match = {"path": {"type": "Exact", "value": "/a/B"}}
    world.put(HTTP_ROUTE, route(rules=[{"matches": [match], "backendRefs": [FOUND]}]))
    settle(world)
    (made,) = world.list(VIRTUAL_SERVICE)
    assert [rule["name"] for rule in made["spec"]["http"]] == ["shop.r.0", "shop.r.0.grpc"]


def test_a_secret_that_is_not_there_is_told_before_its_grant_is_asked_for(world: Any) -> None:
    tls = {"certificateRefs": [{"name": "none", "namespace": "far"}]}
    world.put(KUBE_GATEWAY, gateway({**LISTENER, "protocol": "HTTPS", "tls": tls}))
    settle(world)
    assert of_listener(world, "ResolvedRefs") == ("False", "InvalidCertificateRef")


TYPES = {"urlRewrite": "URLRewrite", "requestRedirect": "RequestRedirect"}
REPLACED = [
    ("/", "/n/", ["/n"], ["%PREFIX()%/n/"]),
    ("/", "/", ["/"], ["%PREFIX()%/"]),
    ("/a", "/n/", ["/n", "/n/"], ["/n/", "%PREFIX()%/n//"]),
    ("/a", "/", ["/", "/"], ["/", "%PREFIX()%//"]),
]


@pytest.mark.parametrize(("prefix", "new", "rewritten", "redirected"), REPLACED)
def test_what_replaces_a_prefix_loses_the_slash_at_its_end_but_not_in_redirects(
    world: Any, prefix: str, new: str, rewritten: list[str], redirected: list[str]
) -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": new}
    found = []
    for action in ("urlRewrite", "requestRedirect"):
        filter = {"type": TYPES[action], action: {"path": path}}
        there = {} if action == "requestRedirect" else {"backendRefs": [FOUND]}
        rule = {"matches": [{"path": {"value": prefix}}], "filters": [filter], **there}
        world.put(HTTP_ROUTE, route(rules=[rule]))
        settle(world)
        (made,) = world.list(VIRTUAL_SERVICE)
        found.append([(rule.get("rewrite") or rule["redirect"])["uri"] for rule in made["spec"]["http"]])
    assert found == [rewritten, redirected]


def test_a_backend_named_twice_has_each_time_its_own_headers(world: Any) -> None:
    edit = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-a"]}}
    world.put(HTTP_ROUTE, route(rules=[{"backendRefs": [{**FOUND, "filters": [edit]}, FOUND]}]))
    settle(world)
    entries = dig(world.list(VIRTUAL_SERVICE)[0], "spec", "http", 0, "route")
    assert [entry.get("headers") for entry in entries] == [{"request": {"remove": ["x-a"]}}, None]
