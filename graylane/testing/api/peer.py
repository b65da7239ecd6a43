"""An HTTPS server of one's own that stands for a webhook.

Shell. In: an authority, a handler per request. Out: `Peer`, where to reach it and what to trust.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from graylane.cluster import pki
from graylane.testing.api.objects import Obj

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A running HTTPS server; the last of its handlers answers, so it may be exchanged at any time."""

    url: str
    port: int
    ca: bytes
    handler: list[Handler] = field(default_factory=list)

    @property
    def client(self) -> Obj:
        """As the `clientConfig` of a webhook."""
        return {"url": self.url, "caBundle": base64.b64encode(self.ca).decode()}

    def reply(self, answer: Callable[[Obj], Any]) -> None:
        """From now on every review is answered with the `response` that `answer` gives to its `request`."""

        async def handle(request: web.Request) -> web.StreamResponse:
            review = orjson.loads(await request.read())
            response = {"uid": review["request"]["uid"], **answer(review["request"])}
            return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})

        self.handler.append(handle)


@asynccontextmanager
async def running(authority: pki.Authority) -> AsyncIterator[Peer]:
    peer: list[Peer] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return await peer[0].handler[-1](request)  # type: ignore[arg-type]

    pair = authority.server("peer", ["127.0.0.1", "hook.default.svc"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    peer.append(Peer(f"https://127.0.0.1:{port}", port, authority.bundle))
    try:
        yield peer[0]
    finally:
        await runner.cleanup()
