"""The life of one TrafficRouting: routes in when a Rollout holds it, out when the last one lets go."""

import json

from graylane.kit.istiod import Answer as Told
from graylane.model.kinds import CONFIG_MAP, CRD, DESTINATION_RULE, SERVICE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import annotations_of, dig, finalizers_of
from graylane.model.trafficrouting import ADDED, FINALIZER, ORIGINAL
from graylane.testing.inline import Inline
from graylane.trafficrouting.controller import controllers
from graylane.trafficrouting.proxies import Proxies
from tests.stories.trafficrouting.stage import (
    LANE,
    NS,
    Mesh,
    Stage,
    destination_rule,
    traffic_routing,
    virtual_service,
)

LANE_RULE = {
    "match": [{"headers": {"my-request-id": {"exact": "canary"}}}],
    "route": [{"destination": {"host": "mocka", "subset": "canary"}}],
}
CANARY = {"name": "canary", "labels": {"istio.service.tag": "gray"}}


async def test_a_new_one_is_healthy_and_touches_nothing() -> None:
    stage = await Stage().usual().settle()
    assert stage.phase() == "Healthy"
    assert stage.message() == "TrafficRouting is Healthy"
    assert stage.condition("Accepted")["status"] == "True"
    assert stage.condition("RoutesConfirmed")["status"] == "True"
    assert finalizers_of(stage.get(TRAFFIC_ROUTING, "mocka-tr")) == [FINALIZER]
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())
    assert await stage.settles_without_writing()


async def test_a_held_one_routes_and_says_for_whom() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"] == [LANE_RULE, virtual_service()["spec"]["http"][0]]
    assert stage.spec(DESTINATION_RULE, "dr-mocka")["subsets"][1:] == [CANARY]
    assert (stage.phase(), stage.active_for()) == ("Progressing", ["rollouts-a"])
    assert stage.message() == "TrafficRouting is Progressing"
    assert stage.condition("RoutesConfirmed")["reason"] == "ProxiesAcknowledged"
    assert stage.reasons() == ["Healthy", "Progressing", "RoutesConfirmed"]
    assert await stage.settles_without_writing()


async def test_the_original_is_remembered_in_the_form_openkruise_uses() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    notes = annotations_of(stage.get(VIRTUAL_SERVICE, "vs-mocka"))
    assert json.loads(notes[ORIGINAL]) == {"spec": virtual_service()["spec"]}
    assert json.loads(notes[ADDED])["patch"] == [{"op": "add", "path": "/spec/http/0", "value": LANE_RULE}]


async def test_the_end_of_a_release_leaves_nothing_behind() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    stage.release("rollouts-a")
    await stage.settle()
    assert (stage.phase(), stage.active_for()) == ("Healthy", [])
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())
    assert stage.clean(DESTINATION_RULE, destination_rule())
    assert "routes" not in stage.get(TRAFFIC_ROUTING, "mocka-tr")["status"]
    assert await stage.settles_without_writing()


async def test_routes_wait_for_the_subset_to_be_confirmed_and_activity_for_the_routes() -> None:
    stage = await Stage(mesh=Mesh(holds_back={"dr-mocka", "vs-mocka"})).usual().settle()
    stage.hold("rollouts-a")
    stage.mesh.holds_back = {"dr-mocka"}
    await stage.settle()
    stage.mesh.holds_back = {"dr-mocka", "vs-mocka"}
    # The mesh reported on the rule before, so it is known to lag, not to be silent.
    stage.world.patch(DESTINATION_RULE, NS, "dr-mocka", {"status": _acked(generation=1)}, subresource="status")
    await stage.settle()
    assert (stage.has_subset(), stage.has_route()) == (True, False)
    assert "DestinationRule dr-mocka is on its way to the proxies" in stage.message()
    stage.mesh.holds_back = {"vs-mocka"}
    await stage.settle(seconds=3)  # which object proxies are getting is told when it lasts
    assert (stage.has_route(), stage.active_for()) == (True, [])
    assert "VirtualService vs-mocka is on its way to the proxies" in stage.message()
    stage.mesh.holds_back = set()
    await stage.settle()
    assert stage.active_for() == ["rollouts-a"]


async def test_the_subset_goes_only_when_the_route_is_confirmed_gone() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    stage.mesh.holds_back = {"vs-mocka"}
    stage.release("rollouts-a")
    await stage.settle()
    assert (stage.has_route(), stage.has_subset(), stage.active_for()) == (False, True, ["rollouts-a"])
    await stage.settle(seconds=3)
    assert (stage.phase(), stage.active_for()) == ("Finalizing", ["rollouts-a"])
    stage.mesh.holds_back = set()
    await stage.settle()
    assert (stage.phase(), stage.active_for(), stage.has_subset()) == ("Healthy", [], False)


async def test_a_route_that_proxies_refuse_is_not_live_and_the_message_says_why() -> None:
    stage = await Stage(mesh=Mesh(refuses={"vs-mocka"})).usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    assert stage.active_for() == []
    assert stage.message().endswith("VirtualService vs-mocka is not on all proxies: proxy a: duplicate domain")
    assert stage.condition("RoutesConfirmed")["reason"] == "ProxiesRefuse"


async def test_with_a_silent_mesh_the_grace_period_stands_in_for_confirmation_and_says_so() -> None:
    stage = await Stage(mesh=Mesh(silent=True)).usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    assert (stage.has_subset(), stage.has_route()) == (True, False)
    assert "DestinationRule dr-mocka is not reported on by the mesh; waits 3 s, until" in stage.message()
    await stage.settle(seconds=3)
    assert (stage.has_route(), stage.active_for()) == (True, [])
    await stage.settle(seconds=3)
    assert stage.active_for() == ["rollouts-a"]
    assert stage.condition("RoutesConfirmed")["status"] == "Unknown"
    assert stage.message() == "TrafficRouting is Progressing"
    stage.release("rollouts-a")
    await stage.settle()
    assert (stage.has_route(), stage.has_subset(), stage.phase()) == (False, True, "Finalizing")
    await stage.settle(seconds=3)
    assert (stage.has_subset(), stage.phase()) == (False, "Healthy")
    assert await stage.settles_without_writing()


async def test_two_rollouts_share_it_in_either_order_of_finishing() -> None:
    for first, second in (("a", "b"), ("b", "a")):
        stage = await Stage().usual().settle()
        stage.hold("a")
        stage.hold("b")
        await stage.settle()
        assert stage.active_for() == ["a", "b"]
        stage.release(first)
        await stage.settle()
        assert (stage.active_for(), stage.has_route(), stage.phase()) == ([second], True, "Progressing")
        stage.release(second)
        await stage.settle()
        assert (stage.active_for(), stage.clean(VIRTUAL_SERVICE, virtual_service())) == ([], True)


async def test_two_on_one_virtual_service_compose_in_either_order() -> None:
    specs = []
    for order in (("a", "b"), ("b", "a")):
        stage = await two_on_one().settle()
        for name in order:
            stage.hold(f"rollout-{name}", f"tr-{name}")
            await stage.settle()
        specs.append(stage.spec(VIRTUAL_SERVICE, "vs-shared"))
        assert [rule["route"][0]["destination"]["host"] for rule in specs[-1]["http"]] == [
            "mocka",
            "mocka",
            "mockb",
            "mockb",
        ]
        stage.release(f"rollout-{order[0]}", f"tr-{order[0]}")
        await stage.settle()
        assert (stage.phase(f"tr-{order[0]}"), stage.active_for(f"tr-{order[1]}")) == (
            "Healthy",
            [f"rollout-{order[1]}"],
        )
        stage.release(f"rollout-{order[1]}", f"tr-{order[1]}")
        await stage.settle()
        assert stage.clean(VIRTUAL_SERVICE, shared_virtual_service())
        assert await stage.settles_without_writing()
    assert specs[0] == specs[1]


async def test_a_strategy_edited_in_the_middle_is_computed_from_the_original() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    stage.edit(TRAFFIC_ROUTING, "mocka-tr", {"strategy": {"matches": None, "weight": 20}})
    await stage.settle()
    assert [route["weight"] for route in stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"][0]["route"]] == [80, 20]
    assert (len(stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]), stage.active_for()) == (1, ["rollouts-a"])


async def test_all_entries_of_object_ref_are_used() -> None:
    stage = two_on_one()
    entries = [
        traffic_routing(service=name, refs=[("VirtualService", "vs-shared")])["spec"]["objectRef"][0]
        for name in ("mocka", "mockb")
    ]
    both = traffic_routing("tr-both") | {"spec": {"strategy": LANE, "objectRef": entries}}
    stage.put(TRAFFIC_ROUTING, both)
    await stage.settle()
    stage.hold("r", "tr-both")
    await stage.settle()
    assert len(stage.spec(VIRTUAL_SERVICE, "vs-shared")["http"]) == 4
    stage.release("r", "tr-both")
    await stage.settle()
    assert stage.clean(VIRTUAL_SERVICE, shared_virtual_service())


async def test_deleting_it_in_the_middle_restores_first_then_lets_go() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    stage.mesh.holds_back = {"vs-mocka"}
    stage.world.delete(TRAFFIC_ROUTING, NS, "mocka-tr")
    await stage.settle()
    assert (stage.phase(), stage.has_route()) == ("Terminating", False)
    assert FINALIZER in finalizers_of(stage.get(TRAFFIC_ROUTING, "mocka-tr"))
    stage.mesh.holds_back = set()
    await stage.settle()
    assert (stage.has_subset(), stage.active_for()) == (False, [])
    assert finalizers_of(stage.get(TRAFFIC_ROUTING, "mocka-tr")) == ["progressing.rollouts.kruise.io/rollouts-a"]
    stage.release("rollouts-a")
    await stage.settle()
    assert stage.world.get(TRAFFIC_ROUTING, NS, "mocka-tr") is None


async def test_deleting_a_resting_one_is_immediate_whatever_the_mesh_does() -> None:
    stage = await Stage(mesh=Mesh(refuses={"vs-mocka"})).usual().settle()
    stage.world.delete(TRAFFIC_ROUTING, NS, "mocka-tr")
    await stage.settle()
    assert stage.world.get(TRAFFIC_ROUTING, NS, "mocka-tr") is None


async def test_routes_of_one_that_vanished_without_its_finalizer_are_taken_out() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    stage.world.patch(TRAFFIC_ROUTING, NS, "mocka-tr", {"metadata": {"finalizers": None}})
    stage.world.delete(TRAFFIC_ROUTING, NS, "mocka-tr")
    await stage.reconcile("mocka-tr")
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())
    assert stage.clean(DESTINATION_RULE, destination_rule())


# -- what is missing


async def test_a_missing_virtual_service_is_named_and_taken_up_when_it_appears() -> None:
    stage = Stage()
    stage.put(DESTINATION_RULE, destination_rule())
    stage.put(TRAFFIC_ROUTING, traffic_routing())
    await stage.settle()
    said = (
        "TrafficRouting default/mocka-tr: VirtualService vs-mocka not found; "
        "create it or correct spec.objectRef[0].customNetworkRefs[0]"
    )
    assert (stage.phase(), stage.message()) == ("Initial", said)
    assert (stage.condition("Accepted")["status"], stage.condition("Accepted")["reason"]) == (
        "False",
        "VirtualServiceNotFound",
    )
    assert [(event.type, event.message) for event in stage.world.events] == [("Warning", said)]
    stage.hold("rollouts-a")
    await stage.settle()
    assert (stage.phase(), stage.has_subset()) == ("Progressing", False)
    stage.put(VIRTUAL_SERVICE, virtual_service())
    await stage.settle()
    assert (stage.active_for(), stage.has_route()) == (["rollouts-a"], True)
    assert stage.reasons()[-2:] == ["Accepted", "RoutesConfirmed"]


async def test_a_virtual_service_deleted_in_the_middle_is_named_and_routed_again_when_it_is_back() -> None:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    await stage.settle()
    stage.world.delete(VIRTUAL_SERVICE, NS, "vs-mocka")
    await stage.settle()
    assert ("vs-mocka not found" in stage.message(), stage.active_for()) == (True, [])
    stage.put(VIRTUAL_SERVICE, virtual_service())
    await stage.settle()
    assert (stage.has_route(), stage.active_for()) == (True, ["rollouts-a"])
    stage.world.delete(VIRTUAL_SERVICE, NS, "vs-mocka")
    stage.release("rollouts-a")
    await stage.settle()
    assert (stage.phase(), stage.has_subset()) == ("Healthy", False)


async def test_every_kind_of_trouble_names_the_field_and_what_to_do() -> None:
    entry = traffic_routing()["spec"]["objectRef"][0]
    custom = {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "r"}
    found = {
        "Service gone not found; create it or correct spec.objectRef[0].service": entry | {"service": "gone"},
        "spec.objectRef[0].customNetworkRefs is empty; name what to route": {"service": "mocka"},
        "ApisixRoute of apisix.apache.org/v2 is not served; install its CRD or correct "
        "spec.objectRef[0].customNetworkRefs[0]": {
            "service": "mocka",
            "customNetworkRefs": [custom],
        },
    }
    for message, ref in found.items():
        stage = Stage().usual()
        stage.edit(TRAFFIC_ROUTING, "mocka-tr", {"objectRef": [ref]})
        await stage.settle()
        assert stage.message() == f"TrafficRouting default/mocka-tr: {message}"
        assert stage.condition("Accepted")["status"] == "False"


# -- scripts


def script_map(**scripts: str) -> dict[str, object]:
    data = {f"lua.traffic.routing.{kind}": source for kind, source in scripts.items()}
    return {"metadata": {"name": "kruise-rollout-configuration", "namespace": "kruise-rollout"}, "data": data}


async def test_a_script_in_the_config_map_replaces_ours_and_an_edit_of_it_is_taken_up() -> None:
    stage = await Stage().usual().settle()
    key = "VirtualService.networking.istio.io"
    stage.put(CONFIG_MAP, script_map(**{key: "obj.data.spec.hosts = {'by-hand'} return obj.data"}))
    stage.hold("rollouts-a")
    await stage.settle()
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka")["hosts"] == ["by-hand"]
    stage.put(CONFIG_MAP, script_map())
    await stage.settle()
    assert (stage.spec(VIRTUAL_SERVICE, "vs-mocka")["hosts"], stage.has_route()) == (["mocka"], True)


async def test_a_failing_script_is_named_with_its_line_before_the_release_and_routes_stay_during_it() -> None:
    stage = await Stage().usual().settle()
    key = "VirtualService.networking.istio.io"
    stage.put(CONFIG_MAP, script_map(**{key: "\nreturn obj.data.spec.nothing.here"}))
    await stage.settle()
    assert stage.condition("Accepted")["reason"] == "ScriptFailed"
    assert (
        f"VirtualService vs-mocka: ConfigMap kruise-rollout/kruise-rollout-configuration lua.traffic.routing.{key}:2: "
        in stage.message()
    )
    stage.put(CONFIG_MAP, script_map())
    stage.hold("rollouts-a")
    await stage.settle()
    stage.put(CONFIG_MAP, script_map(**{key: "error('no')"}))
    await stage.settle()
    assert (stage.has_route(), stage.active_for(), stage.condition("Accepted")["status"]) == (
        True,
        ["rollouts-a"],
        "False",
    )
    stage.release("rollouts-a")
    await stage.settle()
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())


async def test_any_kind_with_a_script_can_be_routed() -> None:
    stage = Stage()
    foo = Kind("example.io", "v1", "Foo", "foos")
    crd = {
        "metadata": {"name": "foos.example.io"},
        "spec": {"group": "example.io", "names": {"kind": "Foo", "plural": "foos"}},
    }
    stage.put(CRD, crd)
    stage.put(foo, {"metadata": {"name": "f", "namespace": NS}, "spec": {"backends": [{"name": "mocka"}]}})
    routing = traffic_routing()
    routing["spec"]["objectRef"][0]["customNetworkRefs"] = [{"apiVersion": "example.io/v1", "kind": "Foo", "name": "f"}]
    stage.put(TRAFFIC_ROUTING, routing)
    await stage.settle()
    assert stage.message() == (
        "TrafficRouting default/mocka-tr: no script for Foo f; add the key lua.traffic.routing.Foo.example.io "
        "to ConfigMap kruise-rollout/kruise-rollout-configuration"
    )
    source = "table.insert(obj.data.spec.backends, {name = 'canary'}) return obj.data"
    stage.put(CONFIG_MAP, script_map(**{"Foo.example.io": source}))
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert stage.spec(foo, "f")["backends"] == [{"name": "mocka"}, {"name": "canary"}]
    assert stage.active_for() == ["rollouts-a"]
    stage.put(CONFIG_MAP, script_map())  # the script is not needed to take the routes out
    stage.release("rollouts-a")
    await stage.settle(seconds=3)
    assert (stage.spec(foo, "f")["backends"], stage.phase()) == ([{"name": "mocka"}], "Healthy")


async def test_an_object_dropped_from_the_spec_in_the_middle_is_restored() -> None:
    stage = await Stage().usual().settle()
    stage.put(VIRTUAL_SERVICE, virtual_service("vs-other"))
    stage.hold("rollouts-a")
    await stage.settle()
    refs = [("VirtualService", "vs-other"), ("DestinationRule", "dr-mocka")]
    stage.edit(TRAFFIC_ROUTING, "mocka-tr", traffic_routing(refs=refs)["spec"])
    await stage.settle()
    assert (stage.has_route("vs-other"), stage.clean(VIRTUAL_SERVICE, virtual_service())) == (True, True)
    assert {entry["name"] for entry in dig(stage.get(TRAFFIC_ROUTING, "mocka-tr"), "status", "routes")} == {
        "vs-other",
        "dr-mocka",
    }


async def test_an_api_write_is_not_made_twice() -> None:
    stage = await Stage().usual().settle()
    before = stage.world.writes
    stage.mesh.silent = True  # count ours alone
    for kind, name in ((VIRTUAL_SERVICE, "vs-mocka"), (DESTINATION_RULE, "dr-mocka")):
        stage.world.patch(kind, NS, name, {"status": None}, subresource="status")
    stage.hold("rollouts-a")
    await stage.settle(seconds=10)
    stage.release("rollouts-a")
    await stage.settle(seconds=10)
    assert stage.phase() == "Healthy"
    assert stage.world.writes - before <= 20


def _acked(generation: int) -> dict[str, object]:
    entry = {"type": "Reconciled", "status": "True", "reason": "Acknowledged", "message": "2/2 proxies up to date"}
    return {"observedGeneration": generation, "conditions": [entry]}


def shared_virtual_service() -> dict[str, object]:
    rules = [
        {"match": [{"uri": {"prefix": f"/{name}"}}], "route": [{"destination": {"host": name}}]}
        for name in ("mocka", "mockb")
    ]
    return {"metadata": {"name": "vs-shared", "namespace": NS}, "spec": {"hosts": ["*"], "http": rules}}


def two_on_one() -> Stage:
    stage = Stage()
    stage.put(SERVICE, {"metadata": {"name": "mockb", "namespace": NS}, "spec": {}})
    stage.put(VIRTUAL_SERVICE, shared_virtual_service())
    for name in ("a", "b"):
        stage.put(
            TRAFFIC_ROUTING,
            traffic_routing(f"tr-{name}", refs=[("VirtualService", "vs-shared")], service=f"mock{name}"),
        )
    return stage


async def test_where_only_istiod_tells_routes_are_confirmed_as_soon_as_proxies_acknowledge() -> None:
    """Its grace would be 60 s. What was sent and acknowledged comes from a pretended /debug/syncz."""
    pushes = 1

    async def istiod() -> list[Told]:
        sent = {
            f"{name}_{word}": f"t/{pushes}{'u' * 36}" for name in ("cluster", "route") for word in ("sent", "acked")
        }
        return [Told("istiod-0", [{"proxy": "web.default", **sent}])]

    stage = Stage(mesh=Mesh(silent=True))
    stage.controllers = controllers(Inline(), lambda kind, keys: True, Proxies(istiod))
    stage.usual()
    routing = stage.get(TRAFFIC_ROUTING, "mocka-tr")
    routing["spec"]["objectRef"][0]["gracePeriodSeconds"] = 60
    await stage.settle()
    stage.hold("rollouts-a")
    await stage.settle(seconds=1)
    assert (stage.has_subset(), stage.has_route()) == (True, False)
    pushes += 1
    await stage.settle(seconds=1)
    assert (stage.has_route(), stage.active_for()) == (True, [])
    pushes += 1
    await stage.settle(seconds=1)
    assert stage.active_for() == ["rollouts-a"]
