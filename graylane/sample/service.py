"""The scenario's sample service: says who it is, then what its upstream says.

Shell. In: the environment (`app`, `version`, `upstream_url`, `drops_lane`, `POD_IP`, `PORT`, `http_proxy`). Out: an
HTTP server that answers `-> APP(version: V, ip: IP)` followed by its upstream's answer. Run:
`python -S -m graylane.sample.service`.

It passes on one header only, `my-request-id`, and drops every other: a chain keeps its lane only because each hop hands
that header on, and whatever else arrives downstream must have come from there. With `drops_lane=true` it forgets that
one too, as services do whose authors never heard of lanes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from graylane.sample.http1 import BadMessage, Request, RequestParser, value_of
from graylane.sample.upstream import Upstream, UpstreamFailed, plan_route

LANE_HEADER = "my-request-id"
_LINGER = 0.2
_FINISH_WITHIN = 25.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What one hop is. `upstream_url` empty means the chain ends here."""

    app: str
    version: str
    ip: str
    port: int
    upstream_url: str
    drops_lane: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        return cls(
            app=environment.get("app", "app"),
            version=environment.get("version", "base"),
            ip=environment.get("POD_IP", "127.0.0.1"),
            port=int(environment.get("PORT", "8000")),
            upstream_url=environment.get("upstream_url", ""),
            drops_lane=environment.get("drops_lane", "").lower() == "true",
        )

    @property
    def greeting(self) -> str:
        return f"-> {self.app}(version: {self.version}, ip: {self.ip})"


class Service:
    """The one server of this process and its open connections."""

    def __init__(self, settings: Settings, upstream: Upstream | None) -> None:
        self.settings = settings
        self.draining = False
        self.connections: set[_Connection] = set()
        self._upstream = upstream

    async def answer(self, request: Request) -> tuple[int, str]:
        """Status and body for one request; 502 with the reason when the upstream fails."""
        if self._upstream is None:
            return 200, self.settings.greeting
        lane = None if self.settings.drops_lane else lane_of(request)
        try:
            response = await self._upstream.fetch({} if lane is None else {LANE_HEADER: lane})
        except UpstreamFailed as error:
            return 502, f"{self.settings.app}(version: {self.settings.version}): upstream {error}\n"
        return 200, self.settings.greeting + response.body.decode(errors="replace")

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is in flight."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await loop.create_server(lambda: _Connection(self), self.settings.ip, self.settings.port, backlog=1024)
        port = server.sockets[0].getsockname()[1]
        _log(f"{self.settings.app} version {self.settings.version} listens on {self.settings.ip}:{port}")
        await stop.wait()
        server.close()
        await self._drain()

    async def _drain(self) -> None:
        """Idle clients get a moment to send what they had begun; each answer from now on closes its connection."""
        self.draining = True
        loop = asyncio.get_running_loop()
        started = loop.time()
        while self.connections and loop.time() < started + _FINISH_WITHIN:
            if loop.time() > started + _LINGER:
                for connection in [each for each in self.connections if each.idle]:
                    connection.close()
            await asyncio.sleep(0.01)
        if self._upstream is not None:
            self._upstream.close()


class _Connection(asyncio.Protocol):
    """One client connection; pipelined requests are answered in order."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parser = RequestParser()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request | BadMessage] = deque()
        self._worker: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self._worker is None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._service.connections.discard(self)
        if self._worker is not None:
            self._worker.cancel()

    def data_received(self, data: bytes) -> None:
        if self._waiting and isinstance(self._waiting[-1], BadMessage):
            return  # what follows a message we could not frame is meaningless
        try:
            self._waiting += self._parser.feed(data)
        except BadMessage as error:
            self._waiting.append(error)
        if self._parser.take_continue() and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._waiting and self._worker is None:
            self._worker = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._waiting and self._transport is not None and not self._transport.is_closing():
            message = self._waiting.popleft()
            if isinstance(message, BadMessage):
                self._refuse(message)
            else:
                await self._serve(message)
        self._worker = None

    async def _serve(self, request: Request) -> None:
        _log(log_line(request))
        status, body = await self._service.answer(request)
        keep_alive = request.keep_alive and not self._service.draining
        self._send(render(request, status, body, keep_alive), keep_alive)

    def _refuse(self, error: BadMessage) -> None:
        _log(f"refused with {error.status}: {error}")
        unknown = Request("GET", "/", 1, ())
        self._send(render(unknown, error.status, f"{error}\n", keep_alive=False), keep_alive=False)

    def _send(self, data: bytes, keep_alive: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if not keep_alive:
            self._transport.close()


def render(request: Request, status: int, body: str, keep_alive: bool) -> bytes:
    """The response's bytes; HEAD gets the header section alone."""
    content = body.encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "content-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(content)}\r\n"
        f"connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    ).encode()
    return head if request.method == "HEAD" else head + content


def lane_of(request: Request) -> str | None:
    """The first line's value, as Go's `Header.Get` gives it.

    An edge that dyes a request that was dyed already adds a second line behind the first. Joined, the two would match
    no exact rule any more, and the request would leave its lane at the next hop.
    """
    return next((value for name, value in request.headers if name == LANE_HEADER), None)


def log_line(request: Request) -> str:
    """One line: method, path, the lane, and every header as JSON. Repeated headers are joined with a comma."""
    headers = {name: value_of(request.headers, name) for name, _ in request.headers}
    lane = headers.get(LANE_HEADER)
    return f"{request.method} {request.path} {LANE_HEADER}: {lane or '-'} headers: {json.dumps(headers)}"


def _log(line: str) -> None:
    """Straight to the file descriptor: whoever reads the log sees the request before its answer."""
    os.write(1, f"{line}\n".encode())


def main() -> int:
    try:
        settings = Settings.of(os.environ)
        url = settings.upstream_url
        upstream = Upstream(plan_route(url, os.environ)) if url else None
        asyncio.run(Service(settings, upstream).run())
    except (ValueError, OSError) as error:
        print(f"sample service: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
