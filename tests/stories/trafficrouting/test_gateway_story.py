"""An HTTPRoute gets the canary's rules or weights, and is the user's own again when the release is over."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from graylane.kit.effects import Effect, Patch
from graylane.model.kinds import CRD, SERVICE, TRAFFIC_ROUTING, Kind
from graylane.model.meta import Obj, annotations_of
from graylane.model.trafficrouting import ADDED, ORIGINAL
from tests.stories.trafficrouting.stage import LANE, NS, Stage

HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
ROOT = [{"path": {"type": "PathPrefix", "value": "/"}}]


def backend(name: str, weight: int = 1) -> Obj:
    return {"group": "", "kind": "Service", "name": name, "port": 8000, "weight": weight}


def route() -> Obj:
    """As the API server gives it: all defaults filled in. The user's weights are no round numbers."""
    rules = [
        {"matches": ROOT, "backendRefs": [backend("mocka", 7), backend("other", 3)]},
        {"matches": [{"path": {"type": "Exact", "value": "/other"}}], "backendRefs": [backend("other")]},
    ]
    return {"metadata": {"name": "shop", "namespace": NS}, "spec": {"hostnames": ["shop.example.com"], "rules": rules}}


def routing(strategy: Obj = LANE) -> Obj:
    ref = {"service": "mocka", "gateway": {"httpRouteName": "shop"}}
    return {"metadata": {"name": "mocka-tr", "namespace": NS}, "spec": {"strategy": strategy, "objectRef": [ref]}}


def crd(*versions: str) -> Obj:
    served = [{"name": name, "served": True, "storage": name == versions[-1]} for name in versions]
    names = {"kind": "HTTPRoute", "plural": "httproutes"}
    spec = {"group": HTTP_ROUTE.group, "names": names, "versions": served}
    return {"metadata": {"name": "httproutes.gateway.networking.k8s.io"}, "spec": spec}


def usual(strategy: Obj = LANE, kind: Kind = HTTP_ROUTE, versions: tuple[str, ...] = ("v1",)) -> Stage:
    stage = Stage()
    stage.put(CRD, crd(*versions))
    for name, version in (("mocka", "base"), ("mocka-canary", "canary")):
        spec = {"selector": {"app": "mocka", "version": version}}
        stage.put(SERVICE, {"metadata": {"name": name, "namespace": NS}, "spec": spec})
    stage.put(kind, route())
    stage.put(TRAFFIC_ROUTING, routing(strategy))
    return stage


async def held(strategy: Obj = LANE) -> Stage:
    stage = await usual(strategy).settle(seconds=3)
    stage.hold("rollouts-a")
    return await stage.settle(seconds=3)


async def finished(stage: Stage) -> Stage:
    stage.release("rollouts-a")
    await stage.settle(seconds=3)
    assert (stage.phase(), stage.active_for()) == ("Healthy", [])
    assert await stage.settles_without_writing()
    return stage


def rules(stage: Stage) -> list[Any]:
    return list(stage.spec(HTTP_ROUTE, "shop")["rules"])


async def test_dyed_requests_have_a_rule_before_the_users_own_and_only_where_it_led_to_the_service() -> None:
    stage = await held()
    header = {"type": "Exact", "name": "my-request-id", "value": "canary"}
    lane = {
        "matches": [ROOT[0] | {"headers": [header]}],
        "backendRefs": [backend("mocka-canary", 7), backend("other", 3)],
    }
    assert rules(stage) == [lane, *route()["spec"]["rules"]]
    assert stage.active_for() == ["rollouts-a"]
    assert await stage.settles_without_writing()


@pytest.mark.parametrize("strategy", [LANE, {"weight": 30}, {"weight": 0}, {}])
async def test_afterwards_it_is_the_users_own_weights_included(strategy: Obj) -> None:
    stage = await finished(await held(strategy))
    assert stage.clean(HTTP_ROUTE, route())


async def test_weights_are_of_the_services_share() -> None:
    stage = await held({"weight": 30})
    assert [(item["name"], item["weight"]) for item in rules(stage)[0]["backendRefs"]] == [
        ("mocka", 49),
        ("other", 30),
        ("mocka-canary", 21),
    ]


@pytest.mark.parametrize("strategy", [LANE, {"weight": 30}])
async def test_edits_in_the_middle_stay_and_ours_goes(strategy: Obj) -> None:
    stage = await held(strategy)
    edited = copy.deepcopy(rules(stage))
    own = [rule for rule in edited if rule["backendRefs"][0]["name"] == "mocka"]
    own[0]["timeouts"] = {"request": "5s"}
    added = {"matches": [{"path": {"type": "Exact", "value": "/new"}}], "backendRefs": [backend("new")]}
    stage.edit(HTTP_ROUTE, "shop", {"rules": [*edited, added]})
    await stage.settle(seconds=3)
    assert "mocka-canary" in str(rules(stage))
    await finished(stage)
    first, second = route()["spec"]["rules"]
    assert rules(stage) == [first | {"timeouts": {"request": "5s"}}, second, added]


async def test_the_manifest_applied_again_costs_one_write() -> None:
    stage = await held()
    seen: list[Effect] = []
    for _ in range(3):
        stage.edit(HTTP_ROUTE, "shop", route()["spec"])
        stage.world.after_write = seen.append
        await stage.settle(seconds=3)
        stage.world.after_write = None
        assert "mocka-canary" in str(rules(stage))
    assert len([effect for effect in seen if isinstance(effect, Patch) and effect.kind == HTTP_ROUTE]) == 3
    assert (await finished(stage)).clean(HTTP_ROUTE, route())


async def test_a_lost_memory_does_not_make_our_rule_the_users() -> None:
    for lost in ({ORIGINAL: None, ADDED: None}, {ORIGINAL: None}, {ADDED: None}):
        stage = await held()
        stage.world.patch(HTTP_ROUTE, NS, "shop", {"metadata": {"annotations": lost}})
        await stage.settle(seconds=3)
        await finished(stage)
        assert "mocka-canary" not in str(rules(stage)), lost
        assert not {ORIGINAL, ADDED} & annotations_of(stage.get(HTTP_ROUTE, "shop")).keys()


async def test_without_a_service_for_the_canary_it_is_not_touched_and_that_is_said() -> None:
    stage = usual()
    stage.world.delete(SERVICE, NS, "mocka-canary")
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert stage.clean(HTTP_ROUTE, route())
    assert stage.condition("Accepted")["reason"] == "CanaryServiceNotFound"
    assert stage.message().startswith("TrafficRouting default/mocka-tr: HTTPRoute shop: the canary would be reached")


async def test_the_canarys_service_deleted_in_the_middle_is_said_and_the_routes_stay() -> None:
    stage = await held()
    stage.world.delete(SERVICE, NS, "mocka-canary")
    await stage.settle(seconds=3)
    assert (stage.condition("Accepted")["reason"], stage.active_for()) == ("CanaryServiceNotFound", [])
    assert "mocka-canary" in str(rules(stage))
    assert (await finished(stage)).clean(HTTP_ROUTE, route())


async def test_one_that_is_missing_or_not_served_is_named() -> None:
    stage = usual()
    stage.world.delete(HTTP_ROUTE, NS, "shop")
    await stage.settle()
    where = "TrafficRouting default/mocka-tr"
    hint = "correct spec.objectRef[0].gateway.httpRouteName"
    assert stage.message() == f"{where}: HTTPRoute shop not found; create it or {hint}"
    stage.world.delete(CRD, "", "httproutes.gateway.networking.k8s.io")
    await stage.settle()
    assert stage.message() == (
        f"{where}: HTTPRoute of gateway.networking.k8s.io/v1 is not served; install its CRD or {hint}"
    )


async def test_an_older_cluster_is_asked_in_the_version_it_stores() -> None:
    older = Kind("gateway.networking.k8s.io", "v1beta1", "HTTPRoute", "httproutes")
    stage = usual(kind=older, versions=("v1alpha2", "v1beta1"))
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert "mocka-canary" in str(stage.spec(older, "shop"))
