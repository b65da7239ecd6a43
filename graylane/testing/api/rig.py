"""One way to talk to any Kubernetes API: ours in process, ours over HTTPS, or a real one.

Shell. In: a started server, or a kubeconfig. Out: `Rig`, with `call` and `watch`, which is all that scenarios use.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson

from graylane.cluster.apiserver.api import Front
from graylane.cluster.apiserver.exchange import Reply, Request, Stream
from graylane.cluster.apiserver.http import parse_query

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    status: int
    body: bytes
    warnings: list[str] = field(default_factory=list)
    content_type: str = ""
    etag: str = ""

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def reason(self) -> str:
        return str(self.json.get("reason", ""))


class Transport(Protocol):
    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Result: ...

    async def open(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Returns once the watch is in place, so that what a scenario does next is seen."""
        ...


@dataclass(frozen=True, slots=True)
class Rig:
    """`kind` names the server; `ours` tells ours from a real one."""

    transport: Transport
    token: str
    kind: str

    @property
    def ours(self) -> bool:
        return self.kind in ("in-process", "https")

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Result:
        """`body` is bytes as they are, or a value to be sent as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        sent = self._headers(accept, token) | dict(headers or {})
        if raw:
            sent["Content-Type"] = content_type
        return await self.transport.send(method, _with_query(path, query), sent, raw)

    async def get(self, path: str, **query: Any) -> Any:
        return expect(await self.call("GET", path, **query), 200)

    async def create(self, path: str, body: Any, **query: Any) -> Any:
        return expect(await self.call("POST", path, body, **query), 201)

    async def patch(self, path: str, body: Any, content_type: str = MERGE, **query: Any) -> Any:
        return expect(await self.call("PATCH", path, body, content_type=content_type, **query), 200)

    async def replace(self, path: str, body: Any, **query: Any) -> Any:
        return expect(await self.call("PUT", path, body, **query), 200)

    async def delete(self, path: str, body: Any = None, **query: Any) -> Any:
        return expect(await self.call("DELETE", path, body, **query), 200)

    @asynccontextmanager
    async def watch(self, path: str, accept: str = JSON, **query: Any) -> AsyncIterator[Watch]:
        lines = await self.transport.open(_with_query(path, {"watch": "true", **query}), self._headers(accept, None))
        watch = Watch(lines)
        try:
            yield watch
        finally:
            await watch.close()

    def _headers(self, accept: str, token: str | None) -> dict[str, str]:
        bearer = self.token if token is None else token
        return {"Accept": accept} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})


class Watch:
    """Events one by one; never waits longer than `PATIENCE`."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    async def next(self) -> Any:
        while b"\n" not in self._rest:
            async with asyncio.timeout(PATIENCE):
                self._rest += await anext(self._lines)
        line, _, self._rest = self._rest.partition(b"\n")
        return orjson.loads(line)

    async def take(self, count: int) -> list[tuple[str, str]]:
        """`(type, name)` of the next events."""
        found = []
        for _ in range(count):
            event = await self.next()
            found.append((event["type"], event["object"]["metadata"].get("name", "")))
        return found

    async def ended(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                return not await anext(self._lines, b"")
        except aiohttp.ClientError:
            return True

    async def close(self) -> None:
        await self._lines.aclose()  # type: ignore[attr-defined]


def expect(result: Result, status: int) -> Any:
    assert result.status == status, (result.status, result.body[:2000])
    return result.json


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    pairs = [(k, v) for k, value in query.items() for v in (value if isinstance(value, list) else [value])]
    return f"{path}?{urlencode(pairs)}" if pairs else path


@dataclass(frozen=True, slots=True)
class InProcess:
    """No socket: the front itself."""

    front: Front

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Result:
        answer = await self.front.handle(_request(method, path, headers, body))
        assert isinstance(answer, Reply), "a stream where a whole answer was expected"
        warnings = [value for name, value in answer.headers if name == "Warning"]
        etag = next((value for name, value in answer.headers if name == "ETag"), "")
        return Result(answer.status, answer.body, warnings, answer.content_type, etag)

    async def open(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        answer = await self.front.handle(_request("GET", path, headers, b""))
        assert isinstance(answer, Stream), answer
        return answer.chunks


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Request:
    plain, _, query = path.partition("?")
    return Request(method, plain, parse_query(query), {k.lower(): v for k, v in headers.items()}, body)


class Https:
    """Any server that speaks HTTPS and takes a bearer token. `trust` is a CA bundle or a whole context."""

    def __init__(self, url: str, trust: bytes | ssl.SSLContext) -> None:
        self.context = trust if isinstance(trust, ssl.SSLContext) else ssl.create_default_context(cadata=trust.decode())
        self._url = url
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context, limit=0))

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self._url)
        return str(parts.hostname), int(parts.port or 443)

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Result:
        async with self._session.request(method, self._url + path, headers=headers, data=body or None) as response:
            found = response.headers
            return Result(
                response.status,
                await response.read(),
                found.getall("Warning", []),
                found.get("Content-Type", ""),
                found.get("ETag", ""),
            )

    async def open(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        response = await self._session.get(self._url + path, headers=headers, timeout=aiohttp.ClientTimeout())
        assert response.status == 200, await response.read()
        return _chunks(response)

    async def close(self) -> None:
        await self._session.close()


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with response:
        async for chunk in response.content.iter_any():
            yield chunk
