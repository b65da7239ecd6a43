"""Fields that no numbered behaviour speaks of, each on live traffic: connections, outliers, ports, names of routes."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from graylane.testing import envoys
from graylane.testing.sampling import everyone
from graylane.testing.waiting import eventually

from .certificates import Authority, Pair
from .test_mesh_egress import at, entry, obj, sidecar
from .test_mesh_gateways import HTTPS, gateway, have, https, server, told
from .test_mesh_policies import EJECTING, IN_TURN, ONCE, failures_before, one_is_dead, tunnelled
from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ONE = ", retries: {attempts: 0}"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def statistic(town: Town, name: str) -> int:
    answer = await town.rig.get(f"http://127.0.0.1:{town.rig.admin_port}/stats?filter=^{name}$")
    return sum(int(line.rpartition(": ")[2]) for line in answer.text.splitlines())


# -- VirtualService -------------------------------------------------------------------------------------------------


async def test_a_route_is_named_by_its_rule_and_its_match(town: Town) -> None:
    shown = ", headers: {response: {set: {x-route: '%ROUTE_NAME%'}}}"
    rules = to("v1", f", name: first, match: [{{name: one, uri: {{prefix: /a}}}}, {{uri: {{prefix: /b}}}}]{shown}")
    await town.have(vs(rules + to("v2", shown)))
    named = {"/a": "first.one", "/b": "first"}
    for path, name in named.items():
        assert (await town.ask(f"http://b:8000{path}")).headers["x-route"] == name


@pytest.mark.parametrize(
    ("scheme", "by"), [("{exact: http}", "v2"), ("{regex: 'https?'}", "v2"), ("{exact: https}", "v1")]
)
async def test_a_scheme_may_be_asked_for(town: Town, scheme: str, by: str) -> None:
    await town.have(vs(to("v2", f", match: [{{scheme: {scheme}}}]") + to("v1")))
    assert await town.who() == by


async def test_a_matchs_requests_are_counted_under_its_prefix(town: Town) -> None:
    await town.have(vs(to("v1", ", match: [{statPrefix: counted, uri: {prefix: /a}}]") + to("v2")))
    assert [await town.who("http://b:8000/a") for _ in range(3)] == ["v1"] * 3
    assert await town.who() == "v2"

    async def counted() -> bool:
        return await statistic(town, "vhost.*route.counted.upstream_rq_total") == 3

    await eventually(counted, 30)


async def test_a_direct_responses_body_may_be_bytes(town: Town) -> None:
    await town.have(vs("- {directResponse: {status: 202, body: {bytes: aGVsbG8=}}}"))
    answer = await town.ask("http://b:8000/")
    assert (answer.status, answer.text) == (202, "hello")


async def test_retries_that_may_go_elsewhere_happen(town: Town) -> None:
    again = "retries: {attempts: 3, retryOn: 5xx, perTryTimeout: 20s, retryRemoteLocalities: true}"
    await town.have(vs(to("v1", f", {again}")))
    assert await town.who("http://b:8000/?status=500&until=3") == "v1"
    assert len(town.seen["v1"]) == 3


async def test_percentages_written_as_they_once_were_hold(town: Town) -> None:
    await town.have(vs(to("v1", ", fault: {delay: {fixedDelay: 300ms, percent: 100}}")))
    started = asyncio.get_running_loop().time()
    assert await town.who() == "v1"
    assert (
        asyncio.get_running_loop().time() - started >= 0.15
    )  # half: Envoy counts from when it last looked at the clock
    for field, copies in (("mirrorPercent", 0), ("mirror_percent", 0), ("mirrorPercent", 100)):
        town.seen["v2"].clear()
        await town.have(vs(to("v1", f", mirror: {{host: b, subset: v2}}, {field}: {copies}")))
        assert await town.who() == "v1"
        if copies:
            await eventually(lambda: town.seen["v2"], 30)
        assert bool(town.seen["v2"]) is bool(copies)


@pytest.mark.parametrize("kind", ["tcp", "tls"])
@pytest.mark.parametrize(
    ("match", "of_client", "of_c"),
    [
        ({"port": 80}, "v2", "v2"),
        ({"port": 81}, "v1", "v1"),
        ({"sourceLabels": {"app": "client"}}, "v2", "v1"),
        ({"sourceNamespace": "shop"}, "v2", "v2"),
        ({"sourceNamespace": "elsewhere"}, "v1", "v1"),
        ({"gateways": ["gw"]}, "v1", "v1"),
    ],
)
async def test_a_connections_match_tells_callers_apart(
    town: Town, kind: str, match: dict[str, Any], of_client: str, of_c: str
) -> None:
    service = town.cluster.get("Service", "two")
    service["spec"]["ports"] = [{"name": kind, "port": 80, "targetPort": 8000}]
    at_b = [{"destination": {"host": "b", "subset": each, "port": {"number": 8000}}} for each in ("v1", "v2")]
    name = {"sniHosts": ["two.shop.svc.cluster.local"]} if kind == "tls" else {}
    rules = [{"match": [{**match, **name}], "route": [at_b[1]]}, {"match": [{**name}], "route": [at_b[0]]}]
    await town.have(vs("[]", host="two", gateways=["mesh", "gw"], **{kind: rules}))
    assert [await tunnelled(town, "two:80", source) for source in ("client", "c")] == [of_client, of_c]


# -- DestinationRule: connections -----------------------------------------------------------------------------------

INNER = "http://inner.example/"


async def inner(town: Town, http: dict[str, Any], protocol: str = "HTTP") -> None:
    """A service that is our own gateway, which speaks HTTP/2 as well and tells by what it was asked."""
    told = "{request: {set: {x-protocol: '%PROTOCOL%', x-connection: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%'}}}"
    here = {"address": town.address(1), "ports": {"main": 8080}}
    await town.have(
        entry("inner.example", protocol=protocol, endpoints=[here]),
        vs(to("v1", f", headers: {told}"), name="inner", host="inner.example", gateways=["gw"]),
        obj("DestinationRule", "inner", host="inner.example", trafficPolicy={"connectionPool": {"http": http}}),
    )


async def heard(town: Town, url: str = INNER) -> dict[str, str]:
    answer = await town.rig.get(url, proxy=f"http://{town.address(2)}:15001")
    return dict(answer.json["headers"])


@pytest.mark.parametrize(
    ("protocol", "http", "spoken"),
    [
        ("HTTP", {}, "HTTP/1.1"),
        ("HTTP", {"h2UpgradePolicy": "UPGRADE"}, "HTTP/2"),
        ("HTTP", {"h2UpgradePolicy": "DO_NOT_UPGRADE"}, "HTTP/1.1"),
        ("HTTP2", {}, "HTTP/2"),
        ("GRPC", {}, "HTTP/2"),
        ("HTTP2", {"useClientProtocol": True}, "HTTP/1.1"),
    ],
)
async def test_the_protocol_spoken_is_the_ports_or_as_asked_for(
    town: Town, protocol: str, http: dict[str, Any], spoken: str
) -> None:
    await inner(town, {"maxRetries": 3, **http}, protocol)
    assert (await heard(town))["x-protocol"] == spoken


@pytest.mark.parametrize(("http", "connections"), [({}, 1), ({"maxConcurrentStreams": 1}, 3)])
async def test_a_connection_carries_so_many_requests_at_once(
    town: Town, http: dict[str, Any], connections: int
) -> None:
    await inner(town, {"h2UpgradePolicy": "UPGRADE", **http})
    await heard(town)
    received = town.seen["v1"]
    received.forget()
    asked = [asyncio.create_task(heard(town, f"{INNER}?held=1")) for _ in range(3)]
    await eventually(lambda: len(received) == 3)
    received.let_go(3)
    found = await asyncio.gather(*asked)
    assert len({each["x-connection"] for each in found}) == connections


@pytest.mark.parametrize(
    ("pool", "counted"),
    [
        ({"http": {"idleTimeout": "200ms"}}, "upstream_cx_idle_timeout"),
        ({"tcp": {"idleTimeout": "200ms"}}, "upstream_cx_idle_timeout"),
        ({"tcp": {"maxConnectionDuration": "200ms"}}, "upstream_cx_max_duration_reached"),
    ],
)
async def test_a_connection_ends_after_so_long(town: Town, pool: dict[str, Any], counted: str) -> None:
    name = f"cluster.*v1.*b.shop.*{counted}"
    before = await statistic(town, name)
    await town.follow({"connectionPool": pool}, vs(to("v1", ONE)))
    assert await town.who() == "v1"

    async def ended() -> bool:
        return await statistic(town, name) > before

    await eventually(ended, 30)
    assert await town.who() == "v1"
    assert len({request["peer"] for request in town.seen["v1"]}) == 2


# -- DestinationRule: outliers, and who sees it ---------------------------------------------------------------------


async def test_with_too_few_healthy_pods_all_of_them_are_asked(town: Town) -> None:
    one_is_dead(town)
    await town.follow({**IN_TURN, "outlierDetection": {**EJECTING, "minHealthPercent": 60}}, vs(ONCE))
    assert [await town.who() for _ in range(40)].count(503) >= 15
    await town.follow({**IN_TURN, "outlierDetection": {**EJECTING, "minHealthPercent": 40}})
    assert await failures_before(town, 12) >= 3


async def test_no_more_than_a_share_of_the_pods_is_ejected(town: Town) -> None:
    ejecting = {"consecutive5xxErrors": 2, "interval": "1s"}
    await town.follow({"outlierDetection": ejecting}, vs(to("v1", ONE)))
    assert [await town.who("http://b:8000/?status=500") for _ in range(6)] == [500] * 6
    await town.follow({"outlierDetection": {**ejecting, "maxEjectionPercent": 100}})
    assert [await town.who("http://b:8000/?status=500") for _ in range(2)] == [500, 500]

    async def ejected() -> bool:
        return await town.who("http://b:8000/?status=500") == 503

    await eventually(ejected, 30)


async def test_failures_to_connect_may_be_counted_by_themselves(town: Town) -> None:
    one_is_dead(town)
    apart = {"splitExternalLocalOriginErrors": True, "consecutive5xxErrors": 0, "interval": "1s"}
    apart |= {"maxEjectionPercent": 100}
    await town.follow({**IN_TURN, "outlierDetection": {**apart, "consecutiveLocalOriginFailures": 0}}, vs(ONCE))
    assert [await town.who() for _ in range(30)].count(503) == 15
    await town.follow({**IN_TURN, "outlierDetection": {**apart, "consecutiveLocalOriginFailures": 3}})
    assert await failures_before(town, 12) >= 3


@pytest.mark.parametrize(("scopes", "others"), [(["."], False), (["elsewhere"], True), (["*"], True)])
async def test_a_rule_is_for_the_namespaces_it_is_exported_to(town: Town, scopes: list[str], others: bool) -> None:
    await town.follow({}, vs(to("v2")), exportTo=scopes)
    assert (await town.who("http://b.shop:8000/", "stranger") == "v2") is others
    assert (await town.who() == "v2") is (scopes != ["elsewhere"])


# -- Gateway --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["HTTP", "http2", "GRPC", "gRPC-Web", "TCP", "Mongo", "MYSQL", "redis"])
async def test_a_port_speaks_what_it_says_however_that_is_spelled(town: Town, protocol: str) -> None:
    plain = protocol.lower() in ("tcp", "mongo", "mysql", "redis")
    rules: dict[str, Any] = {"tcp": [{"route": [{"destination": {"host": "b", "subset": "v1"}}]}]} if plain else {}
    await town.have(
        gateway(server(8000, protocol, "*")),
        vs("[]" if plain else to("v1"), host="*", gateways=["gw"], **rules),
    )
    answer = await town.rig.get(f"http://{town.address(1)}:8000/")
    assert answer.json["by"] == "v1"


async def test_a_gateway_opens_nothing_on_pods_that_it_does_not_select(town: Town) -> None:
    opened = gateway(server(8000, "HTTP", "*"))
    compiled = await town.have(
        opened.replace("istio: ingressgateway", "istio: other"), vs(to("v1"), host="*", gateways=["gw"])
    )
    with pytest.raises(aiohttp.ClientConnectionError):
        await town.rig.get(f"http://{town.address(1)}:8000/")
    assert any("istio=other" in message for message in told(compiled))
    await town.have(opened)
    assert (await town.rig.get(f"http://{town.address(1)}:8000/")).json["by"] == "v1"


async def test_a_server_may_listen_on_an_address_of_its_own(town: Town) -> None:
    own = {**server(8000, "HTTP", "*"), "bind": town.address(50)}
    own["port"]["name"] = "own"
    await town.have(
        gateway(server(8000, "HTTP", "a.example"), {**own, "hosts": ["b.example"]}),
        vs(to("v1"), host="*", gateways=["gw"]),
    )
    for number, host in ((1, "a.example"), (50, "b.example")):
        asked = [
            await town.rig.get(f"http://{town.address(number)}:8000/", headers={"host": each})
            for each in ("a.example", "b.example")
        ]
        assert [each.status == 200 for each in asked] == [host == "a.example", host == "b.example"]
    compiled = await town.have(gateway({**own, "bind": "0.0.0.0"}))
    assert (await town.rig.get(f"http://{town.address(1)}:8000/", headers={"host": "x"})).status == 200
    assert not told(compiled)
    compiled = await town.have(gateway({**own, "bind": "192.0.2.1"}))
    assert any(message.startswith("spec.servers[].bind 192.0.2.1") for message in told(compiled))


async def test_a_servers_name_is_that_of_its_statistics(town: Town, authority: Authority) -> None:
    secure = server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example")
    plain = {**server(8000, "HTTP", "a.example"), "name": "plain-door"}
    await have(
        town, authority, gateway(plain, {**secure, "name": "safe-door"}), vs(to("v1"), host="*", gateways=["gw"])
    )
    await town.rig.get(f"http://{town.address(1)}:8000/", headers={"host": "a.example"})
    await https(town, "a.example", authority.context())
    for door in ("plain-door", "safe-door"):
        assert await statistic(town, f"http.{door}.downstream_rq_total") == 1


async def test_a_tls_ports_name_is_part_of_its_routes_name(town: Town, authority: Authority) -> None:
    door = server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example")
    door["port"]["name"] = "front"
    await have(town, authority, gateway(door), vs(to("v1"), host="*", gateways=["gw"]))
    for name, headers in (("front", 1), ("back", 0)):
        table = {"portName": name, "gateway": "shop/gw", "name": f"https.{HTTPS}.{name}.gw.shop"}
        mark = {"header": {"key": "x-marked", "value": "yes"}}
        patch = {"operation": "MERGE", "value": {"response_headers_to_add": [mark]}}
        one = {"applyTo": "ROUTE_CONFIGURATION", "match": {"routeConfiguration": table}, "patch": patch}
        await town.have(obj("EnvoyFilter", "marking", "istio-system", configPatches=[one]))
        answer = await https(town, "a.example", authority.context())
        assert (answer.json["by"], len(answer.headers.getall("x-marked", []))) == ("v1", headers)


async def test_a_clients_certificate_may_be_optional(town: Town, authority: Authority) -> None:
    door = server(HTTPS, "HTTPS", "a.example", mode="OPTIONAL_MUTUAL", credentialName="a.example")
    await have(town, authority, gateway(door), vs(to("v1"), host="*", gateways=["gw"]))
    without = await https(town, "a.example", authority.context())
    assert "x-forwarded-client-cert" not in dict(without.json["headers"])
    shown = await https(town, "a.example", authority.context(authority.pair("ann")))
    assert "Subject=" in dict(shown.json["headers"])["x-forwarded-client-cert"]
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await https(town, "a.example", authority.context(Authority().pair("mallory")))


def digests(pair: Pair) -> dict[str, str]:
    leaf = x509.load_pem_x509_certificate(pair.certificate)
    key = leaf.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key)
    return {
        "subjectAltNames": "ann",
        "verifyCertificateSpki": base64.b64encode(digest.finalize()).decode(),
        "verifyCertificateHash": leaf.fingerprint(hashes.SHA256()).hex(),
    }


@pytest.mark.parametrize("field", ["subjectAltNames", "verifyCertificateSpki", "verifyCertificateHash"])
async def test_a_clients_certificate_may_have_to_be_a_certain_one(town: Town, authority: Authority, field: str) -> None:
    ann, bob = authority.pair("ann"), authority.pair("bob")
    wanted = {field: [digests(ann)[field]]}
    door = server(HTTPS, "HTTPS", "a.example", mode="MUTUAL", credentialName="a.example", **wanted)
    await have(town, authority, gateway(door), vs(to("v1"), host="*", gateways=["gw"]))
    assert (await https(town, "a.example", authority.context(ann))).json["by"] == "v1"
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await https(town, "a.example", authority.context(bob))


@pytest.mark.parametrize(
    ("settings", "version", "accepted"),
    [
        ({"minProtocolVersion": "TLSV1_3"}, ssl.TLSVersion.TLSv1_2, False),
        ({"minProtocolVersion": "TLSV1_3"}, ssl.TLSVersion.TLSv1_3, True),
        ({"maxProtocolVersion": "TLSV1_2"}, ssl.TLSVersion.TLSv1_3, False),
        ({"maxProtocolVersion": "TLSV1_2"}, ssl.TLSVersion.TLSv1_2, True),
        ({"cipherSuites": ["ECDHE-ECDSA-AES256-GCM-SHA384"]}, ssl.TLSVersion.TLSv1_2, True),
        ({"cipherSuites": ["ECDHE-ECDSA-CHACHA20-POLY1305"]}, ssl.TLSVersion.TLSv1_2, False),
    ],
)
async def test_versions_and_ciphers_of_tls_are_those_that_are_allowed(
    town: Town, authority: Authority, settings: dict[str, Any], version: ssl.TLSVersion, accepted: bool
) -> None:
    door = server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example", **settings)
    await have(town, authority, gateway(door), vs(to("v1"), host="*", gateways=["gw"]))
    context = authority.context()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    if accepted:
        assert (await https(town, "a.example", context)).json["by"] == "v1"
    else:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await https(town, "a.example", context)


# -- ServiceEntry ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["MESH_EXTERNAL", "MESH_INTERNAL"])
async def test_what_is_inside_and_what_is_outside_is_reached_alike(town: Town, location: str) -> None:
    await town.have(entry("ext.example", location=location, endpoints=[at(town, 4)]))
    assert await town.who("http://ext.example/") == "v1"


async def test_a_gateway_has_no_address_to_go_on_to_where_an_entry_has_no_resolution(town: Town) -> None:
    asked = town.address(6)
    route = vs(
        f"- {{route: [{{destination: {{host: {asked}, port: {{number: 8000}}}}}}]{ONE}}}", host="*", gateways=["gw"]
    )
    await town.have(entry(asked, resolution="NONE", port=8000), route)
    assert await town.who(f"http://{asked}:8000/") == "c"
    answer = await town.enter(host=f"{asked}:8000")
    assert answer.status == 503
    assert len(town.seen["c"]) == 1


async def test_an_entrys_port_may_be_another_one_at_each_endpoint(town: Town) -> None:
    async with envoys.upstream("elsewhere", town.address(30), 8123):
        other = {"address": town.address(30), "ports": {"main": 8123}}
        await town.have(entry("ext.example", endpoints=[at(town, 4), other]), sidecar("*/*"))
        await everyone(lambda: town.who("http://ext.example/"), {"v1", "elsewhere"})


# -- Sidecar --------------------------------------------------------------------------------------------------------


async def test_the_default_way_of_capture_may_be_written(town: Town) -> None:
    entries = [{"hosts": ["./c.shop.svc.cluster.local"], "captureMode": "DEFAULT"}]
    refuse = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    compiled = await town.have(obj("Sidecar", "sc", egress=entries, **refuse))
    assert [await town.who("http://c/"), await town.who()] == ["c", 502]
    assert not told(compiled, "Sidecar")
