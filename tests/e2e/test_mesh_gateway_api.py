"""HTTPRoutes on live traffic: what they become is put before a real Envoy, and asked as a client would.

Numbers are those of the list of behaviours the rows come from.
"""

from __future__ import annotations

import pytest
import yaml

from graylane.kit.cache import Cache, View
from graylane.mesh.gatewayapi.controller import GATEWAY_CLASS_OBJECT
from graylane.mesh.gatewayapi.objects import wanted
from graylane.model import kinds
from graylane.model.kinds import Kind

from .town import Town

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

KINDS = {(kind.api_version, kind.kind): kind for kind in vars(kinds).values() if isinstance(kind, Kind)}
VERSION = {"resourceVersion": "1"}
API = "gateway.networking.k8s.io/v1"
GATEWAY = f"""
apiVersion: {API}
kind: Gateway
metadata: {{name: front, namespace: shop}}
spec: {{gatewayClassName: istio, listeners: [{{name: web, port: 80, protocol: HTTP, hostname: '*.example.com'}}]}}
"""
HOST = "a.example.com"
V1, V2 = "{name: b-v1, port: 8000}", "{name: b-v2, port: 8000}"
BY_VERSION = "".join(
    f"""---
kind: Service
apiVersion: v1
metadata: {{name: b-{version}, namespace: shop}}
spec: {{selector: {{app: b, version: {version}}}, ports: [{{name: http, port: 8000}}]}}
"""
    for version in ("v1", "v2")
)


def route(*rules: str, name: str = "r", parent: str = "{name: front}") -> str:
    head = f"---\napiVersion: {API}\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\n"
    return f"{head}spec: {{parentRefs: [{parent}], rules: [{', '.join(f'{{{rule}}}' for rule in rules)}]}}\n"


def rule(backend: str, *matches: str, more: str = "") -> str:
    asked = f"matches: [{', '.join(f'{{{match}}}' for match in matches)}], " if matches else ""
    return f"{asked}backendRefs: [{backend}]{more}"


async def have(town: Town, *texts: str) -> None:
    """The town with Services by version, and what the Gateway API's objects of `texts` become."""
    town.cluster.apply(*(each for each in yaml.safe_load_all(BY_VERSION) if each))
    documents = [each for text in (GATEWAY, *texts) for each in yaml.safe_load_all(text) if each]
    caches = {kind: Cache() for kind in KINDS.values()}
    services = [{"apiVersion": "v1", **each} for each in town.cluster.of("Service")]
    for each in (GATEWAY_CLASS_OBJECT, *services, *documents):
        caches[KINDS[each["apiVersion"], each["kind"]]].put({**each, "metadata": VERSION | each["metadata"]})
    town.cluster.delete("Gateway", "gw")
    made = wanted(View(caches)).objects
    town.cluster.apply(*({**obj, "metadata": {**obj["metadata"], "generation": 1}} for obj in made.values()))
    await town.push()


async def enter(town: Town, path: str = "/", host: str = HOST, **options: str) -> str | int:
    answer = await town.enter(path, host=host, **options)
    return str(answer.json["by"]) if answer.status == 200 and answer.text.startswith("{") else answer.status


async def test_121_a_path_prefix_is_of_whole_elements(town: Town) -> None:
    await have(town, route(rule(V1, "path: {type: PathPrefix, value: /foo}")))
    seen = [await enter(town, path) for path in ("/foo", "/foo/", "/foo/bar", "/foobar", "/")]
    assert seen == ["v1", "v1", "v1", 404, 404]


async def test_122_the_more_specific_match_wins_whatever_the_order(town: Town) -> None:
    rules = [
        rule(V1, "path: {type: RegularExpression, value: '/a/.*'}"),
        rule(V1, "path: {type: PathPrefix, value: /a}"),
        rule(V2, "path: {type: PathPrefix, value: /a/b}"),
        rule(V1, "path: {type: Exact, value: /a/b/c}"),
        rule(V1, "headers: [{name: x, value: '1'}]", "headers: [{name: x, value: '2'}]"),
        rule(V2, "headers: [{name: x, value: '1'}, {name: y, value: '1'}]"),
        rule(V1, "path: {type: PathPrefix, value: /m}"),
        rule(V2, "path: {type: PathPrefix, value: /m}, method: POST"),
    ]
    await have(town, route(*rules))
    assert [await enter(town, path) for path in ("/a/x", "/a/b/x", "/a/b/c")] == ["v1", "v2", "v1"]
    assert [await enter(town, x="1"), await enter(town, x="2"), await enter(town, x="1", y="1")] == ["v1", "v1", "v2"]
    assert [await enter(town, "/m"), await enter(town, "/m", method="POST")] == ["v1", "v2"]


async def test_122_the_older_of_two_equal_routes_wins(town: Town) -> None:
    older = route(rule(V2), name="z").replace("namespace: shop", "namespace: shop, creationTimestamp: '2020-01-01'", 1)
    newer = route(rule(V1), name="a").replace("namespace: shop", "namespace: shop, creationTimestamp: '2021-01-01'", 1)
    await have(town, newer, older)
    assert await enter(town) == "v2"


async def test_123_what_leads_nowhere_is_a_500(town: Town) -> None:
    await have(
        town,
        route(
            rule("{name: b-v1, port: 8000, weight: 0}", "path: {value: /zero}"),
            rule("{name: nowhere, port: 8000}", "path: {value: /unknown}"),
            rule("{name: b-v1, port: 7}", "path: {value: /port}"),
            rule("{name: b, port: 8000, namespace: other}", "path: {value: /foreign}"),
            rule(f"{V1}, {{name: nowhere, port: 8000}}", "path: {value: /half}"),
        ),
    )
    assert [await enter(town, path) for path in ("/zero", "/unknown", "/port", "/foreign")] == [500] * 4
    seen = [await enter(town, "/half") for _ in range(60)]
    assert set(seen) == {"v1", 500}


async def test_124_a_route_of_a_service_is_for_clients_in_the_mesh_alone(town: Town) -> None:
    parent = "{group: '', kind: Service, name: b, port: 8000}"
    await have(town, route(rule(V2), parent=parent))
    assert {await town.who() for _ in range(8)} == {"v2"}
    assert await enter(town) == 404
    await have(town, route(rule(V1), parent=parent.replace("name: b", "name: two")))
    assert {await town.who("http://two:8000/") for _ in range(8)} == {"v1"}
    assert {await town.who("http://two:9000/") for _ in range(20)} == {"v1", "v2"}


async def test_a_listeners_host_and_a_routes_host_are_met_together(town: Town) -> None:
    hosted = route(rule(V1)).replace("parentRefs", "hostnames: [a.example.com, b.other.com], parentRefs")
    await have(town, hosted)
    seen = [await enter(town, host=host) for host in (HOST, "c.example.com", "b.other.com", "example.com")]
    assert seen == ["v1", 404, 404, 404]


async def test_filters_do_what_they_say(town: Town) -> None:
    header = (
        "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: '1'}], remove: [x-b]}}, "
        "{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-c, value: '2'}]}}"
    )
    prefix = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}"
    bare = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}"
    full = "{type: URLRewrite, urlRewrite: {hostname: h.test, path: {type: ReplaceFullPath, replaceFullPath: /one}}}"
    away = "{type: RequestRedirect, requestRedirect: {scheme: https, hostname: r.test, statusCode: 301}}"
    rules = [
        rule(V1, "path: {value: /headers}", more=f", filters: [{header}]"),
        rule(V1, "path: {value: /prefix}", more=f", filters: [{prefix}]"),
        rule(V1, "path: {value: /bare}", more=f", filters: [{bare}]"),
        rule(V1, "path: {value: /full}", more=f", filters: [{full}]"),
        f"matches: [{{path: {{value: /away}}}}], filters: [{away}]",
    ]
    await have(town, route(*rules))
    answer = await town.enter("/headers", host=HOST, x_b="gone")
    sent = dict(answer.json["headers"])
    assert (sent["x-a"], sent.get("x-b"), answer.headers["x-c"]) == ("1", None, "2")
    paths = [
        (await town.enter(path, host=HOST)).json["path"] for path in ("/prefix", "/prefix/x?q", "/bare", "/bare/x")
    ]
    assert paths == ["/new", "/new/x?q", "/", "/x"]
    answer = await town.enter("/full/x", host=HOST)
    assert (answer.json["path"], answer.json["host"]) == ("/one", "h.test")
    answer = await town.enter("/away/x", host=HOST)
    assert (answer.status, answer.headers["location"]) == (301, "https://r.test/away/x")


async def test_weights_are_shares_and_a_timeout_ends_a_request(town: Town) -> None:
    await have(
        town,
        route(
            rule(f"{{name: b-v1, port: 8000, weight: 3}}, {V2}", "path: {value: /w}"),
            rule(V1, "path: {value: /t}", more=", timeouts: {request: 100ms}"),
        ),
    )
    seen = [await enter(town, "/w") for _ in range(100)]
    assert 55 <= seen.count("v1") <= 92
    assert await enter(town, "/t?wait=2") == 504
