"""The checklist's rows about routes: what VirtualServices and DestinationRules look like, and what users are told."""

from __future__ import annotations

import json

import pytest

from graylane.model.kinds import CONFIG_MAP, CRD, DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, annotations_of
from graylane.model.trafficrouting import ORIGINAL
from graylane.trafficrouting.scripts import config_map_key
from tests.stories.trafficrouting.stage import (
    LANE,
    NS,
    Stage,
    destination_rule,
    traffic_routing,
    virtual_service,
)

HEADER = LANE["matches"][0]["headers"][0]
USER = {"type": "RegularExpression", "name": "uid", "value": "^9"}


async def held(strategy: Obj = LANE, before: Obj | None = None) -> Stage:
    """`before`: the VirtualService's spec."""
    stage = Stage().usual()
    if before:
        stage.put(VIRTUAL_SERVICE, virtual_service() | {"spec": before})
    stage.put(TRAFFIC_ROUTING, traffic_routing(strategy=strategy))
    await stage.settle()
    stage.hold("r")
    return await stage.settle()


def rules(stage: Stage) -> list[Obj]:
    return list(stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"])


def weights(rule: Obj) -> list[int]:
    return [route["weight"] for route in rule["route"]]


async def test_row_63_a_header_match_is_the_first_rule_and_the_users_stays() -> None:
    first, second = rules(await held())
    assert first["match"] == [{"headers": {"my-request-id": {"exact": "canary"}}}]
    assert first["route"] == [{"destination": {"host": "mocka", "subset": "canary"}}]
    assert second == virtual_service()["spec"]["http"][0]


async def test_row_64_improve_two_matches_come_in_the_users_order() -> None:
    found = rules(await held({"matches": [{"headers": [HEADER]}, {"headers": [USER]}]}))
    assert [list(rule["match"][0]["headers"]) for rule in found[:2]] == [["my-request-id"], ["uid"]]


async def test_row_65_the_canary_subset_is_appended() -> None:
    subsets = (await held()).spec(DESTINATION_RULE, "dr-mocka")["subsets"]
    assert subsets == [
        {"name": "version-base", "labels": {"version": "base"}},
        {"name": "canary", "labels": {"istio.service.tag": "gray"}},
    ]


async def test_row_66_the_original_is_kept_in_openkruises_annotation() -> None:
    stage = await held()
    for kind, obj in ((VIRTUAL_SERVICE, virtual_service()), (DESTINATION_RULE, destination_rule())):
        notes = annotations_of(stage.get(kind, obj["metadata"]["name"]))
        assert json.loads(notes[ORIGINAL]) == {"spec": obj["spec"]}


async def test_rows_67_and_68_improve_a_missing_virtual_service_is_named_and_taken_up() -> None:
    stage = await Stage().usual().settle()
    stage.world.delete(VIRTUAL_SERVICE, NS, "vs-mocka")
    await stage.settle()
    words = "VirtualService vs-mocka not found; create it or correct spec.objectRef[0].customNetworkRefs[0]"
    assert words in stage.message()
    stage.hold("r")
    await stage.settle()
    assert words in stage.condition("Accepted")["message"]
    stage.put(VIRTUAL_SERVICE, virtual_service())
    await stage.settle()
    assert (stage.active_for(), stage.condition("Accepted")["status"]) == (["r"], "True")


async def test_row_69_improve_a_destination_rule_without_subsets_gets_its_first_one_and_loses_it_again() -> None:
    stage = Stage().usual()
    bare = destination_rule() | {"spec": {"host": "mocka"}}
    stage.put(DESTINATION_RULE, bare)
    stage.hold("r")
    await stage.settle()
    assert [subset["name"] for subset in stage.spec(DESTINATION_RULE, "dr-mocka")["subsets"]] == ["canary"]
    stage.release("r")
    await stage.settle()
    assert stage.clean(DESTINATION_RULE, bare)


async def test_row_70_a_weight_splits_the_stable_route() -> None:
    assert weights(rules(await held({"weight": 20}))[0]) == [80, 20]


async def test_row_71_improve_a_rule_with_a_match_is_split_too() -> None:
    rule = {"match": [{"uri": {"prefix": "/a"}}], "route": virtual_service()["spec"]["http"][0]["route"]}
    found = rules(await held({"weight": 20}, {"hosts": ["mocka"], "http": [rule]}))
    assert found[0]["match"] == rule["match"]
    assert weights(found[0]) == [80, 20]


async def test_row_72_matches_win_over_a_weight() -> None:
    assert rules(await held(LANE | {"weight": 20})) == rules(await held())


async def test_row_73_an_edited_strategy_is_computed_from_the_original() -> None:
    stage = await held()
    stage.edit(TRAFFIC_ROUTING, "mocka-tr", {"strategy": {"matches": None, "weight": 30}})
    await stage.settle()
    assert [weights(rule) for rule in rules(stage)] == [[70, 30]]


async def test_row_75_improve_an_edit_in_the_middle_outlives_the_release() -> None:
    stage = await held()
    edited = [*rules(stage)[:1], rules(stage)[1] | {"timeout": "3s"}]
    stage.edit(VIRTUAL_SERVICE, "vs-mocka", {"http": edited})
    await stage.settle()
    stage.release("r")
    await stage.settle()
    assert rules(stage) == [virtual_service()["spec"]["http"][0] | {"timeout": "3s"}]


async def test_row_76_improve_a_script_of_the_users_comes_before_ours() -> None:
    stage = Stage().usual()
    key = "lua.traffic.routing.VirtualService.networking.istio.io"
    stage.put(CONFIG_MAP, config_map({key: "obj.data.spec.hosts = {'by-hand'} return obj.data"}))
    stage.hold("r")
    await stage.settle()
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka")["hosts"] == ["by-hand"]


async def test_row_77_any_kind_with_a_script_is_routed() -> None:
    stage = Stage()
    foo = Kind("example.io", "v1", "Foo", "foos")
    names = {"kind": "Foo", "plural": "foos"}
    stage.put(CRD, {"metadata": {"name": "foos.example.io"}, "spec": {"group": "example.io", "names": names}})
    stage.put(foo, {"metadata": {"name": "f", "namespace": NS}, "spec": {"to": "mocka"}})
    source = "obj.data.spec.to = 'canary' return obj.data"
    stage.put(CONFIG_MAP, config_map({"lua.traffic.routing.Foo.example.io": source}))
    routing = traffic_routing()
    routing["spec"]["objectRef"][0]["customNetworkRefs"] = [{"apiVersion": "example.io/v1", "kind": "Foo", "name": "f"}]
    stage.put(TRAFFIC_ROUTING, routing)
    stage.hold("r")
    await stage.settle(seconds=3)
    assert stage.spec(foo, "f") == {"to": "canary"}


async def test_a_kind_that_is_being_read_is_not_said_to_be_missing() -> None:
    """Not even where there is nothing to read, so that no change comes to tell."""
    stage = Stage(reads=False)
    routing = traffic_routing()
    del routing["spec"]["objectRef"][0]["customNetworkRefs"]
    routing["spec"]["objectRef"][0]["ingress"] = {"name": "shop"}
    stage.put(TRAFFIC_ROUTING, routing)
    await stage.settle(seconds=1)
    assert "status" not in stage.get(TRAFFIC_ROUTING, "mocka-tr")
    stage.reads = True
    await stage.settle(seconds=2)
    assert "Ingress shop not found" in stage.message()


async def test_a_kind_that_cannot_be_read_is_said_so_after_a_while() -> None:
    stage = Stage(reads=False)
    routing = traffic_routing()
    del routing["spec"]["objectRef"][0]["customNetworkRefs"]
    routing["spec"]["objectRef"][0]["ingress"] = {"name": "shop"}
    stage.put(TRAFFIC_ROUTING, routing)
    await stage.settle(seconds=10)
    assert "the controller has not read Ingress of networking.k8s.io/v1 yet" in stage.message()
    stage.reads = True
    await stage.settle(seconds=10)
    assert "Ingress shop not found" in stage.message()


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("return {}", "no spec was returned; return obj.data, or a table with spec, labels, annotations"),
        ("return {spec = 5}", "no spec was returned; return obj.data, or a table with spec, labels, annotations"),
        (
            "obj.data.labels = {lane = 1} return obj.data",
            "labels['lane'] is no text; labels and annotations map texts to texts: tostring(…)",
        ),
    ],
)
async def test_a_script_that_returns_no_object_is_refused_and_empties_nothing(source: str, complaint: str) -> None:
    stage = Stage().usual()
    name = "lua.traffic.routing.VirtualService.networking.istio.io"
    stage.put(CONFIG_MAP, config_map({name: source}))
    await stage.settle()
    assert complaint in stage.message()
    stage.hold("r")
    await stage.settle(seconds=3)
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka") == virtual_service()["spec"]


async def test_row_95_a_header_modifier_is_in_the_generated_rule_alone() -> None:
    modifier = {"set": [{"name": "x-version", "value": "gray"}]}
    first, second = rules(await held(LANE | {"requestHeaderModifier": modifier}))
    assert first["headers"] == {"request": {"set": {"x-version": "gray"}}}
    assert "headers" not in second


async def test_row_96a_improve_a_traffic_routing_may_match_paths_and_query_parameters() -> None:
    match = {"path": {"type": "PathPrefix", "value": "/p"}, "queryParams": [{"name": "q", "value": "1"}]}
    first, _ = rules(await held({"matches": [match]}))
    assert first["match"] == [{"uri": {"prefix": "/p"}, "queryParams": {"q": {"exact": "1"}}}]


def config_map(data: dict[str, str]) -> Obj:
    namespace, name = config_map_key()
    return {"metadata": {"namespace": namespace, "name": name}, "data": data}
