"""What the Gateway API's objects say about themselves, and that what they became comes and goes with them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from graylane.mesh.findings import Finding, conflict, host_conflict
from graylane.mesh.gatewayapi.controller import GATEWAY_CLASS_OBJECT, reconcile
from graylane.mesh.gatewayapi.objects import FROM, LABEL
from graylane.mesh.read import SPOOF_GUARD
from graylane.model.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    KUBE_GATEWAY,
    NAMESPACE,
    POD,
    REFERENCE_GRANT,
    SERVICE,
    VIRTUAL_SERVICE,
)
from graylane.model.meta import Key, Obj, annotations_of, dig, find_condition, generation_of, key_of, labels_of
from graylane.testing.world import World

KEY = Key("", "istio")
LISTENER = {"name": "web", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Same"}}}


@pytest.fixture
def world() -> World:
    """A Gateway with one listener, a Service, a gateway pod; nobody has acknowledged anything."""
    world = World()
    world.put(GATEWAY_CLASS, {**GATEWAY_CLASS_OBJECT})
    labels = {"istio": "ingressgateway"}
    meta = {"name": "in", "namespace": "istio-system", "labels": labels}
    world.put(POD, {"metadata": meta, "status": {"hostIP": "127.0.0.1"}})
    world.put(SERVICE, service("b"))
    world.put(KUBE_GATEWAY, gateway(LISTENER))
    return world


def service(name: str, namespace: str = "shop") -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": [{"port": 8000}]}}


def gateway(*listeners: Obj, **spec: Any) -> Obj:
    meta = {"name": "front", "namespace": "shop"}
    return {"metadata": meta, "spec": {"gatewayClassName": "istio", "listeners": list(listeners), **spec}}


def route(text: str = "", namespace: str = "shop", name: str = "r", **spec: Any) -> Obj:
    rule = yaml.safe_load(text) if text else {"backendRefs": [{"name": "b", "port": 8000}]}
    parent = {"name": "front", "namespace": "shop"}
    meta = {"name": name, "namespace": namespace}
    return {"metadata": meta, "spec": {"parentRefs": [parent], "rules": [rule], **spec}}


def settle(world: World, *, acknowledged: bool = True) -> None:
    """Until nothing changes any more; the proxies acknowledge what there is."""
    for _ in range(5):
        outcome = reconcile(world.view(), KEY, world.now())
        world.apply(outcome)
        for kind in (GATEWAY, VIRTUAL_SERVICE) if acknowledged else ():
            for obj in world.list(kind):
                condition = {"type": "Reconciled", "status": "True"}
                status = {"observedGeneration": generation_of(obj), "conditions": [condition]}
                if obj.get("status") != status:
                    world.patch(kind, *_key(obj), {"status": status}, subresource="status")
    assert reconcile(world.view(), KEY, world.now()).effects == ()


def _key(obj: Obj) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def of_gateway(world: World, type: str) -> tuple[str, str]:
    return told(dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "conditions", default=[]), type)


def of_listener(world: World, type: str, index: int = 0) -> tuple[str, str]:
    entry = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners", index, default={})
    return told(entry.get("conditions") or [], type)


def of_route(world: World, type: str, namespace: str = "shop") -> tuple[str, str]:
    found = world.get(HTTP_ROUTE, namespace, "r") or {}
    parents = dig(found, "status", "parents", default=[])
    (mine,) = [each for each in parents if each["controllerName"] == "istio.io/gateway-controller"]
    assert find_condition(mine["conditions"], type)["observedGeneration"] == generation_of(found)  # type: ignore[index]
    return told(mine["conditions"], type)


def told(conditions: list[Obj], type: str) -> tuple[str, str]:
    found = find_condition(conditions, type) or {}
    return str(found.get("status")), str(found.get("reason"))


def attached(world: World, index: int = 0) -> int:
    listeners = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners")
    return int(listeners[index]["attachedRoutes"])


def test_all_is_well_once_the_proxies_have_it(world: World) -> None:
    world.put(HTTP_ROUTE, route())
    settle(world, acknowledged=False)
    assert of_gateway(world, "Accepted") == ("True", "Accepted")
    assert of_gateway(world, "Programmed") == of_listener(world, "Programmed") == ("False", "Pending")
    assert of_route(world, "Accepted") == ("True", "Accepted")
    assert of_route(world, "Reconciled") == ("False", "Pending")
    settle(world)
    assert of_gateway(world, "Programmed") == of_listener(world, "Programmed") == ("True", "Programmed")
    assert of_route(world, "ResolvedRefs") == ("True", "ResolvedRefs")
    assert of_route(world, "Reconciled") == ("True", "Acknowledged")
    assert attached(world) == 1
    status = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status")
    assert status["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
    assert told(dig(world.get(GATEWAY_CLASS, "", "istio"), "status", "conditions"), "Accepted") == ("True", "Accepted")


def test_a_changed_route_is_not_reconciled_before_the_proxies_have_the_change(world: World) -> None:
    world.put(HTTP_ROUTE, route())
    settle(world)
    world.put(SERVICE, service("c"))
    rules = [{"backendRefs": [{"name": "c", "port": 8000}]}]
    world.patch(HTTP_ROUTE, "shop", "r", {"spec": {"rules": rules}})
    before = reconcile(world.view(), KEY, world.now())
    statuses = [effect.patch for effect in before.effects if getattr(effect, "subresource", "") == "status"]
    conditions = [each for patch in statuses for each in patch["status"]["parents"][0]["conditions"]]
    assert told(conditions, "Reconciled") == ("False", "Pending")


def test_what_was_made_goes_with_what_asked_for_it(world: World) -> None:
    world.put(HTTP_ROUTE, route())
    settle(world)
    assert [labels_of(obj)[LABEL] for kind in (GATEWAY, VIRTUAL_SERVICE) for obj in world.list(kind)] == [FROM, FROM]
    world.delete(HTTP_ROUTE, "shop", "r")
    settle(world)
    assert (len(world.list(GATEWAY)), world.list(VIRTUAL_SERVICE), attached(world)) == (1, [], 0)
    world.delete(GATEWAY_CLASS, "", "istio")
    settle(world)
    assert world.list(GATEWAY) == []


def test_nothing_that_others_made_is_touched(world: World) -> None:
    mine = {"metadata": {"name": "mine", "namespace": "shop"}, "spec": {"hosts": ["x"]}}
    world.put(VIRTUAL_SERVICE, mine)
    other = {"parentRef": {"name": "elsewhere"}, "controllerName": "example.com/other", "conditions": []}
    found = world.put(HTTP_ROUTE, route())
    world.patch(HTTP_ROUTE, *_key(found), {"status": {"parents": [other]}}, subresource="status")
    settle(world)
    assert world.get(VIRTUAL_SERVICE, "shop", "mine")["spec"] == {"hosts": ["x"]}  # type: ignore[index]
    assert dig(world.get(HTTP_ROUTE, "shop", "r"), "status", "parents")[0] == other


REFUSED = [
    ("NoMatchingParent", {"parentRefs": [{"name": "front", "sectionName": "none"}]}),
    ("NoMatchingParent", {"parentRefs": [{"name": "front", "port": 81}]}),
    ("NoMatchingParent", {"parentRefs": [{"group": "", "kind": "Service", "name": "none"}]}),
    ("NoMatchingListenerHostname", {"hostnames": ["other.com"]}),
]


@pytest.mark.parametrize(("reason", "spec"), REFUSED)
def test_a_route_that_cannot_be_attached_says_why(world: World, reason: str, spec: dict[str, Any]) -> None:
    world.put(KUBE_GATEWAY, gateway({**LISTENER, "hostname": "*.example.com"}))
    world.put(HTTP_ROUTE, route(**spec))
    settle(world)
    assert of_route(world, "Accepted") == ("False", reason)
    assert of_route(world, "Reconciled") == ("False", "Rejected")
    assert world.list(VIRTUAL_SERVICE) == []


UNRESOLVED = [
    ("BackendNotFound", "{name: none, port: 8000}"),
    ("InvalidKind", "{name: b, port: 8000, kind: Bucket, group: example.com}"),
    ("RefNotPermitted", "{name: c, port: 8000, namespace: store}"),
]


@pytest.mark.parametrize(("reason", "backend"), UNRESOLVED)
def test_a_backend_that_cannot_be_had_leaves_the_route_accepted(world: World, reason: str, backend: str) -> None:
    world.put(SERVICE, service("c", "store"))
    world.put(HTTP_ROUTE, route(f"{{backendRefs: [{backend}]}}"))
    settle(world)
    assert of_route(world, "Accepted") == ("True", "Accepted")
    assert of_route(world, "ResolvedRefs") == ("False", reason)
    (made,) = world.list(VIRTUAL_SERVICE)
    assert made["spec"]["http"][0]["directResponse"] == {"status": 500}


def test_a_grant_next_to_the_service_permits_the_reference(world: World) -> None:
    world.put(SERVICE, service("c", "store"))
    world.put(HTTP_ROUTE, route("{backendRefs: [{name: c, port: 8000, namespace: store}]}"))
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}
    grant = {"from": [source], "to": [{"group": "", "kind": "Service", "name": "c"}]}
    world.put(REFERENCE_GRANT, {"metadata": {"name": "g", "namespace": "store"}, "spec": grant})
    settle(world)
    assert of_route(world, "ResolvedRefs") == ("True", "ResolvedRefs")
    world.delete(REFERENCE_GRANT, "store", "g")
    settle(world)
    assert of_route(world, "ResolvedRefs") == ("False", "RefNotPermitted")


@pytest.mark.parametrize(
    ("scope", "accepted"),
    [
        ({"from": "Same"}, "False"),
        ({"from": "All"}, "True"),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, "True"),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "b"}}}, "False"),
    ],
)
def test_a_listener_says_whose_routes_it_takes(world: World, scope: dict[str, Any], accepted: str) -> None:
    world.put(NAMESPACE, {"metadata": {"name": "store", "labels": {"team": "a"}}})
    world.put(SERVICE, service("b", "store"))
    world.put(KUBE_GATEWAY, gateway({**LISTENER, "allowedRoutes": {"namespaces": scope}}))
    world.put(HTTP_ROUTE, route(namespace="store"))
    settle(world)
    reason = "Accepted" if accepted == "True" else "NotAllowedByListeners"
    assert of_route(world, "Accepted", "store") == (accepted, reason)
    assert attached(world) == (accepted == "True")


def test_listeners_that_cannot_be_opened_say_why(world: World) -> None:
    raw = {"name": "raw", "port": 9000, "protocol": "TCP"}
    kinds = {**LISTENER, "name": "kinds", "port": 81, "allowedRoutes": {"kinds": [{"kind": "TCPRoute"}]}}
    world.put(KUBE_GATEWAY, gateway(LISTENER, raw, kinds))
    settle(world)
    assert of_gateway(world, "Accepted") == ("True", "ListenersNotValid")
    assert of_listener(world, "Accepted", 1) == ("False", "UnsupportedProtocol")
    assert of_listener(world, "Programmed", 1) == ("False", "Invalid")
    assert of_listener(world, "ResolvedRefs", 2) == ("False", "InvalidRouteKinds")
    assert of_listener(world, "Programmed", 0) == ("True", "Programmed")
    world.put(KUBE_GATEWAY, gateway(raw))
    world.put(HTTP_ROUTE, route())
    settle(world)
    assert of_gateway(world, "Accepted") == ("False", "ListenersNotValid")
    assert of_route(world, "Accepted") == ("False", "NotAllowedByListeners")


def test_a_listener_that_takes_some_kinds_we_serve_says_which(world: World) -> None:
    kinds = [{"kind": "HTTPRoute"}, {"kind": "TLSRoute"}, {"group": "example.com", "kind": "HTTPRoute"}]
    world.put(KUBE_GATEWAY, gateway({**LISTENER, "allowedRoutes": {"kinds": kinds}}))
    world.put(HTTP_ROUTE, route())
    settle(world)
    (entry,) = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners")
    assert entry["supportedKinds"] == [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]
    assert of_listener(world, "ResolvedRefs") == ("False", "InvalidRouteKinds")
    assert of_route(world, "Accepted") == ("True", "Accepted")


def calls(world: World, text: str) -> Obj:
    """A GRPCRoute with one rule, and what became of the rule."""
    spec = {"parentRefs": [{"name": "front", "namespace": "shop"}], "rules": [yaml.safe_load(text)]}
    world.put(GRPC_ROUTE, {"metadata": {"name": "r", "namespace": "shop"}, "spec": spec})
    settle(world)
    (made,) = world.list(VIRTUAL_SERVICE)
    (rule,) = made["spec"]["http"]
    return dict(rule)


SAID_OF_CALLS = [
    ("{service: a.B, method: C}", [{"uri": {"exact": "/a.B/C"}}]),
    ("{service: a.B}", [{"uri": {"exact": "/a.B"}}, {"uri": {"prefix": "/a.B/"}}]),
    ("{method: C}", [{"uri": {"regex": "/[^/]+/C"}}]),
    ("{type: RegularExpression, service: 'a[.].*'}", [{"uri": {"regex": "/a[.].*/.+"}}]),
]


@pytest.mark.parametrize(("method", "match"), SAID_OF_CALLS)
def test_services_and_methods_of_grpc_are_conditions_on_the_path(world: World, method: str, match: list[Obj]) -> None:
    rule = calls(world, f"{{matches: [{{method: {method}}}], backendRefs: [{{name: b, port: 8000}}]}}")
    assert (rule["match"], rule["name"]) == (match, "shop.r.0.grpc")


def test_a_grpc_route_has_a_status_and_counts_beside_an_http_route_of_its_name(world: World) -> None:
    rule = calls(world, "{backendRefs: [{name: none, port: 1}]}")
    assert rule["directResponse"] == {"status": 500}
    (parent,) = dig(world.get(GRPC_ROUTE, "shop", "r"), "status", "parents")
    assert told(parent["conditions"], "Accepted") == ("True", "Accepted")
    assert told(parent["conditions"], "ResolvedRefs") == ("False", "BackendNotFound")
    world.put(HTTP_ROUTE, route())
    settle(world)
    assert attached(world) == 2
    assert of_route(world, "ResolvedRefs") == ("True", "ResolvedRefs")
    world.put(KUBE_GATEWAY, gateway({**LISTENER, "allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}]}}))
    settle(world)
    (parent,) = dig(world.get(GRPC_ROUTE, "shop", "r"), "status", "parents")
    assert told(parent["conditions"], "Accepted") == ("False", "NotAllowedByListeners")


TAKEN = [
    (conflict(80, "other/x"), "PortUnavailable", ("False", "NoConflicts")),
    (host_conflict(80, "a.x", "other/x"), "HostnameConflict", ("True", "HostnameConflict")),
]


@pytest.mark.parametrize(("finding", "reason", "conflicted"), TAKEN)
def test_what_another_listener_has_is_told_where_it_was_asked_for(
    world: World, finding: Finding, reason: str, conflicted: tuple[str, str]
) -> None:
    settle(world)
    (made,) = world.list(GATEWAY)
    taken = {"type": {"code": finding.code}, "level": finding.level, "message": finding.message}
    status = {**made["status"], "validationMessages": [taken]}
    world.patch(GATEWAY, *_key(made), {"status": status}, subresource="status")
    settle(world, acknowledged=False)
    assert of_listener(world, "Accepted") == ("False", reason)
    assert of_listener(world, "Conflicted") == conflicted
    assert of_listener(world, "Programmed") == ("False", "Invalid")
    assert of_gateway(world, "Accepted") == ("False", "ListenersNotValid")


def test_an_address_that_the_gateway_does_not_have_is_told(world: World) -> None:
    world.put(KUBE_GATEWAY, gateway(LISTENER, addresses=[{"type": "IPAddress", "value": "192.0.2.1"}]))
    settle(world)
    assert of_gateway(world, "Programmed") == ("False", "AddressNotUsable")
    world.put(KUBE_GATEWAY, gateway(LISTENER, addresses=[{"type": "IPAddress", "value": "127.0.0.1"}]))
    settle(world)
    assert of_gateway(world, "Programmed") == ("True", "Programmed")


def in_front() -> Obj:
    port = {"name": "http2", "port": 80, "targetPort": 8080, "nodePort": 30080}
    spec = {"selector": {"istio": "ingressgateway"}, "ports": [port]}
    return {"metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"}, "spec": spec}


def made_services(world: World) -> list[Obj]:
    return [each for each in world.list(SERVICE) if labels_of(each).get(LABEL) == FROM]


def test_ports_that_no_service_in_front_has_get_one_of_their_own(world: World) -> None:
    world.put(SERVICE, in_front())
    world.put(KUBE_GATEWAY, gateway(LISTENER))
    settle(world)
    assert made_services(world) == []
    assert dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners", 0, "conditions", 2, "message") == (
        "open at 127.0.0.1:30080"
    )
    world.put(KUBE_GATEWAY, gateway(LISTENER, {**LISTENER, "name": "more", "port": 8888}, {**LISTENER, "port": 81}))
    settle(world)
    (service,) = made_services(world)
    assert _key(service) == ("istio-system", "front-shop-istio")
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(81, 10081), (8888, 8888)]
    ports = [{**port, "nodePort": 31000 + index} for index, port in enumerate(service["spec"]["ports"])]
    world.patch(SERVICE, *_key(service), {"spec": {"ports": ports, "clusterIP": "10.96.0.9"}})
    settle(world)
    listeners = dig(world.get(KUBE_GATEWAY, "shop", "front"), "status", "listeners")
    assert listeners[1]["conditions"][2]["message"] == "open at 127.0.0.1:31001"
    world.put(KUBE_GATEWAY, gateway(LISTENER))
    settle(world)
    assert made_services(world) == []


def test_a_gateway_of_another_class_is_somebody_elses(world: World) -> None:
    world.put(KUBE_GATEWAY, gateway(LISTENER, gatewayClassName="nginx"))
    world.put(HTTP_ROUTE, route())
    settle(world)
    assert dig(world.get(KUBE_GATEWAY, "shop", "front"), "status") is None
    assert dig(world.get(HTTP_ROUTE, "shop", "r"), "status", "parents") == []


def test_without_a_gateway_pod_there_is_no_address(world: World) -> None:
    world.delete(POD, "istio-system", "in", grace_seconds=0)
    settle(world)
    assert of_gateway(world, "Programmed") == ("False", "AddressNotAssigned")


def test_a_gateways_spoof_guard_is_that_of_what_is_opened_for_it(world: World) -> None:
    def guards() -> set[str | None]:
        settle(world)
        return {annotations_of(each).get(SPOOF_GUARD) for each in world.list(GATEWAY)}

    assert guards() == {None}
    (kube,) = world.list(KUBE_GATEWAY)
    for guard in ("lanes", "my-request-id", None):
        world.patch(KUBE_GATEWAY, *key_of(kube), {"metadata": {"annotations": {SPOOF_GUARD: guard}}})
        assert guards() == {guard}
