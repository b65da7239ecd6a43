"""HTTPRoutes on live traffic: what they become is put before a real Envoy, and asked as a client would.

Numbers are those of the list of behaviours the rows come from.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest
import yaml

from graylane.kit.cache import Cache, View
from graylane.mesh.gatewayapi.controller import GATEWAY_CLASS_OBJECT
from graylane.mesh.gatewayapi.objects import wanted
from graylane.model import kinds
from graylane.model.kinds import Kind
from graylane.testing import meshes
from graylane.testing.sampling import everyone, likely
from graylane.testing.waiting import eventually

from .certificates import Authority
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
API_OF = {"ServiceEntry": "networking.istio.io/v1beta1"}
HOST = "a.example.com"
HTTPS, MORE = 8443, 8888
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


async def have(town: Town, *texts: str, gateway: str = GATEWAY) -> None:
    """The town with Services by version, and what the Gateway API's objects of `texts` become."""
    town.cluster.apply(*(each for each in yaml.safe_load_all(BY_VERSION) if each))
    documents = [each for text in (gateway, *texts) for each in yaml.safe_load_all(text) if each]
    caches = {kind: Cache() for kind in KINDS.values()}
    known = ("Service", "Secret", "ServiceEntry")
    there = [{"apiVersion": API_OF.get(kind, "v1"), **each} for kind in known for each in town.cluster.of(kind)]
    pods = [{"apiVersion": "v1", "kind": "Pod", **each} for each in town.cluster.pods]
    for each in (GATEWAY_CLASS_OBJECT, *there, *pods, *documents):
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
    await everyone(lambda: enter(town, "/half"), {"v1", 500})


async def test_124_a_route_of_a_service_is_for_clients_in_the_mesh_alone(town: Town) -> None:
    parent = "{group: '', kind: Service, name: b, port: 8000}"
    await have(town, route(rule(V2), parent=parent))
    assert {await town.who() for _ in range(8)} == {"v2"}
    assert await enter(town) == 404
    await have(town, route(rule(V1), parent=parent.replace("name: b", "name: two")))
    assert {await town.who("http://two:8000/") for _ in range(8)} == {"v1"}
    await everyone(lambda: town.who("http://two:9000/"), {"v1", "v2"})


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
    seen = [await enter(town, "/w") for _ in range(200)]
    assert seen.count("v1") in likely(200, 0.75)
    assert await enter(town, "/t?held=1") == 504


# -- listeners ------------------------------------------------------------------------------------------------------


def listening(*listeners: str) -> str:
    """The Gateway with other listeners."""
    return GATEWAY.replace("{name: web, port: 80, protocol: HTTP, hostname: '*.example.com'}", ", ".join(listeners))


def secure(name: str, host: str, more: str = "") -> str:
    tls = f"tls: {{certificateRefs: [{{name: {name}}}]{more}}}"
    return f"{{name: {name}, port: {HTTPS}, protocol: HTTPS, hostname: '{host}', {tls}}}"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def hold(town: Town, authority: Authority, **secrets: str) -> None:
    for name, host in secrets.items():
        town.cluster.apply(authority.pair(host).secret(name, "shop", ca=authority.pem))


async def https(town: Town, host: str, context: ssl.SSLContext) -> str | int:
    url = f"https://{town.address(1)}:{HTTPS}/"
    answer = await town.rig.get(url, headers={"host": host}, ssl=context, server_hostname=host)
    return str(answer.json["by"]) if answer.status == 200 else answer.status


async def test_tls_ends_at_a_listener_with_the_certificate_of_the_name_that_is_asked_for(
    town: Town, authority: Authority
) -> None:
    hold(town, authority, one=HOST, two="x.other.com")
    first = route(rule(V1), name="first", parent="{name: front, sectionName: one}")
    second = route(rule(V2), name="second", parent="{name: front, sectionName: two}")
    await have(town, first, second, gateway=listening(secure("one", HOST), secure("two", "*.other.com")))
    assert await https(town, HOST, authority.context()) == "v1"
    assert await https(town, "x.other.com", authority.context()) == "v2"
    with pytest.raises(aiohttp.ClientError):
        await https(town, "third.com", authority.context())


async def test_a_listener_without_its_certificate_stays_closed_while_others_serve(
    town: Town, authority: Authority
) -> None:
    hold(town, authority, one=HOST)
    listeners = listening(secure("one", HOST), secure("none", "b.example.com"))
    await have(town, route(rule(V1)), gateway=listeners)
    assert await https(town, HOST, authority.context()) == "v1"
    with pytest.raises(aiohttp.ClientError):
        await https(town, "b.example.com", authority.context())


async def test_an_option_of_a_listener_asks_clients_for_certificates(town: Town, authority: Authority) -> None:
    hold(town, authority, one=HOST)
    mutual = ", options: {gateway.istio.io/tls-terminate-mode: MUTUAL}"
    await have(town, route(rule(V1)), gateway=listening(secure("one", HOST, mutual)))
    assert await https(town, HOST, authority.context(authority.pair("ann"))) == "v1"
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await https(town, HOST, authority.context())


async def test_a_gateway_opens_several_ports_and_a_route_may_choose_one(town: Town) -> None:
    web = f"{{name: web, port: 80, protocol: HTTP}}, {{name: more, port: {MORE}, protocol: HTTP}}"
    everywhere = route(rule(V1, "path: {value: /every}"), name="every")
    there = route(rule(V2, "path: {value: /there}"), name="there", parent=f"{{name: front, port: {MORE}}}")
    await have(town, everywhere, there, gateway=listening(web))

    async def at_more(path: str) -> str | int:
        answer = await town.rig.get(f"http://{town.address(1)}:{MORE}{path}", headers={"host": HOST})
        return str(answer.json["by"]) if answer.status == 200 else answer.status

    assert [await enter(town, "/every"), await enter(town, "/there")] == ["v1", 404]
    assert [await at_more("/every"), await at_more("/there")] == ["v1", "v2"]


# -- after the cases of the API's own conformance rules -------------------------------------------------------------


def redirecting(matched: str, **redirect: Any) -> str:
    filters = [{"type": "RequestRedirect", "requestRedirect": redirect}]
    return f"matches: [{{path: {{value: {matched}}}}}], filters: {json.dumps(filters)}"


async def test_a_redirect_replaces_what_it_says_and_keeps_the_rest(town: Town) -> None:
    prefix = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}
    bare = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    full = {"type": "ReplaceFullPath", "replaceFullPath": "/one"}
    rules = (
        redirecting("/prefix", path=prefix),
        redirecting("/bare", path=bare),
        redirecting("/full", path=full),
        redirecting("/there", path=prefix, hostname="r.test", statusCode=301),
        redirecting("/port", hostname="r.test", port=8083),
        redirecting("/scheme", hostname="r.test", scheme="https"),
    )
    await have(town, route(*rules))
    here = f"http://{HOST}"
    wanted = {
        "/prefix": (302, f"{here}/new"),
        "/prefix/lemon?q=1": (302, f"{here}/new/lemon?q=1"),
        "/bare/lemon": (302, f"{here}//lemon"),  # as Istio sends it
        "/full/lemon": (302, f"{here}/one"),
        "/there/lemon": (301, "http://r.test/new/lemon"),
        "/port/x": (302, "http://r.test:8083/port/x"),
        "/scheme/x": (302, "https://r.test/scheme/x"),
    }
    answers = {path: await town.enter(path, host=HOST) for path in wanted}
    assert {path: (each.status, each.headers["location"]) for path, each in answers.items()} == wanted


def rewriting(matched: str, more: str = "", **rewrite: Any) -> str:
    filters = json.dumps([{"type": "URLRewrite", "urlRewrite": rewrite}])
    return rule(V1, f"path: {{value: {matched}}}", more=f", filters: {filters[:-1]}{more}]")


async def test_a_rewrite_changes_path_and_host_and_goes_with_headers(town: Town) -> None:
    to_one = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/one"}
    nothing = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    header = ", {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: set}]}}"
    await have(
        town,
        route(
            rewriting("/prefix/one", path=to_one),
            rewriting("/strip", path=nothing),
            rewriting("/host", hostname="h.test"),
            rewriting("/both", header, path=to_one),
        ),
    )
    asked = ("/prefix/one/two", "/prefix/one", "/strip/three", "/strip", "/host/x", "/both/x")
    answers = {path: (await town.enter(path, host=HOST)).json for path in asked}
    paths = {path: answer["path"] for path, answer in answers.items()}
    assert paths == dict(zip(asked, ("/one/two", "/one", "/three", "/", "/host/x", "/one/x"), strict=True))
    assert answers["/host/x"]["host"] == "h.test"
    assert dict(answers["/both/x"]["headers"])["x-a"] == "set"


async def test_mirrors_get_a_copy_of_every_request(town: Town) -> None:
    mirrors = ", ".join(
        f"{{type: RequestMirror, requestMirror: {{backendRef: {each}}}}}" for each in (V2, "{name: c, port: 80}")
    )
    await have(town, route(rule(V1, more=f", filters: [{mirrors}]")))
    assert await enter(town, "/copied") == "v1"

    async def both() -> bool:
        return all(any(each["path"] == "/copied" for each in town.seen[name]) for name in ("v2", "c"))

    await eventually(both, 30)


async def test_conditions_on_headers_methods_and_parameters_hold_together(town: Town) -> None:
    rules = (
        rule(V1, "method: POST"),
        rule(V2, "headers: [{name: v, value: two}]", "queryParams: [{name: v, value: two}]"),
        rule(
            V2, "path: {value: /p}, method: GET, headers: [{name: a, value: '1'}], queryParams: [{name: b, value: x}]"
        ),
    )
    await have(town, route(*rules))
    assert [await enter(town, method="POST"), await enter(town), await enter(town, v="two")] == ["v1", 404, "v2"]
    assert [await enter(town, "/?v=two"), await enter(town, "/?v=twofold")] == ["v2", 404]
    assert [await enter(town, "/p?b=x", a="1"), await enter(town, "/p?b=x"), await enter(town, "/p", a="1")] == [
        "v2",
        404,
        404,
    ]


async def test_a_backends_time_ends_before_the_requests(town: Town) -> None:
    rules = (
        rule(V1, "path: {value: /backend}", more=", timeouts: {request: 30s, backendRequest: 100ms}"),
        rule(V1, "path: {value: /never}", more=", timeouts: {request: 0s, backendRequest: 0s}"),
    )
    await have(town, route(*rules))
    assert await enter(town, "/backend?held=1") == 504
    assert await enter(town, "/never?wait=1") == "v1"


GREETERS = "".join(
    f"""---
kind: Service
apiVersion: v1
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{name: grpc, port: 50051}}]}}
"""
    for name in ("g1", "g2")
)


@contextlib.asynccontextmanager
async def greeters(town: Town) -> AsyncIterator[None]:
    """Two gRPC servers that answer every call with their name, each with what was said after it."""
    async with contextlib.AsyncExitStack() as stack:
        for name, number in (("g1", 30), ("g2", 31)):
            server = grpc.aio.server()
            server.add_generic_rpc_handlers((Greeter(name),))
            assert server.add_insecure_port(f"{town.address(number)}:50051")
            await server.start()
            stack.push_async_callback(server.stop, None)
            town.cluster.pods.append(meshes.pod(f"{name}-1", town.address(number), {"app": name}, namespace="shop"))
        town.cluster.apply(*(each for each in yaml.safe_load_all(GREETERS) if each))
        yield


class Greeter(grpc.GenericRpcHandler):
    def __init__(self, name: str) -> None:
        self.name = name

    def service(self, details: Any) -> Any:
        async def answer(said: bytes, context: Any) -> bytes:
            return f"{self.name} {said.decode()}".encode()

        return grpc.unary_unary_rpc_method_handler(answer)


async def test_grpc_calls_are_routed_by_service_and_method(town: Town) -> None:
    rules = (
        "matches: [{method: {service: shop.Cart}}], backendRefs: [{name: g1, port: 50051}]",
        "matches: [{method: {service: shop.Cart, method: Pay}}], backendRefs: [{name: g2, port: 50051}]",
        "matches: [{headers: [{name: x-lane, value: canary}]}], backendRefs: [{name: g2, port: 50051}]",
        "matches: [{method: {service: shop.None}}], backendRefs: [{name: none, port: 50051}]",
    )
    options = [("grpc.default_authority", HOST)]
    async with greeters(town), grpc.aio.insecure_channel(f"127.0.0.1:{town.node_port}", options) as channel:
        await have(town, route(*rules).replace("kind: HTTPRoute", "kind: GRPCRoute"))

        async def call(method: str, **headers: str) -> str:
            metadata = tuple((name.replace("_", "-"), value) for name, value in headers.items())
            try:
                return str((await channel.unary_unary(method)(b"hi", metadata=metadata, timeout=30)).decode())
            except grpc.aio.AioRpcError as error:
                return str(error.code().name)

        assert [await call("/shop.Cart/Add"), await call("/shop.Cart/Pay")] == ["g1 hi", "g2 hi"]
        assert [await call("/shop.Stock/Take", x_lane="canary"), await call("/shop.Stock/Take")] == [
            "g2 hi",
            "UNIMPLEMENTED",
        ]
        assert await call("/shop.None/Any") == "UNKNOWN"  # what gRPC reads a 500 as
        await town.have(INSIDE, namespace="istio-system")
        asked = channel.unary_unary("/shop.Cart/Add")(b"hi", timeout=30)
        assert (await asked, dict(await asked.initial_metadata())["x-inside"]) == (b"g1 hi", "yes")


INSIDE = """
kind: EnvoyFilter
metadata: {name: inside}
spec:
  configPatches:
  - applyTo: VIRTUAL_HOST
    match: {context: SIDECAR_INBOUND, routeConfiguration: {vhost: {name: "inbound|http|50051"}}}
    patch: {operation: MERGE, value: {response_headers_to_add: [{header: {key: x-inside, value: "yes"}}]}}
"""


async def test_a_route_of_a_service_entry_is_for_its_hosts_in_the_mesh(town: Town) -> None:
    entry = """
apiVersion: networking.istio.io/v1beta1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec:
  hosts: [out.example.org]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: ADDRESS, ports: {http: 8000}}]
"""
    town.cluster.apply(yaml.safe_load(entry.replace("ADDRESS", town.address(6))))
    parent = "{group: networking.istio.io, kind: ServiceEntry, name: outside}"
    await have(town, route(rule(V2, "path: {value: /v2}"), parent=parent))
    assert [await town.who("http://out.example.org/v2"), await town.who("http://out.example.org/")] == ["v2", 404]


async def test_a_gateways_spoof_guard_takes_a_clients_own_dye_away(town: Town) -> None:
    dyed = route(rule(V2, "headers: [{name: my-lane, value: canary}]"), rule(V1))
    guarded = GATEWAY.replace("shop}", "shop, annotations: {graylane.dev/spoof-guard: my-lane}}", 1)
    for gateway, by in ((GATEWAY, "v2"), (guarded, "v1"), (GATEWAY, "v2")):
        await have(town, dyed, gateway=gateway)
        assert (await town.enter(host=HOST, my_lane="canary")).json["by"] == by
