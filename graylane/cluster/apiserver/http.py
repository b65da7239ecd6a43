"""HTTPS on loopback: aiohttp's requests turned into ours, our answers turned into its responses.

Shell (sockets). In: a handler of `Request`. Out: a listening server. No router: paths are read by `paths.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from graylane.cluster.apiserver import tunnel
from graylane.cluster.apiserver.api import failure
from graylane.cluster.apiserver.exchange import SEPARATOR, Answer, CutOff, Query, Reply, Request, Stream, Upgrade
from graylane.errors import BadRequest, TooLarge

Handler = Callable[[Request], Awaitable[Answer]]

STUCK_SECONDS = 30.0
_SMALL = 16 * 1024


def _is_our_fault(record: logging.LogRecord) -> bool:
    """What is no HTTP is answered with 400; a traceback of it would tell nothing about us."""
    wrong = (HttpProcessingError, web.RequestPayloadError)
    return not (record.exc_info and isinstance(record.exc_info[1], wrong))


_log = logging.getLogger(f"{__name__}.connections")
_log.addFilter(_is_our_fault)


class HttpServer:
    """One listening socket."""

    def __init__(self, handler: Handler, max_body: int) -> None:
        self._handler = handler
        self._max_body = max_body
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        # Handlers end when their client leaves: an idle watch would otherwise wait for an event to notice.
        server = web.Server(
            self._serve, request_factory=self._request, handler_cancellation=True, access_log=None, logger=_log
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=context, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=self._max_body)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        try:
            request = await self._read(raw)
        except TooLarge as error:
            response = _whole(failure(error))
            response.force_close()
            return response
        except BadRequest as error:
            return _whole(failure(error))
        answer = await self._handler(request)
        if isinstance(answer, Reply):
            return _whole(answer)
        if isinstance(answer, Upgrade):
            return await tunnel.serve(raw, answer)
        return await _stream(raw, answer)

    async def _read(self, raw: web.BaseRequest) -> Request:
        try:
            body = await raw.read() if raw.can_read_body else b""
        except web.HTTPRequestEntityTooLarge:
            limit = self._max_body
            raise TooLarge(f"Request entity too large: limit is {limit}") from None
        except web.RequestPayloadError as error:
            raise BadRequest(f"the body cannot be read: {error}") from None
        path, _, query = raw.raw_path.partition("?")
        return Request(raw.method, path, parse_query(query), _headers(raw.headers.items()), body)


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By lower-case name. Every group to act in is a header of its own; of other headers the last one counts."""
    headers: dict[str, str] = {}
    for written, value in pairs:
        name = written.lower()
        repeated = name in headers and name.startswith("impersonate-")
        headers[name] = f"{headers[name]}{SEPARATOR}{value}" if repeated else value
    return headers


def parse_query(text: str) -> Query:
    values: dict[str, tuple[str, ...]] = {}
    try:
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=1000, errors="strict"):
            values[name] = (*values.get(name, ()), value)
    except ValueError as error:
        raise BadRequest(f"the query string cannot be read: {error}") from None
    return Query(values)


def _whole(reply: Reply) -> web.Response:
    response = web.Response(body=reply.body, status=reply.status)
    response.headers["Content-Type"] = reply.content_type
    for name, value in reply.headers:
        response.headers.add(name, value)
    return response


def _takes_at_once(raw: web.BaseRequest, chunk: bytes) -> bool:
    """Whether a connection cannot be stuck on this. A timer for every event would cost more than the event."""
    return len(chunk) <= _SMALL and raw.transport is not None and not raw.transport.get_write_buffer_size()


async def _stream(raw: web.BaseRequest, stream: Stream) -> web.StreamResponse:
    """Chunks as they come. A client that takes nothing for a while is dropped: it must not pile up memory."""
    response = web.StreamResponse(status=stream.status)
    response.headers["Content-Type"] = stream.content_type
    response.enable_chunked_encoding()
    await response.prepare(raw)
    try:
        async with contextlib.aclosing(stream.chunks) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if _takes_at_once(raw, chunk):
                    await response.write(chunk)
                else:
                    async with asyncio.timeout(STUCK_SECONDS):
                        await response.write(chunk)
        await response.write_eof()
    except (CutOff, TimeoutError):
        if raw.transport is not None:
            raw.transport.abort()
    except ConnectionError:
        pass  # the client left; there is nobody to tell
    return response
