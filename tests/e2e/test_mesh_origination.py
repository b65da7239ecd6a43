"""TLS that begins at a proxy: plain requests of an application, encrypted ones outside, on live traffic."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from graylane.mesh.inputs import MeshConfig
from graylane.model.meta import Obj
from graylane.testing import envoys, places

from .certificates import Authority, Pair, server_context
from .test_mesh_egress import at, obj
from .test_mesh_gateways import gateway, server, told
from .town import Town, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

HOST = "api.example"


@dataclass
class Outside:
    """A server of `api.example` that speaks TLS alone, another that wants to know who asks, and their authority."""

    authority: Authority
    files: Path
    server: list[Any]
    strict: list[Any]

    def file(self, name: str, content: bytes) -> str:
        path = self.files / name
        path.write_bytes(content)
        return str(path)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outside(shared_town: Town, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    authority = Authority()
    plain, strict = (server_context(authority.pair(HOST, "second.example")) for _ in range(2))
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.load_verify_locations(cadata=authority.pem.decode())
    async with contextlib.AsyncExitStack() as stack:
        seen = [
            await stack.enter_async_context(envoys.upstream(name, shared_town.address(number), 8443, tls=context))
            for name, number, context in (("outside", 21, plain), ("strict", 22, strict))
        ]
        yield Outside(authority, tmp_path_factory.mktemp("pem"), *seen)


@pytest.fixture
def abroad(town: Town, outside: Outside) -> Outside:
    """The authority of the servers outside is one that this machine trusts."""
    roots = outside.file("roots.pem", outside.authority.pem)
    town.cluster.mesh = MeshConfig(access_log="", system_roots=roots)
    outside.server.clear()
    outside.strict.clear()
    return outside


def entry(town: Town, number: int = 21, **spec: Any) -> str:
    """What applications call by http on port 80 is served by TLS on another."""
    ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8443}]
    spec = {"resolution": "STATIC", "endpoints": [at(town, number)], "ports": ports, **spec}
    return obj("ServiceEntry", "api", **{"hosts": [HOST], **spec})


def encrypted(mode: str = "SIMPLE", *, selector: Obj | None = None, host: str = HOST, **tls: Any) -> str:
    spec: dict[str, Any] = {"host": host, "trafficPolicy": {"tls": {"mode": mode, **tls}}}
    if selector is not None:
        spec["workloadSelector"] = {"matchLabels": selector}
    return obj("DestinationRule", "api", **spec)


async def served(town: Town, url: str = f"http://{HOST}/") -> str | int:
    """Who served it, else the status. Whoever speaks plain text to TLS is answered with nonsense."""
    return await town.who(url)


async def test_plain_requests_go_out_encrypted_to_whom_the_machines_authorities_vouch_for(
    town: Town, abroad: Outside
) -> None:
    await town.have(entry(town))
    assert await served(town) != "outside"
    await town.have(encrypted())
    assert await served(town) == "outside"
    town.cluster.mesh = replace(town.cluster.mesh, system_roots=abroad.file("others.pem", Authority().pem))
    await town.push()
    assert await served(town) == 503


async def test_a_ports_policy_may_encrypt_that_port_alone(town: Town, abroad: Outside) -> None:
    ports = [
        {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8443},
        {"number": 8000, "name": "http-plain", "protocol": "HTTP", "targetPort": 8000},
    ]
    at_port = [{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}]
    endpoints = [{"address": town.address(21)}]
    rule = obj("DestinationRule", "api", host=HOST, trafficPolicy={"portLevelSettings": at_port})
    async with envoys.upstream("plain", town.address(21), 8000):
        await town.have(entry(town, ports=ports, endpoints=endpoints), rule)
        assert await served(town) == "outside"
        assert await served(town, f"http://{HOST}:8000/") == "plain"


async def test_a_name_that_is_looked_up_is_called_encrypted_and_its_own_https_port_is_left_alone(
    town: Town, abroad: Outside
) -> None:
    """As Istio's users write it: http in the application, https outside."""
    port = places.free_port()
    ports = [
        {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443},
        {"number": 443, "name": "https", "protocol": "HTTPS"},
    ]
    here = [{"address": "localhost", "ports": {"http": port, "https": port}}]
    at_port = [{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}]
    rule = obj("DestinationRule", "api", host=HOST, trafficPolicy={"portLevelSettings": at_port})
    context = server_context(abroad.authority.pair(HOST))
    async with envoys.upstream("by name", "127.0.0.1", port, tls=context):
        await town.have(entry(town, resolution="DNS", ports=ports, endpoints=here), rule)
        assert await town.reached(f"http://{HOST}/") == "by name"
        tunnel = {"proxy": f"http://{town.address(2)}:15001", "ssl": abroad.authority.context()}
        assert (await town.rig.get(f"https://{HOST}/", **tunnel)).json["by"] == "by name"


async def test_a_subset_may_encrypt_what_a_rule_sends_to_another_port(town: Town, abroad: Outside) -> None:
    ports = [
        {"number": 80, "name": "http", "protocol": "HTTP"},
        {"number": 443, "name": "https", "protocol": "HTTPS", "targetPort": 8443},
    ]
    policy = {"portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "SIMPLE"}}]}
    rule = obj("DestinationRule", "api", host=HOST, subsets=[{"name": "safe", "trafficPolicy": policy}])
    safe = f"{{destination: {{host: {HOST}, subset: safe, port: {{number: 443}}}}}}"
    await town.have(entry(town, ports=ports), rule, vs(f"- {{match: [{{port: 80}}], route: [{safe}]}}", host=HOST))
    assert await served(town) == "outside"


@pytest.mark.parametrize(
    ("protocol", "http", "spoken"),
    [("HTTP", {}, "HTTP/1.1"), ("GRPC", {}, "HTTP/2"), ("HTTP", {"h2UpgradePolicy": "UPGRADE"}, "HTTP/2")],
)
async def test_what_is_spoken_inside_tls_is_agreed_on(
    town: Town, abroad: Outside, protocol: str, http: dict[str, Any], spoken: str
) -> None:
    """Our own gateway is the server: it speaks HTTP/2 to whoever says so when TLS begins, and tells what it heard."""
    town.cluster.apply(abroad.authority.pair(HOST).secret(HOST))
    door = server(8443, "HTTPS", HOST, mode="SIMPLE", credentialName=HOST)
    heard = "{request: {set: {x-protocol: '%PROTOCOL%'}}}"
    ports = [{"number": 80, "name": "main", "protocol": protocol, "targetPort": 8443}]
    pool = {"connectionPool": {"http": http}} if http else {}
    await town.have(
        gateway(door),
        vs(f"- {{route: [{{destination: {{host: b}}}}], headers: {heard}}}", host=HOST, gateways=["gw"]),
        entry(town, 1, ports=ports),
        obj("DestinationRule", "api", host=HOST, trafficPolicy={"tls": {"mode": "SIMPLE"}, **pool}),
    )
    answer = await town.rig.get(f"http://{HOST}/", proxy=f"http://{town.address(2)}:15001")
    assert dict(answer.json["headers"])["x-protocol"] == spoken


async def test_the_name_asked_for_is_the_one_the_certificate_must_be_for(town: Town, abroad: Outside) -> None:
    await town.have(entry(town, hosts=["impostor.example"]), encrypted(host="impostor.example"))
    assert await served(town, "http://impostor.example/") == 503
    await town.have(encrypted(host="impostor.example", subjectAltNames=["second.example"]))
    assert await served(town, "http://impostor.example/") == "outside"
    await town.have(encrypted(host="impostor.example", subjectAltNames=["third.example"]))
    assert await served(town, "http://impostor.example/") == 503
    await town.have(encrypted(host="impostor.example", insecureSkipVerify=True))
    assert await served(town, "http://impostor.example/") == "outside"


async def test_an_entrys_names_are_those_its_certificates_are_for(town: Town, abroad: Outside) -> None:
    names = {"hosts": ["impostor.example"], "subjectAltNames": ["second.example"]}
    await town.have(entry(town, **names), encrypted(host="impostor.example", sni="impostor.example"))
    assert await served(town, "http://impostor.example/") == "outside"
    await town.have(encrypted(host="impostor.example"))  # without sni it is to be for the name that is called, too
    assert await served(town, "http://impostor.example/") == 503


async def test_a_server_is_asked_for_the_name_in_sni(town: Town, abroad: Outside) -> None:
    asked: list[str | None] = []
    context = server_context(abroad.authority.pair("named.example"))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with envoys.upstream("named", town.address(23), 8443, tls=context):
        await town.have(entry(town, 23), encrypted(sni="named.example"))
        assert await served(town) == "named"
        await town.have(encrypted())
        assert await served(town) == 503  # it is for another name
    assert list(dict.fromkeys(asked)) == ["named.example", HOST]  # what fails is tried again


async def test_an_authority_and_a_certificate_may_be_files(town: Town, abroad: Outside) -> None:
    town.cluster.mesh = MeshConfig(access_log="")
    ours = abroad.authority.pair("ann")
    authority = abroad.file("ca.pem", abroad.authority.pem)
    shown = {
        "clientCertificate": abroad.file("ann.pem", ours.certificate),
        "privateKey": abroad.file("ann.key", ours.key),
    }
    await town.have(entry(town, 22), encrypted(caCertificates=authority))
    assert await served(town) == 503
    await town.have(encrypted("MUTUAL", caCertificates=authority, **shown))
    assert await served(town) == "strict"
    assert "ann" in str(abroad.strict[-1]["certificate"])


async def test_a_file_that_is_not_there_is_told_and_the_last_good_state_stays(town: Town, abroad: Outside) -> None:
    await town.have(entry(town), encrypted())
    await town.have(encrypted(caCertificates="/no/such/file.pem"))
    assert "/no/such/file.pem" in town.rig.refused[0].reason
    assert await served(town) == "outside"


def secret(pair: Pair | None, authority: Authority, name: str, namespace: str) -> Obj:
    found = (pair or authority.pair("x")).secret(name, namespace, ca=authority.pem)
    if pair is None:
        del found["data"]["tls.crt"], found["data"]["tls.key"]
    return found


async def test_a_secret_is_used_by_the_pods_that_its_rule_selects(town: Town, abroad: Outside) -> None:
    town.cluster.mesh = MeshConfig(access_log="")
    rule = encrypted("MUTUAL", credentialName="ours", selector={"app": "client"})
    compiled = await town.have(entry(town, 22), rule)
    assert await served(town) == 503
    assert "Referenced credentialName not found: 'shop/ours'" in told(compiled, "DestinationRule")
    town.cluster.apply(secret(abroad.authority.pair("ann"), abroad.authority, "ours", "shop"))
    compiled = await town.push()
    assert not told(compiled, "DestinationRule")
    assert await served(town) == "strict"
    assert await town.who(f"http://{HOST}/", "stranger") != "strict"
    town.cluster.apply(secret(abroad.authority.pair("bob"), abroad.authority, "ours", "shop"))
    await town.push()
    assert await served(town) == "strict"
    assert "bob" in str(abroad.strict[-1]["certificate"])


async def test_of_simple_tls_a_secret_holds_the_authority(town: Town, abroad: Outside) -> None:
    town.cluster.mesh = MeshConfig(access_log="")
    town.cluster.apply(secret(None, abroad.authority, "ours", "shop"))
    await town.have(entry(town), encrypted(credentialName="ours", selector={"app": "client"}))
    assert await served(town) == "outside"
    town.cluster.apply(secret(None, Authority(), "ours", "shop"))
    await town.push()
    assert await served(town) == 503


async def test_a_gateway_uses_the_secret_beside_its_pod_and_other_pods_go_on_in_plain_text(
    town: Town, abroad: Outside
) -> None:
    town.cluster.mesh = MeshConfig(access_log="")
    town.cluster.apply(secret(abroad.authority.pair("gate"), abroad.authority, "ours", "istio-system"))
    through = vs(f"- route: [{{destination: {{host: {HOST}}}}}]\n", host=HOST, gateways=["gw"])
    compiled = await town.have(entry(town, 22), encrypted("MUTUAL", credentialName="ours"), through)
    answer = await town.enter(host=HOST)
    assert answer.json["by"] == "strict"
    assert "gate" in str(abroad.strict[-1]["certificate"])
    assert await served(town) != "strict"
    assert ["plain text" in message for message in told(compiled, "DestinationRule")] == [True]


async def test_without_authorities_of_the_machine_nothing_is_sent(town: Town, abroad: Outside) -> None:
    town.cluster.mesh = MeshConfig(access_log="")
    compiled = await town.have(entry(town), encrypted())
    assert await served(town) == 503
    assert any("caCertificates" in message for message in told(compiled, "DestinationRule"))
    assert not abroad.server


async def test_an_entry_without_resolution_is_encrypted_on_the_way_to_where_the_request_says(
    town: Town, abroad: Outside
) -> None:
    address = town.address(21)
    ports = [{"number": 8443, "name": "http", "protocol": "HTTP"}]
    rule = encrypted(host=address, subjectAltNames=[HOST])
    await town.have(entry(town, hosts=[address], resolution="NONE", endpoints=[], ports=ports), rule)
    assert await town.reached(f"http://{address}:8443/") == "outside"


# -- PROXY protocol -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "start"), [("V1", b"PROXY TCP4 "), ("V2", b"\r\n\r\n\0\r\nQUIT\n")])
async def test_a_connection_may_begin_with_who_the_client_is(town: Town, version: str, start: bytes) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.readuntil(b"GET "))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, town.address(24), 8000)
    async with server:
        town.cluster.pods[3]["status"]["podIP"] = town.address(24)
        subsets = [{"name": "v1", "labels": {"version": "v1"}}]
        await town.follow(
            {"proxyProtocol": {"version": version}},
            vs("- route: [{destination: {host: b, subset: v1}}]"),
            subsets=subsets,
        )
        assert (await town.ask("http://b:8000/")).status == 204
        assert (await asyncio.wait_for(heard.get(), 30)).startswith(start)
