"""The kubelet's HTTPS door: one address, one token, many routes.

Shell. In: routes of those who serve something, a certificate, the bearer token of the cluster. Out: a listening server
that refuses strangers and says errors as kubelet does: in plain text, which the API server wraps.
"""

from __future__ import annotations

import hmac
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from aiohttp import web

from graylane.errors import ApiError, Unauthorized, UserError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NodeServer:
    """Serves one node over TLS."""

    def __init__(self, token: str, routes: Iterable[web.RouteDef]) -> None:
        self._token = token
        self._routes = [web.get("/healthz", _healthy), *routes]
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int, certificate: Path, key: Path) -> int:
        """Listen; returns the port. Raises `UserError` when the address is taken."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_routes(self._routes)
        # Handlers end when their client leaves: a command must not outlive who asked for it.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        sock = _bind(host, port)
        await web.SockSite(self._runner, sock, ssl_context=context).start()
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path != "/healthz":
                self._authenticate(request)
            return await handler(request)
        except ApiError as error:
            return web.Response(text=f"{error.message}\n", status=error.http_code)

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise Unauthorized("the kubelet wants the cluster's bearer token")


async def _healthy(request: web.Request) -> web.Response:
    return web.Response(text="ok")


def _bind(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise UserError(f"kubelet: cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
    return sock
