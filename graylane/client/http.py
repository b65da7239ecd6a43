"""The only way to reach an API server, ours or any.

Shell. In: verbs on kinds. Out: plain dict objects, lists and watch streams, or an `ApiError`. One keep-alive session;
connection failures surface as `Unreachable`, so that every caller retries them the same way.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from graylane.client import wire
from graylane.client.config import ApiConfig
from graylane.client.wire import ObjectList, Request, Selection, Target, WatchEvent
from graylane.errors import Unreachable, Untrusted, UserError
from graylane.model.kinds import Kind
from graylane.model.meta import Obj
from graylane.model.patches import PatchType

_PAGE = 500
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10)
_LINE_LIMIT = 2**23


class ApiClient:
    """Async client for one API server; use as an async context manager or call `close()`."""

    def __init__(self, config: ApiConfig, user_agent: str = "graylane") -> None:
        self.config = config
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Obj:
        """The object; raises `NotFound`."""
        return await self._object(Request("GET", kind.path(namespace, name)))

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> ObjectList:
        """Everything that matches, over as many pages as it takes; items carry apiVersion and kind."""
        params = Selection(labels, fields).params() | {"limit": str(_PAGE)}
        items: list[Obj] = []
        while True:
            page = await self._object(Request("GET", kind.path(namespace), params=params))
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                break
            params["continue"] = token
        stamp = {"apiVersion": kind.api_version, "kind": kind.kind}
        version = (page.get("metadata") or {}).get("resourceVersion", "")
        return ObjectList([stamp | item for item in items], str(version))

    async def create(self, kind: Kind, obj: Obj, *, manager: str = "graylane") -> Obj:
        """The object as stored; raises `AlreadyExists`, `Invalid`…"""
        return await self._object(wire.create(kind, obj, manager))

    async def bind(self, pod: str, namespace: str, *, node: str, uid: str) -> None:
        """Give a pod its node. Raises `Conflict` when it has one, or is another pod by now."""
        await self._object(wire.bind(pod, namespace, node, uid))

    async def replace(self, kind: Kind, obj: Obj, *, subresource: str = "", manager: str = "graylane") -> Obj:
        """PUT; raises `Conflict` when `metadata.resourceVersion` is set and no longer current."""
        return await self._object(wire.replace(kind, obj, subresource, manager))

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        manager: str = "graylane",
    ) -> Obj:
        """The object as stored after the patch; conditional when the patch sets `metadata.resourceVersion`."""
        target = Target(kind, name, namespace, subresource)
        return await self._object(wire.patch(target, patch, type, manager))

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
        grace_seconds: int | None = None,
        uid: str | None = None,
    ) -> Obj:
        """The object when it lingers (finalizers, grace period), else a `Status`; raises `NotFound`."""
        target = Target(kind, name, namespace)
        return await self._object(wire.delete(target, propagation, grace_seconds, uid))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncIterator[WatchEvent]:
        """Events since `resource_version` until the server ends the stream; raises `Gone` when it is too old."""
        params = wire.watch_params(Selection(labels, fields), resource_version, timeout_seconds)
        request = Request("GET", kind.path(namespace), params=params)
        idle = timeout_seconds + 30.0  # a peer that died without a FIN must not hold us for ever
        async with self._open(request, _STREAM_TIMEOUT) as response:
            while line := await _next_line(response, idle):
                yield wire.decode_watch_line(line)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = wire.JSON,
        params: dict[str, str] | None = None,
    ) -> bytes:
        """Any call, raw bytes back: pod proxies, `/version`, `/metrics`."""
        return await self._call(Request(method, path, body, content_type, params or {}))

    async def stream(self, path: str, params: dict[str, str] | None = None) -> AsyncIterator[bytes]:
        """The body of a long GET, line by line, e.g. `…/log?follow=true`."""
        async with self._open(Request("GET", path, params=params or {}), _STREAM_TIMEOUT) as response:
            while line := await _next_line(response, None):
                yield line

    async def _object(self, request: Request) -> Obj:
        decoded: Obj = orjson.loads(await self._call(request))
        return decoded

    async def _call(self, request: Request) -> bytes:
        async with self._open(request, _CALL_TIMEOUT) as response:
            return await response.read()

    @asynccontextmanager
    async def _open(self, request: Request, timeout: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": wire.JSON}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        session = self._ensure_session()
        url = self.config.server + request.path
        try:
            async with session.request(
                request.method,
                url,
                data=request.body,
                params=request.params,
                headers=headers,
                timeout=timeout,
                server_hostname=self.config.server_name,
            ) as response:
                if response.status >= 400:
                    raise wire.decode_error(await response.read(), response.status)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            if isinstance(error, aiohttp.ClientConnectorCertificateError):
                raise Untrusted(f"{self.config.server}: {_distrust(error)}") from error
            raise Unreachable(
                f"{self.config.server} did not answer {request.method} {request.path}: {_why(error)}"
            ) from error

    def _token(self) -> str | None:
        """Service-account tokens are rotated on disk, so a file is read for every call (it is in the page cache)."""
        if self.config.token_file is not None:
            return self.config.token_file.read_text().strip()
        return self.config.token

    def _ensure_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=_ssl_context(self.config), limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._user_agent},
                trust_env=False,
                read_bufsize=_LINE_LIMIT,
                auto_decompress=True,
            )
        return self._session


async def _next_line(response: aiohttp.ClientResponse, idle_seconds: float | None) -> bytes:
    """The next line, b"" at the end; objects may be longer than aiohttp's default line limit."""
    async with asyncio.timeout(idle_seconds):
        return await response.content.readuntil(b"\n") if not response.content.at_eof() else b""


def _why(error: Exception) -> str:
    """The cause in the words of whoever runs the network, without the library's own objects."""
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, ConnectionError) and cause.errno:
            return os.strerror(cause.errno)
        return cause.strerror or str(cause)
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error) or type(error).__name__


def _distrust(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return f"its certificate is not trusted: {getattr(cause, 'verify_message', '') or cause}"


def _ssl_context(config: ApiConfig) -> ssl.SSLContext | bool:
    """Raises `UserError` for what is no certificate, or no key of it."""
    if not config.server.startswith("https"):
        return True
    try:
        return _trusting(config)
    except (ssl.SSLError, ValueError) as error:
        wrong = "client certificate or its key" if config.client_cert else "certificate authority"
        raise UserError(f"{config.server}: the kubeconfig's {wrong} cannot be used: {error}") from error


def _trusting(config: ApiConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=config.ca_data.decode() if config.ca_data else None)
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.client_cert and config.client_key:
        _load_client_certificate(context, config.client_cert, config.client_key)
    return context


def _load_client_certificate(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """`ssl` loads key pairs from files only; the file is private and gone before we return."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".pem") as bundle:
        bundle.write(cert + b"\n" + key)
        bundle.flush()
        context.load_cert_chain(bundle.name)
