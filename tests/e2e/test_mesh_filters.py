"""EnvoyFilters on live traffic: every target, every operation, in Istio's order."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import yaml

from graylane.model.meta import Obj
from graylane.testing import meshes
from graylane.testing.sampling import everyone

from .town import PODS, Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# -- HTTP filters --------------------------------------------------------------------------------------------------

TYPES = "type.googleapis.com/envoy.extensions"
LUA = f"{TYPES}.filters.http.lua.v3.Lua"


def envoy_filter(
    code: str,
    *,
    context: str = "GATEWAY",
    operation: str = "INSERT_BEFORE",
    at: str = "envoy.filters.http.router",
    name: str = "ef",
    namespace: str = "istio-system",
    **spec: Any,
) -> str:
    """One HTTP_FILTER patch with some Lua, beside the filter `at`."""
    place = {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": at}}
    patch: Obj = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": context, "listener": {"filterChain": {"filter": place}}},
        "patch": {
            "operation": operation,
            "value": {"name": "lua", "typed_config": {"@type": LUA, "inlineCode": code}},
        },
    }
    metadata = {"name": name, "namespace": namespace}
    return yaml.safe_dump({"kind": "EnvoyFilter", "metadata": metadata, "spec": {"configPatches": [patch], **spec}})


def adds(header: str, value: str) -> str:
    return f'function envoy_on_request(h) h:headers():add("{header}", "{value}") end'


async def test_106_a_header_set_in_lua_steers_the_route_at_the_gateway_only(town: Town) -> None:
    await town.have(
        vs(to("v2", ", match: [{headers: {x-lane: {exact: canary}}}]") + to("v1"), host="*", gateways=["gw"]),
        vs(to("v1"), name="mesh"),
        envoy_filter(adds("x-lane", "canary")),
    )
    answer = await town.enter()
    assert answer.json["by"] == "v2"
    assert ["x-lane", "canary"] in answer.json["headers"]
    assert "x-lane" not in dict((await town.ask("http://b:8000/")).json["headers"])


async def test_106_in_the_mesh_a_filter_holds_for_the_pods_it_selects(town: Town) -> None:
    selected = {"workloadSelector": {"labels": {"app": "client"}}}
    await town.have(envoy_filter(adds("x-lane", "c"), context="SIDECAR_OUTBOUND", namespace="shop", **selected))
    assert "x-lane" in dict((await town.ask("http://b.shop:8000/")).json["headers"])
    assert "x-lane" not in dict((await town.ask("http://b.shop:8000/", "stranger")).json["headers"])


async def test_107_and_111_a_filter_that_finds_no_place_or_no_workload_changes_nothing(town: Town) -> None:
    await town.have(
        vs(to("v1"), host="*", gateways=["gw"]),
        envoy_filter(adds("x-a", "1"), at="envoy.filters.http.nothing", name="one"),
        envoy_filter(adds("x-b", "1"), name="two", workloadSelector={"labels": {"app": "other"}}),
    )
    sent = dict((await town.enter()).json["headers"])
    assert "x-a" not in sent
    assert "x-b" not in sent


async def test_109_and_110_priority_then_root_namespace_then_age_decide_the_order(town: Town) -> None:
    await town.have(
        vs(to("v1"), host="*", gateways=["gw"]),
        envoy_filter(adds("x-o", "1"), name="late", priority=1),
        envoy_filter(adds("x-o", "2"), name="early", priority=-1),
        envoy_filter(adds("x-o", "3"), name="middle"),
    )
    headers = (await town.enter()).json["headers"]
    assert [value for name, value in headers if name == "x-o"] == ["2", "3", "1"]


async def test_110_the_root_namespaces_filters_come_before_ones_own(town: Town) -> None:
    await town.have(
        envoy_filter(adds("x-o", "own"), context="SIDECAR_OUTBOUND", namespace="shop", name="a-older"),
        envoy_filter(adds("x-o", "root"), context="SIDECAR_OUTBOUND", name="b-younger"),
    )
    headers = (await town.ask("http://b:8000/")).json["headers"]
    assert [value for name, value in headers if name == "x-o"] == ["root", "own"]


@pytest.mark.parametrize("operation", ["INSERT_FIRST", "INSERT_AFTER", "REPLACE"])
async def test_filters_are_put_first_behind_or_instead(town: Town, operation: str) -> None:
    await town.have(
        vs(to("v1"), host="*", gateways=["gw"]),
        envoy_filter(adds("x-o", "1"), operation=operation, at="envoy.filters.http.fault"),
    )
    assert ["x-o", "1"] in (await town.enter()).json["headers"]
    assert not town.rig.refused


async def test_a_merge_changes_a_filter_put_in_before_it(town: Town) -> None:
    await town.have(
        vs(to("v1"), host="*", gateways=["gw"]),
        envoy_filter(adds("x-o", "1")),
        envoy_filter(adds("x-o", "2"), operation="MERGE", at="lua", name="merge"),
    )
    assert ["x-o", "2"] in (await town.enter()).json["headers"]


@pytest.mark.parametrize(
    ("operation", "code"), [("INSERT_BEFORE", "function envoy_on_request(h"), ("ADD", adds("x", "1"))]
)
async def test_108_and_116_what_envoy_refuses_leaves_the_old_listener_serving(
    town: Town, operation: str, code: str
) -> None:
    await town.have(vs(to("v1"), host="*", gateways=["gw"]))
    await town.have(envoy_filter(code, operation=operation))
    assert {each.resource.type.short for each in town.rig.refused} == {"LDS"}
    assert (await town.enter()).json["by"] == "v1"
    town.cluster.delete("EnvoyFilter", "ef")
    await town.push()
    assert (await town.enter()).json["by"] == "v1"


# -- other targets --------------------------------------------------------------------------------------------------


MANAGER = "envoy.filters.network.http_connection_manager"
EDGE = vs(to("v1"), host="*", gateways=["gw"])
HOST = "b.shop.svc.cluster.local:8000"


def patch(
    target: str, operation: str, value: Obj | None = None, context: str = "ANY", priority: int = 0, **match: Obj
) -> str:
    """One patch of any kind, for everybody."""
    written: Obj = {"applyTo": target, "match": {"context": context, **match}, "patch": {"operation": operation}}
    if value is not None:
        written["patch"]["value"] = value
    metadata = {"name": f"{target}-{operation}-{priority}".lower().replace("_", "-"), "namespace": "istio-system"}
    spec = {"configPatches": [written], "priority": priority}
    return yaml.safe_dump({"kind": "EnvoyFilter", "metadata": metadata, "spec": spec})


def adding(header: str, value: str, side: str = "request") -> Obj:
    return {f"{side}_headers_to_add": [{"header": {"key": header, "value": value}}]}


async def sent(town: Town, header: str, source: str = "client") -> list[str]:
    headers = (await town.ask("http://b.shop:8000/", source)).json["headers"]
    return [value for name, value in headers if name == header]


async def test_112_a_merged_duration_replaces_the_one_there(town: Town) -> None:
    service = {"service": "b.shop.svc.cluster.local"}
    await town.have(patch("CLUSTER", "MERGE", {"connect_timeout": "0.5s"}, cluster=service))
    dump = await town.rig.config_dump()
    found = {
        each["cluster"]["name"]: each["cluster"]["connect_timeout"]
        for part in dump["configs"]
        for each in part.get("dynamic_active_clusters", ())
    }
    changed = {name: length for name, length in found.items() if length == "0.500s"}
    assert changed
    assert all("|b.shop.svc.cluster.local" in name or name.startswith("inbound|8000||~") for name in changed)
    assert await town.who() in ("v1", "v2")


async def test_a_cluster_is_changed_for_the_pods_that_are_selected_only(town: Town) -> None:
    obj = yaml.safe_load(patch("CLUSTER", "REMOVE"))
    obj["metadata"]["namespace"] = "shop"
    obj["spec"]["workloadSelector"] = {"labels": {"app": "client"}}
    await town.have(yaml.safe_dump(obj))
    assert await town.who() == 503
    assert await town.who(source="c") in ("v1", "v2")
    assert await town.who("http://b.shop:8000/", "stranger") in ("v1", "v2")


async def test_a_cluster_may_be_added_and_routed_to(town: Town) -> None:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": town.address(6), "port_value": 8000}}}}
    added = {
        "name": "added",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "added", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    route = {"match": {"prefix": "/c"}, "route": {"cluster": "added"}}
    await town.have(
        patch("CLUSTER", "ADD", added),
        patch("HTTP_ROUTE", "INSERT_FIRST", route, routeConfiguration={"vhost": {"name": HOST}}),
    )
    assert not town.rig.refused
    assert await town.who("http://b:8000/c") == "c"
    assert await town.who("http://b:8000/") in ("v1", "v2")


async def test_113_a_merged_list_is_appended_to_in_order_of_priority(town: Town) -> None:
    place = {"vhost": {"name": HOST}}
    await town.have(
        patch("VIRTUAL_HOST", "MERGE", adding("x-o", "2"), routeConfiguration=place),
        patch("VIRTUAL_HOST", "MERGE", adding("x-o", "1"), routeConfiguration=place, priority=-1),
    )
    assert await sent(town, "x-o") == ["1", "2"]


async def test_114_a_virtual_host_is_named_as_istio_names_it(town: Town) -> None:
    elsewhere = {"gateway": "a/b"}  # which sidecars do not look at
    await town.have(
        patch("VIRTUAL_HOST", "MERGE", adding("x-a", "1"), routeConfiguration={"vhost": {"name": HOST}}),
        patch("VIRTUAL_HOST", "MERGE", adding("x-b", "1"), routeConfiguration={"name": "8000"}, priority=1),
        patch("VIRTUAL_HOST", "MERGE", adding("x-c", "1"), routeConfiguration={"portNumber": 9000}, priority=2),
        patch("VIRTUAL_HOST", "MERGE", adding("x-d", "1"), "GATEWAY", priority=3),
        patch("VIRTUAL_HOST", "MERGE", adding("x-e", "1"), "SIDECAR_OUTBOUND", 4, routeConfiguration=elsewhere),
    )
    assert [await sent(town, f"x-{name}") for name in "abcde"] == [["1"], ["1"], [], [], ["1"]]


async def test_virtual_hosts_are_replaced_removed_and_added(town: Town) -> None:
    direct = [{"match": {"prefix": "/"}, "direct_response": {"status": 418}}]
    gone = {"name": "nothing:80", "domains": ["new.example"], "routes": direct}
    one = {**gone, "domains": ["b:8000"]}
    await town.have(
        patch("VIRTUAL_HOST", "REPLACE", one, routeConfiguration={"vhost": {"name": HOST}}),
        patch("VIRTUAL_HOST", "REMOVE", routeConfiguration={"vhost": {"name": "c.shop.svc.cluster.local:80"}}),
        patch("VIRTUAL_HOST", "ADD", gone),
    )
    assert not town.rig.refused
    assert await town.who("http://b:8000/") == 418
    assert await town.who("http://b.shop:8000/") == 503
    assert await town.who("http://c/") == 503
    assert await town.who("http://new.example/") == 418


async def test_115_an_inserted_route_wins(town: Town) -> None:
    route = {"name": "mine", "match": {"prefix": "/"}, "direct_response": {"status": 418}}
    await town.have(patch("HTTP_ROUTE", "INSERT_FIRST", route, routeConfiguration={"vhost": {"name": HOST}}))
    assert await town.who() == 418
    assert await town.who("http://c/") == "c"


async def test_routes_are_merged_removed_added_and_put_beside_one_another(town: Town) -> None:
    def at(name: str = "", **route: Obj) -> Obj:
        return {"vhost": {"name": HOST, "route": {"name": name, **route}}}

    def direct(path: str, status: int) -> Obj:
        return {"name": path, "match": {"path": path}, "direct_response": {"status": status}}

    rules = yaml.safe_load(to("v1", ", name: one, match: [{uri: {prefix: /one}}]") + to("v2", ", name: two"))
    await town.have(
        vs(yaml.safe_dump(rules)),
        patch("HTTP_ROUTE", "MERGE", adding("x-m", "1"), routeConfiguration=at("one", action="ROUTE")),
        patch("HTTP_ROUTE", "INSERT_BEFORE", direct("/one/a", 418), routeConfiguration=at("one")),
        patch("HTTP_ROUTE", "INSERT_AFTER", direct("/b", 419), routeConfiguration=at("one")),
        patch("HTTP_ROUTE", "ADD", direct("/last", 420), routeConfiguration={"vhost": {"name": HOST}}),
    )
    assert [await town.who(f"http://b:8000{path}") for path in ("/one", "/one/a", "/b", "/last")] == [
        "v1",
        418,
        419,
        "v2",
    ]
    assert ["x-m", "1"] in (await town.ask("http://b:8000/one")).json["headers"]
    await town.have(patch("HTTP_ROUTE", "REMOVE", routeConfiguration=at("one")))
    assert await town.who("http://b:8000/one") == "v2"


async def test_a_filter_may_ask_a_route_which_object_it_is_of(town: Town) -> None:
    await town.have(vs(to("v1"), name="whose"))
    place = {"vhost": {"name": HOST}}
    asking = adding("x-of", "%METADATA(ROUTE:istio:config)%")
    await town.have(patch("VIRTUAL_HOST", "MERGE", asking, routeConfiguration=place))
    assert await sent(town, "x-of") == ["/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/whose"]


async def test_a_route_table_is_merged_into(town: Town) -> None:
    named = {"name": "http.8080"}
    await town.have(
        EDGE, patch("ROUTE_CONFIGURATION", "MERGE", adding("x-r", "1", "response"), routeConfiguration=named)
    )
    assert (await town.enter()).headers["x-r"] == "1"
    assert "x-r" not in (await town.ask("http://b.shop:8000/")).headers


async def test_a_gateways_table_is_found_by_its_services_port(town: Town) -> None:
    await town.have(
        EDGE,
        patch("VIRTUAL_HOST", "MERGE", adding("x-a", "1"), "GATEWAY", routeConfiguration={"portNumber": 80}),
        patch("VIRTUAL_HOST", "MERGE", adding("x-b", "1"), "GATEWAY", 1, routeConfiguration={"gateway": "shop/gw"}),
    )
    headers = dict((await town.enter()).json["headers"])
    assert ("x-a" in headers, "x-b" in headers) == (True, False)  # plain HTTP tables belong to no one Gateway


async def test_a_network_filter_is_merged_inserted_and_removed(town: Town) -> None:
    place = {"filterChain": {"filter": {"name": MANAGER}}}
    manager = {"@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"}
    refuse = {
        "@type": f"{TYPES}.filters.network.rbac.v3.RBAC",
        "stat_prefix": "r",
        "rules": {},
    }
    merged = {"name": MANAGER, "typed_config": {**manager, "server_name": "mine"}}
    change = patch("NETWORK_FILTER", "MERGE", merged, "GATEWAY", listener=place)
    await town.have(EDGE, change, envoy_filter(adds("x-o", "1")))
    answer = await town.enter()
    assert answer.headers["server"] == "mine"
    assert ["x-o", "1"] in answer.json["headers"]
    rbac = {"name": "rbac", "typed_config": refuse}
    await town.have(patch("NETWORK_FILTER", "INSERT_BEFORE", rbac, "GATEWAY", listener=place))
    assert await closed(town)
    removed = {"filterChain": {"filter": {"name": "rbac"}}}
    await town.have(patch("NETWORK_FILTER", "REMOVE", None, "GATEWAY", 1, listener=removed))
    assert (await town.enter()).status == 200


async def closed(town: Town) -> bool:
    """Whether the gateway ends connections without an answer."""
    try:
        await town.rig.get(f"http://127.0.0.1:{town.node_port}/")
    except aiohttp.ClientError:
        return True
    return False


async def test_listener_filters_are_added_and_removed(town: Town) -> None:
    inspector = {
        "name": "envoy.filters.listener.http_inspector",
        "typed_config": {"@type": f"{TYPES}.filters.listener.http_inspector.v3.HttpInspector"},
    }
    chosen = {"filter_chain_match": {"application_protocols": ["h2c"]}}
    await town.have(
        EDGE,
        patch("LISTENER_FILTER", "ADD", inspector, "GATEWAY"),
        patch("FILTER_CHAIN", "MERGE", chosen, "GATEWAY"),
    )
    assert await closed(town)  # what is inspected is HTTP/1.1
    named = {"listenerFilter": "envoy.filters.listener.http_inspector"}
    town.cluster.delete("EnvoyFilter", "filter-chain-merge-0")
    await town.have(patch("LISTENER_FILTER", "REMOVE", None, "GATEWAY", 1, listener=named))
    assert (await town.enter()).status == 200


async def test_filter_chains_are_removed_and_added(town: Town) -> None:
    proxy = {
        "@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "x",
        "cluster": "outbound|80||c.shop.svc.cluster.local",
    }
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    await town.have(
        EDGE,
        patch("FILTER_CHAIN", "REMOVE", None, "GATEWAY", listener={"portNumber": 80}),
        patch("FILTER_CHAIN", "ADD", chain, "GATEWAY", listener={"portNumber": 80}),
    )
    assert (await town.rig.get(f"http://127.0.0.1:{town.node_port}/")).json["by"] == "c"


async def test_listeners_are_merged_and_removed(town: Town) -> None:
    await town.have(EDGE, patch("LISTENER", "MERGE", {"stat_prefix": "mine"}, "GATEWAY", listener={"portNumber": 80}))
    assert (await town.enter()).status == 200
    assert not town.rig.refused
    await town.have(patch("LISTENER", "REMOVE", None, "GATEWAY", 1, listener={"portNumber": 80}))
    assert await closed(town)


async def test_an_added_listener_is_at_the_pods_own_address(town: Town) -> None:
    proxy = {
        "@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "x",
        "cluster": "outbound|80||c.shop.svc.cluster.local",
    }
    value = {
        "name": "mine",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 7777}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    }
    await town.have(patch("LISTENER", "ADD", value, "SIDECAR_OUTBOUND"))
    assert not town.rig.refused
    for number in (2, 3):
        assert (await town.rig.get(f"http://{town.address(number)}:7777/")).json["by"] == "c"


async def test_an_extension_gives_a_filter_its_configuration(town: Town) -> None:
    extension = {"name": "mine", "typed_config": {"@type": LUA, "inlineCode": adds("x-e", "1")}}
    discovered = {
        "name": "mine",
        "config_discovery": {"config_source": {"ads": {}}, "type_urls": [LUA.removeprefix("type.googleapis.com/")]},
    }
    place = {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": "envoy.filters.http.router"}}}}
    compiled = await town.have(EDGE, patch("HTTP_FILTER", "INSERT_BEFORE", discovered, "GATEWAY", listener=place))
    assert (await town.enter()).status == 200
    assert any("'mine'" in each.message for all in compiled.plan.findings.values() for each in all)
    await town.have(patch("EXTENSION_CONFIG", "ADD", extension))
    assert ["x-e", "1"] in (await town.enter()).json["headers"]


async def test_a_patch_for_another_version_of_istio_is_left_out(town: Town) -> None:
    await town.have(
        patch("VIRTUAL_HOST", "MERGE", adding("x-a", "1"), proxy={"proxyVersion": "^1\\.9.*"}),
        patch("VIRTUAL_HOST", "MERGE", adding("x-b", "1"), priority=1, proxy={"proxyVersion": "^1\\.23.*"}),
    )
    assert [await sent(town, "x-a"), await sent(town, "x-b")] == [[], ["1", "1"]]  # going out, and coming in


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (patch("CLUSTER", "MERGE", {"lb_policy": "CLUSTER_PROVIDED"}, "SIDECAR_OUTBOUND"), "CDS"),
        (patch("VIRTUAL_HOST", "MERGE", {"domains": ["*"]}, "SIDECAR_OUTBOUND"), "RDS"),
    ],
)
async def test_116_what_envoy_refuses_of_it_leaves_what_was(town: Town, text: str, refused: str) -> None:
    await town.have(vs(to("v1"), name="mesh"), EDGE)
    await town.have(text)
    assert refused in {each.resource.type.short for each in town.rig.refused}
    for each in town.rig.refused:
        assert each.instead is not None
        assert {source.kind for source in each.resource.sources - each.instead.sources} == {"EnvoyFilter"}
    assert await town.who() == "v1"


# -- the inbound side -----------------------------------------------------------------------------------------------


def inbound_lua(code: str, **options: Any) -> str:
    """Lua at the inbound side of the pods of `b` in version v1."""
    selected = options.pop("selected", {"app": "b", "version": "v1"})
    return envoy_filter(
        code, context="SIDECAR_INBOUND", namespace="shop", workloadSelector={"labels": selected}, **options
    )


def inbound(target: str, operation: str, value: Obj | None = None, priority: int = 0, **match: Obj) -> str:
    return patch(target, operation, value, "SIDECAR_INBOUND", priority, **match)


async def test_an_inbound_filter_changes_what_the_selected_pods_receive(town: Town) -> None:
    await town.have(inbound_lua(adds("x-in", "1")))

    async def told() -> tuple[str, bool]:
        answer = (await town.ask("http://b:8000/")).json
        return answer["by"], "x-in" in dict(answer["headers"])

    await everyone(told, {("v1", True), ("v2", False)})
    await town.have(vs(to("v1"), host="*", gateways=["gw"]))
    assert "x-in" in dict((await town.enter()).json["headers"])


async def test_the_inbound_side_has_istios_names(town: Town) -> None:
    host, table = {"vhost": {"name": "inbound|http|8000"}}, {"name": "inbound|8000||"}
    await town.have(
        vs(to("v1")),
        inbound("VIRTUAL_HOST", "MERGE", adding("x-v", "1"), routeConfiguration=host),
        inbound("ROUTE_CONFIGURATION", "MERGE", adding("x-t", "1"), routeConfiguration=table),
        inbound("HTTP_ROUTE", "MERGE", adding("x-r", "1"), routeConfiguration={"portNumber": 8000}),
        inbound("CLUSTER", "MERGE", {"connect_timeout": "0.5s"}, cluster=table),
        inbound("VIRTUAL_HOST", "MERGE", adding("x-no", "1"), 1, routeConfiguration={"vhost": {"name": HOST}}),
    )
    headers = dict((await town.ask("http://b:8000/")).json["headers"])
    assert {"x-v", "x-t", "x-r"} <= headers.keys()
    assert "x-no" not in headers
    assert await changed_clusters(town, "0.500s") == {f"inbound|8000||~{town.address(each)}" for each in PODS.values()}


async def changed_clusters(town: Town, timeout: str) -> set[str]:
    dump = await town.rig.config_dump()
    found = (each["cluster"] for part in dump["configs"] for each in part.get("dynamic_active_clusters", ()))
    return {each["name"] for each in found if each["connect_timeout"] == timeout}


async def test_inbound_routes_may_answer_and_lead_to_the_pod_by_istios_name(town: Town) -> None:
    direct = {"match": {"prefix": "/closed"}, "direct_response": {"status": 418}}
    renamed = {"match": {"prefix": "/open"}, "route": {"cluster": "inbound|8000||", "prefix_rewrite": "/inside"}}
    await town.have(
        inbound("HTTP_ROUTE", "INSERT_FIRST", renamed),
        inbound("HTTP_ROUTE", "INSERT_FIRST", direct, 1),
    )
    assert await town.who("http://b:8000/closed") == 418
    assert (await town.ask("http://b:8000/open")).json["path"] == "/inside"
    await town.have(inbound("CLUSTER", "REMOVE"))
    assert await town.who("http://b:8000/open") == 503


async def test_inbound_listeners_chains_and_filters_are_patched(town: Town) -> None:
    port = {"portNumber": 8000, "filterChain": {"destinationPort": 8000}}
    place = {"filterChain": {"filter": {"name": MANAGER}}}
    manager = {"@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"}
    rbac = {"name": "rbac", "typed_config": {"@type": f"{TYPES}.filters.network.rbac.v3.RBAC", "stat_prefix": "r"}}
    inspector = {
        "name": "envoy.filters.listener.http_inspector",
        "typed_config": {"@type": f"{TYPES}.filters.listener.http_inspector.v3.HttpInspector"},
    }
    await town.have(
        inbound("LISTENER", "MERGE", {"stat_prefix": "mine"}, listener={"name": "virtualInbound"}),
        inbound("LISTENER_FILTER", "ADD", inspector),
        inbound("FILTER_CHAIN", "MERGE", {"name": "mine"}, listener=port),
        inbound("NETWORK_FILTER", "MERGE", {"name": MANAGER, "typed_config": {**manager, "via": "v"}}, listener=place),
    )
    assert not town.rig.refused
    assert ["via", "v"] in (await town.ask("http://b:8000/")).json["headers"]
    refuse = {"name": "rbac", "typed_config": {**rbac["typed_config"], "rules": {}}}
    await town.have(inbound("NETWORK_FILTER", "INSERT_FIRST", refuse, listener={"portNumber": 8000}))
    assert await town.who("http://b:8000/") == 503
    await town.have(inbound("FILTER_CHAIN", "REMOVE", listener={"portNumber": 8000}))
    assert await town.who("http://b:8000/") in ("v1", "v2")  # what no chain is for passes through


async def test_a_listener_on_the_inbound_side_cannot_be_taken_out_and_that_is_told(town: Town) -> None:
    compiled = await town.have(inbound("LISTENER", "REMOVE", listener={"name": "virtualInbound"}))
    told = [each.message for all in compiled.plan.findings.values() for each in all]
    assert any("REMOVE on LISTENER virtualInbound is not acted on" in message for message in told)
    assert await town.who("http://b:8000/") in ("v1", "v2")


async def test_a_patch_for_any_context_holds_on_both_sides(town: Town) -> None:
    await town.have(envoy_filter(adds("x-any", "1"), context="ANY", namespace="shop"))
    headers = (await town.ask("http://b:8000/")).json["headers"]
    assert [value for name, value in headers if name == "x-any"] == ["1", "1"]


AUTO = """
kind: Service
metadata: {name: auto, namespace: shop}
spec: {selector: {app: c}, clusterIP: 10.96.0.20, ports: [{port: 8000}]}
---
kind: Service
metadata: {name: raw, namespace: shop}
spec: {selector: {app: c}, clusterIP: 10.96.0.21, ports: [{name: tcp-raw, port: 9000, targetPort: 8000}]}
"""


async def test_what_speaks_no_http_comes_in_as_bytes(town: Town) -> None:
    town.cluster.delete("Service", "c")
    proxy = {"@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "none"}
    named = {"filterChain": {"filter": {"name": "envoy.filters.network.tcp_proxy"}}}
    tcp = {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
    await town.have(AUTO, inbound_lua(adds("x-in", "1"), selected={"app": "c"}))
    assert "x-in" in dict((await town.ask("http://auto:8000/")).json["headers"])
    assert await tunnelled(town, "raw:9000") == "200"
    await town.have(inbound("NETWORK_FILTER", "REPLACE", tcp, listener=named))
    assert "x-in" in dict((await town.ask("http://auto:8000/")).json["headers"])


async def tunnelled(town: Town, authority: str) -> str:
    text = f"CONNECT {authority} HTTP/1.1\nHost: {authority}\n\n"
    return (await town.raw(text, line=True)).split()[1]


async def test_who_sticks_to_a_pod_sticks_to_it_while_inbound_filters_come_and_change(town: Town) -> None:
    async def pods() -> list[str | int]:
        return [await town.who("http://b:8000/", x_user=str(number)) for number in range(100)]

    await town.follow({"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}})
    direct = await pods()
    assert set(direct) == {"v1", "v2"}
    for value in ("1", "2"):
        await town.have(inbound_lua(adds("x-in", value), selected={"app": "b"}))
        assert await pods() == direct


async def test_an_inbound_filter_that_envoy_refuses_leaves_the_direct_way(town: Town) -> None:
    await town.have(inbound_lua("function envoy_on_request(h"))
    assert {each.resource.type.short for each in town.rig.refused} == {"LDS"}
    await everyone(town.who, {"v1", "v2"})


async def test_filters_come_and_go_on_the_inbound_side_and_no_request_is_lost(town: Town) -> None:
    await town.have(vs(to("v1"), name="mesh"), vs(to("v1"), host="*", gateways=["gw"]))
    town.plan = None
    statuses: list[int] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            url = f"http://127.0.0.1:{town.node_port}/"
            statuses.append((await town.rig.get(url)).status)
            statuses.append((await town.rig.get("http://b:8000/", proxy=f"http://{town.address(2)}:15001")).status)

    callers = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(20):
        town.cluster.apply(*meshes.manifests(inbound_lua(adds("x-in", str(number)))))
        await town.rig.push(town.cluster.inputs())
        if number % 2:
            town.cluster.delete("EnvoyFilter", "ef")
            await town.rig.push(town.cluster.inputs())
    over.set()
    await asyncio.gather(*callers)
    assert len(statuses) > 100
    assert set(statuses) == {200}
