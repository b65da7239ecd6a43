"""Where Istio's own Gateway API controller was found to say or make something else: what it does, in our words."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.model.kinds import GATEWAY, HTTP_ROUTE, KUBE_GATEWAY, VIRTUAL_SERVICE
from graylane.model.meta import dig

from .test_statuses import LISTENER, gateway, of_route, route, settle, told, world

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
