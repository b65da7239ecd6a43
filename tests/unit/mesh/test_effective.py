"""What EnvoyFilters make of routes is simulated where it is understood, and said to be unknown where it is not.

That what is understood is understood rightly is shown by comparing random ones with Envoy.
"""

from __future__ import annotations

import pytest
from envoy.config.route.v3 import route_components_pb2

from graylane.chain.match import Request
from graylane.mesh import decode
from graylane.mesh.compiler import compile
from graylane.mesh.encode.routes import virtual_host
from graylane.mesh.simulate import Decision, Reached, from_pod
from graylane.mesh.table import DirectResponse, Forward, Route, VirtualHost
from graylane.model.meta import Obj
from graylane.testing import meshes
from tests.e2e.reality import case

from .test_compile import scenario

HOST = "mockb.default.svc.cluster.local:8000"
AT = {"routeConfiguration": {"vhost": {"name": HOST}}}


def decided(*patches: Obj, path: str = "/", authority: str = "mockb:8000") -> Decision:
    found = scenario()
    meta = {"name": "ef", "namespace": "istio-system", "generation": 1, "uid": "ef"}
    found.apply({"kind": "EnvoyFilter", "metadata": meta, "spec": {"configPatches": list(patches)}})
    return from_pod(compile(found.inputs()).plan, meshes_client(found), Request(authority, path))


def meshes_client(found: meshes.Cluster) -> str:
    pod = next(each for each in found.pods if each["metadata"]["labels"].get("app") == "mocka")
    return str(pod["status"]["podIP"])


def patch(target: str, operation: str, value: Obj | None = None, match: Obj = AT) -> Obj:
    return {
        "applyTo": target,
        "match": {"context": "SIDECAR_OUTBOUND", **match},
        "patch": {"operation": operation, "value": value},
    }


DIRECT = {"name": "mine", "match": {"prefix": "/closed"}, "direct_response": {"status": 418}}


def test_an_inserted_route_decides_and_its_envoy_filter_is_named() -> None:
    decision = decided(patch("HTTP_ROUTE", "INSERT_FIRST", DIRECT), path="/closed")
    assert decision.outcome == DirectResponse(418)
    assert decision.source is not None
    assert (decision.source.kind, decision.source.name, decision.filters) == ("EnvoyFilter", "ef", ())


def test_a_route_that_is_left_alone_keeps_the_rule_it_comes_from() -> None:
    plain, beside = decided(), decided(patch("HTTP_ROUTE", "INSERT_FIRST", DIRECT))
    assert beside.route == plain.route
    assert beside.filters == ()


def test_a_hosts_headers_are_those_of_all_its_routes() -> None:
    added = {"request_headers_to_add": [{"header": {"key": "x-lane", "value": "canary"}}]}
    decision = decided(patch("VIRTUAL_HOST", "MERGE", added))
    assert decision.route is not None
    assert decision.route.request.add == (("x-lane", "canary"),)


@pytest.mark.parametrize(
    "unknown",
    [
        patch("HTTP_ROUTE", "INSERT_FIRST", {**DIRECT, "match": {"prefix": "/", "runtime_fraction": {}}}),
        patch("HTTP_ROUTE", "INSERT_FIRST", {"match": {"prefix": "/"}, "route": {"cluster_header": "x-where"}}),
        patch("VIRTUAL_HOST", "MERGE", {"require_tls": "EXTERNAL_ONLY"}),
        patch("ROUTE_CONFIGURATION", "MERGE", {"internal_only_headers": ["x-lane"]}, {}),
        patch("CLUSTER", "MERGE", {"type": "STATIC"}, {}),
        patch("VIRTUAL_HOST", "MERGE", {"request_headers_to_add": [{"append_action": "ADD_IF_ABSENT"}]}),
    ],
)
def test_what_is_not_understood_is_named_and_the_rest_decides(unknown: Obj) -> None:
    decision = decided(unknown)
    assert [str(each) for each in decision.filters] == ["EnvoyFilter istio-system/ef"]
    assert isinstance(decision.outcome, tuple)


def test_what_is_not_understood_of_one_host_is_no_doubt_about_another() -> None:
    unknown = patch("HTTP_ROUTE", "INSERT_FIRST", {"match": {"prefix": "/"}, "route": {"cluster_header": "x-where"}})
    assert decided(unknown, authority="mocka:8000").filters == ()


def test_a_cluster_that_an_envoy_filter_brings_along_is_reached_but_its_endpoints_are_its_own_affair() -> None:
    added = {"name": "mine", "type": "STATIC"}
    there = {"match": {"prefix": "/"}, "route": {"cluster": "mine"}}
    decision = decided(patch("CLUSTER", "ADD", added, {}), patch("HTTP_ROUTE", "INSERT_FIRST", there))
    assert decision.outcome == (Reached("mine", 1.0, ()),)
    assert [str(each) for each in decision.filters] == ["EnvoyFilter istio-system/ef"]


def test_every_route_that_is_written_can_be_read_back() -> None:
    """Of random configurations: what decides where a request goes is the same again."""
    tried = 0
    for seed in range(20):
        found = meshes.Cluster()
        objects = [obj for obj in case(seed, 0).objects if obj["kind"] != "EnvoyFilter"]
        found.apply(*meshes.manifests(SERVICES), *objects)
        found.pods = [meshes.gateway_pod("127.20.0.9", "127.0.0.1"), meshes.pod("client", "127.20.0.2", {})]
        for table in compile(found.inputs()).plan.tables.values():
            for route in (route for host in table.hosts for route in host.routes):
                written = route_components_pb2.VirtualHost()
                virtual_host(written, VirtualHost("", (), (route,)))
                assert decides(decode.route(written.routes[0])) == decides(route)
                tried += 1
    assert tried > 200


def decides(route: Route) -> tuple[object, ...]:
    action = route.action
    if isinstance(action, Forward):
        kept: object = [(each.cluster, each.weight, each.request) for each in action.targets]
    else:
        kept = action
    origins = route.cors and (route.cors.origins, route.cors.forward_unmatched)
    return route.name, route.match, kept, route.request, route.response, route.fault, origins


SERVICES = """
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, clusterIP: 10.96.0.10, ports: [{name: http, port: 8000}]}
---
kind: Service
metadata: {name: two, namespace: shop}
spec: {selector: {app: b}, clusterIP: 10.96.0.12, ports: [{name: http, port: 8000}, {name: http-alt, port: 9000}]}
"""
