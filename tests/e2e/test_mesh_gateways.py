"""Gateways beyond plain HTTP: TLS that ends there or passes through, TCP, and who gets a port that several want."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yaml

from graylane.mesh.compiler import Compiled
from graylane.testing.envoys import Answer
from graylane.testing.sampling import likely

from .certificates import Authority, server_context
from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

HTTPS, TCP = 8443, 9000


def server(number: int, protocol: str, *hosts: str, **tls: Any) -> dict[str, Any]:
    found = {"port": {"number": number, "name": f"p{number}-{hosts[0]}", "protocol": protocol}, "hosts": list(hosts)}
    return found | ({"tls": tls} if tls else {})


def gateway(*servers: dict[str, Any], name: str = "gw") -> str:
    spec = {"selector": {"istio": "ingressgateway"}, "servers": list(servers)}
    return yaml.safe_dump({"kind": "Gateway", "metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def have(town: Town, authority: Authority, *texts: str, names: tuple[str, ...] = ("a.example",)) -> Compiled:
    """`texts`, with a Secret for each of `names` that is called like it."""
    for name in names:
        town.cluster.apply(authority.pair(name).secret(name, ca=authority.pem))
    return await town.have(*texts)


async def https(town: Town, name: str, context: ssl.SSLContext, path: str = "/", **headers: str) -> Answer:
    url = f"https://{town.address(1)}:{HTTPS}{path}"
    return await town.rig.get(url, headers={"host": name, **headers}, ssl=context, server_hostname=name)


def told(compiled: Compiled, kind: str = "Gateway") -> list[str]:
    findings = compiled.plan.findings
    return [each.message for source, all in findings.items() if source.kind == kind for each in all]


# -- TLS that ends at the gateway -----------------------------------------------------------------------------------


async def test_simple_tls_ends_at_the_gateway_with_the_secret_beside_its_pod(town: Town, authority: Authority) -> None:
    await have(
        town,
        authority,
        gateway(server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example")),
        vs(to("v2"), host="a.example", gateways=["gw"]),
    )
    answer = await https(town, "a.example", authority.context())
    assert answer.json["by"] == "v2"
    assert dict(answer.json["headers"])["x-forwarded-proto"] == "https"


async def test_each_server_of_a_tls_port_has_its_own_certificate_and_routes(town: Town, authority: Authority) -> None:
    await have(
        town,
        authority,
        gateway(
            server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example"),
            server(HTTPS, "HTTPS", "*.b.example", mode="SIMPLE", credentialName="x.b.example"),
        ),
        vs(to("v1"), name="a", host="a.example", gateways=["gw"]),
        vs(to("v2"), name="b", host="x.b.example", gateways=["gw"]),
        names=("a.example", "x.b.example"),
    )
    assert (await https(town, "a.example", authority.context())).json["by"] == "v1"
    assert (await https(town, "x.b.example", authority.context())).json["by"] == "v2"
    with pytest.raises(aiohttp.ClientError):
        await https(town, "other.example", authority.context())


async def test_mutual_tls_wants_a_certificate_of_the_authority(town: Town, authority: Authority) -> None:
    await have(
        town,
        authority,
        gateway(server(HTTPS, "HTTPS", "a.example", mode="MUTUAL", credentialName="a.example")),
        vs(to("v1"), host="*", gateways=["gw"]),
    )
    answer = await https(town, "a.example", authority.context(authority.pair("ann")))
    assert "Subject=" in dict(answer.json["headers"])["x-forwarded-client-cert"]
    for context in (authority.context(), authority.context(Authority().pair("mallory"))):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await https(town, "a.example", context)


async def test_a_secret_that_cannot_be_used_costs_its_own_server_only(town: Town, authority: Authority) -> None:
    bad = authority.pair("b.example").secret("b.example")
    bad["data"]["tls.key"] = authority.pair("c.example").secret("c")["data"]["tls.key"]
    town.cluster.apply(bad)
    compiled = await have(
        town,
        authority,
        gateway(
            server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example"),
            server(HTTPS, "HTTPS", "b.example", mode="SIMPLE", credentialName="b.example"),
            server(HTTPS, "HTTPS", "c.example", mode="SIMPLE", credentialName="c.example"),
        ),
        vs(to("v1"), host="*", gateways=["gw"]),
    )
    assert (await https(town, "a.example", authority.context())).json["by"] == "v1"
    assert not town.rig.refused
    assert ["b.example" in message or "c.example" in message for message in told(compiled)] == [True, True]
    town.cluster.apply(authority.pair("c.example").secret("c.example"))
    await town.push()
    assert (await https(town, "c.example", authority.context())).json["by"] == "v1"


async def test_102_plain_requests_are_redirected_where_tls_is_served(town: Town, authority: Authority) -> None:
    await have(
        town,
        authority,
        gateway(
            server(80, "HTTP", "a.example", httpsRedirect=True),
            server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example"),
        ),
        vs(to("v1"), host="a.example", gateways=["gw"]),
    )
    answer = await town.enter("/p", host="a.example")
    assert (answer.status, answer.headers["location"]) == (301, "https://a.example/p")
    assert (await https(town, "a.example", authority.context())).json["by"] == "v1"


# -- connections ----------------------------------------------------------------------------------------------------


async def test_a_tcp_port_shares_connections_by_weight(town: Town) -> None:
    targets = [
        {"destination": {"host": "b", "subset": name}, "weight": weight} for name, weight in (("v1", 1), ("v2", 3))
    ]
    await town.have(
        gateway(server(TCP, "TCP", "*")),
        vs("[]", host="*", gateways=["gw"], tcp=[{"match": [{"port": TCP}], "route": targets}]),
    )
    url = f"http://{town.address(1)}:{TCP}/"
    seen = [(await town.rig.get(url)).json["by"] for _ in range(200)]
    assert seen.count("v2") in likely(200, 0.75)
    assert seen.count("v1") + seen.count("v2") == 200


@contextlib.asynccontextmanager
async def tls_upstream(address: str, authority: Authority, name: str) -> AsyncIterator[None]:
    """Says its name over TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"this is {name}\n".encode())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, address, 8443, ssl=server_context(authority.pair(name)))
    async with listening:
        yield


async def spoken(address: str, port: int, authority: Authority, name: str) -> str:
    reader, writer = await asyncio.open_connection(address, port, ssl=authority.context(), server_hostname=name)
    line = (await asyncio.wait_for(reader.readline(), 30)).decode().strip()
    writer.close()
    return line


def passing(name: str, host: str) -> str:
    route = [{"destination": {"host": host, "port": {"number": 443}}}]
    return vs(
        "[]",
        name=name,
        host=name,
        gateways=["gw"],
        tls=[{"match": [{"port": HTTPS, "sniHosts": [name]}], "route": route}],
    )


async def test_tls_passes_through_to_whom_its_server_name_says(town: Town, authority: Authority) -> None:
    entries = [
        {
            "kind": "ServiceEntry",
            "metadata": {"name": name},
            "spec": {
                "hosts": [f"{name}.internal"],
                "ports": [{"number": 443, "name": "tls", "protocol": "TLS", "targetPort": 8443}],
                "resolution": "STATIC",
                "endpoints": [{"address": town.address(number)}],
            },
        }
        for name, number in (("one", 20), ("two", 21))
    ]
    async with (
        tls_upstream(town.address(20), authority, "a.example"),
        tls_upstream(town.address(21), authority, "b.example"),
    ):
        await town.have(
            gateway(server(HTTPS, "TLS", "*.example", mode="PASSTHROUGH")),
            *map(yaml.safe_dump, entries),
            passing("a.example", "one.internal"),
            passing("b.example", "two.internal"),
        )
        assert await spoken(town.address(1), HTTPS, authority, "a.example") == "this is a.example"
        assert await spoken(town.address(1), HTTPS, authority, "b.example") == "this is b.example"
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await spoken(town.address(1), HTTPS, authority, "c.example")


async def test_tls_may_end_at_the_gateway_and_go_on_as_tcp(town: Town, authority: Authority) -> None:
    route = [{"destination": {"host": "b", "subset": "v2"}}]
    await have(
        town,
        authority,
        gateway(server(HTTPS, "TLS", "a.example", mode="SIMPLE", credentialName="a.example")),
        vs("[]", host="a.example", gateways=["gw"], tcp=[{"route": route}]),
    )
    answer = await https(town, "a.example", authority.context())
    assert answer.json["by"] == "v2"
    assert "x-forwarded-proto" not in dict(answer.json["headers"])


async def test_pods_tunnels_follow_tcp_rules_of_the_mesh(town: Town) -> None:
    town.cluster.get("Service", "b")["spec"]["ports"][0]["name"] = "tcp-main"
    targets = [{"destination": {"host": "b", "subset": "v2"}}]
    await town.have(vs("[]", tcp=[{"route": targets}]))
    reader, writer = await asyncio.open_connection(town.address(2), 15001)
    writer.write(b"CONNECT b:8000 HTTP/1.1\r\nhost: b:8000\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET / HTTP/1.1\r\nhost: whatever\r\nconnection: close\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b'"by":"v2"'), 30)
    writer.close()


# -- ports that several want ----------------------------------------------------------------------------------------


async def test_103_http_servers_of_two_gateways_share_a_port_and_one_that_speaks_tcp_does_not(town: Town) -> None:
    town.cluster.delete("Gateway", "gw")
    compiled = await town.have(
        gateway(server(80, "HTTP", "a.example"), name="one"),
        gateway(server(80, "HTTP", "b.example"), name="two"),
        gateway(server(80, "TCP", "*"), name="three"),
        vs(to("v1"), name="a", host="a.example", gateways=["one"]),
        vs(to("v2"), name="b", host="b.example", gateways=["two"]),
        vs("[]", name="c", host="*", gateways=["three"], tcp=[{"route": [{"destination": {"host": "c"}}]}]),
    )
    assert (await town.enter(host="a.example")).json["by"] == "v1"
    assert (await town.enter(host="b.example")).json["by"] == "v2"
    assert told(compiled) == ["Conflict with gateway shop/one: port 80 is taken with another protocol"]


async def test_a_server_name_on_one_port_is_given_once(town: Town, authority: Authority) -> None:
    town.cluster.delete("Gateway", "gw")
    one = server(HTTPS, "HTTPS", "a.example", mode="SIMPLE", credentialName="a.example")
    compiled = await have(
        town,
        authority,
        gateway(one, name="one"),
        gateway(one, name="two"),
        vs(to("v1"), name="a", host="a.example", gateways=["one"]),
        vs(to("v2"), name="b", host="a.example", gateways=["two"]),
    )
    assert (await https(town, "a.example", authority.context())).json["by"] == "v1"
    assert told(compiled) == [f"Conflict with gateway shop/one: host a.example on port {HTTPS} is taken"]
