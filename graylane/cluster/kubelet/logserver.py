"""The kubelet's HTTPS endpoint: container logs, for the API server's `pods/log`.

Shell. In: `GET /containerLogs/<namespace>/<pod>/<container>?follow=true…` with the bearer token. Out: log text,
streamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from graylane.cluster.kubelet.adoption import container_specs
from graylane.cluster.processes.logfiles import instances
from graylane.cluster.processes.logreading import LogOptions, read_log
from graylane.errors import ApiError, BadRequest, NotFound, Unauthorized, UserError
from graylane.kit import Clock
from graylane.model.meta import Obj

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where logs are: `pod(namespace, name)`, the directory of its logs, and whether a container still writes."""

    pod: Callable[[str, str], Obj | None]
    directory: Callable[[Obj], Path]
    running: Callable[[Obj, str], bool]


class LogServer:
    """Serves one node's logs over TLS."""

    def __init__(self, source: LogSource, token: str, clock: Clock) -> None:
        self._source = source
        self._token = token
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()

    async def start(self, host: str, port: int, certificate: Path, key: Path) -> int:
        """Listen; returns the port. Raises `UserError` when the address is taken."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/healthz", _healthy)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        sock = _bind(host, port)
        await web.SockSite(self._runner, sock, ssl_context=context).start()
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse strangers, and say errors as kubelet does: plain text, which the API server wraps."""
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

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        options = LogOptions.of(request.query, self._clock.now())
        pod, path = self._locate(request, previous=options.previous)
        container = request.match_info["container"]
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)

        def running() -> bool:
            return not options.previous and not self._stopping.is_set() and self._source.running(pod, container)

        with contextlib.suppress(ConnectionError):  # the reader went away: that is how `logs -f` ends
            async for chunk in read_log(path, options, running):
                await response.write(chunk)
            await response.write_eof()
        return response

    def _locate(self, request: web.Request, *, previous: bool) -> tuple[Obj, Path]:
        """The pod and the wanted file, or why there is none, in kubelet's words."""
        namespace, name, container = (request.match_info[part] for part in ("namespace", "pod", "container"))
        pod = self._source.pod(namespace, name)
        if pod is None:
            raise NotFound(f'pod "{name}" not found in namespace "{namespace}" on this node')
        if container not in container_specs(pod):
            raise BadRequest(f"container {container} is not valid for pod {name}")
        found = instances(self._source.directory(pod), container)
        if previous:
            if len(found) < 2:
                raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
            return pod, found[-2]
        if not found:
            raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {_waiting(pod, container)}')
        return pod, found[-1]


def _waiting(pod: Obj, container: str) -> str:
    for field in ("containerStatuses", "initContainerStatuses"):
        for status in (pod.get("status") or {}).get(field) or []:
            if status.get("name") == container and (waiting := (status.get("state") or {}).get("waiting")):
                text = waiting.get("message") if waiting.get("reason") != "ContainerCreating" else ""
                return str(text or waiting.get("reason"))
    return "ContainerCreating"


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
