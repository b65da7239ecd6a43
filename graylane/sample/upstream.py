"""The sample service's client side: one upstream URL, called directly or through `http_proxy`, connections kept alive.

Shell. In: the URL, proxy settings from the environment, headers per call. Out: `Response`, or `UpstreamFailed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from graylane.sample.http1 import BadMessage, Response, ResponseParser

_TIMEOUT = 15.0
_IDLE_CONNECTIONS = 64


class UpstreamFailed(Exception):
    """The upstream gave no usable answer; the text says which URL and why."""


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a URL: where to connect, and what to write on the request line and in Host."""

    url: str
    host: str
    port: int
    target: str
    authority: str


def plan_route(url: str, environment: Mapping[str, str]) -> Route:
    """The route for `url` (http only), through `http_proxy` unless `no_proxy` exempts its host.

    The lower-case variables win, as in curl. Raises ValueError with a sentence for the user.
    """
    host, port, path = _split(url)
    authority = host if port == 80 else f"{host}:{port}"
    proxy = environment.get("http_proxy") or environment.get("HTTP_PROXY")
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if proxy and not _exempted(host, port, exempt):
        proxy_host, proxy_port, _ = _split(proxy if "://" in proxy else f"http://{proxy}")
        return Route(url, proxy_host, proxy_port, f"http://{authority}{path}", authority)
    return Route(url, host, port, path, authority)


def _split(url: str) -> tuple[str, int, str]:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() != "http":
        raise ValueError(f"{url!r} is not an http:// URL")
    place, slash, path = rest.partition("/")
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not colon:
        host, port = place, "80"
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{url!r} does not name a host and a port")
    return host.strip("[]"), int(port), slash + path if slash else "/"


def _exempted(host: str, port: int, no_proxy: str) -> bool:
    """`name` and `.name` both mean the name and everything below it; `*` means every host."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        name, _, entry_port = entry.partition(":")
        if entry_port and entry_port != str(port):
            continue
        if name == "*" or (name and (host == name.lstrip(".") or host.endswith("." + name.lstrip(".")))):
            return True
    return False


class Upstream:
    """Calls one route with GET; keeps idle connections for the next call."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._idle: list[_Connection] = []

    async def fetch(self, headers: Mapping[str, str]) -> Response:
        """A response with status < 400. Everything else is `UpstreamFailed`: there is no chain to pass on then."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                response = await self._call(_render(self.route, headers))
        except TimeoutError:
            raise UpstreamFailed(f"{self.route.url} did not answer within {_TIMEOUT:.0f} s") from None
        except (OSError, BadMessage) as error:
            raise UpstreamFailed(f"{self.route.url} failed: {error}") from error
        if response.status >= 400:
            text = response.body[:200].decode(errors="replace").strip()
            raise UpstreamFailed(f"{self.route.url} answered {response.status}: {text}")
        return response

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _call(self, request: bytes) -> Response:
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._exchange(connection, request)
            except _Stale:
                continue  # closed by the peer while idle: the request was never seen, so repeating it is safe
        return await self._exchange(await self._connect(), request)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self.route.host, self.route.port)
        return connection

    async def _exchange(self, connection: _Connection, request: bytes) -> Response:
        try:
            response = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        if response.keep_alive and connection.usable and len(self._idle) < _IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()
        return response


def _render(route: Route, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {route.target} HTTP/1.1", f"host: {route.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Stale(OSError):
    """A reused connection ended before the first byte of an answer."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: ResponseParser | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._uses = 0

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[Response]:
        self._uses += 1
        self._parser = ResponseParser("GET")
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._fail("the connection was closed")
        else:
            self._transport.write(request)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._answer is None or self._answer.done():
            self.close()  # an answer nobody asked for: whatever follows could not be told apart
            return
        try:
            response = self._parser.feed(data)
        except BadMessage as error:
            self._answer.set_exception(error)
            return
        if response is not None:
            self._answer.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is None or self._answer.done() or self._parser is None:
            return
        response = self._parser.eof()
        if response is not None:
            self._answer.set_result(response)
        else:
            self._fail(str(error or "the connection was closed before the answer was complete"))

    def _fail(self, text: str) -> None:
        assert self._answer is not None
        assert self._parser is not None
        stale = self._uses > 1 and not self._parser.started
        self._answer.set_exception(_Stale(text) if stale else ConnectionError(text))
