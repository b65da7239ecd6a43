"""Reaching a webhook: its URL, or the endpoints of its Service, over TLS that its caBundle vouches for.

Shell (network). In: a `clientConfig` and bytes. Out: the answer's bytes, or `Unreachable`.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import aiohttp

from graylane.model.meta import Obj, dig, labels_of


class Unreachable(Exception):
    """No answer: refused, timed out, not trusted, or an HTTP error."""


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    server_name: str | None = None


class Caller:
    """`slices` gives the EndpointSlices of a namespace, for webhooks that are named by Service."""

    def __init__(self, slices: Callable[[str], Iterable[Obj]]) -> None:
        self._slices = slices
        self._session: aiohttp.ClientSession | None = None

    async def call(self, config: Obj, body: bytes, timeout: float) -> bytes:
        address = self._address(config)
        context = _trust(config.get("caBundle") or "")
        try:
            async with (
                asyncio.timeout(timeout),
                self._ensure().post(
                    address.url,
                    data=body,
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    ssl=context,
                    server_hostname=address.server_name,
                    allow_redirects=False,
                ) as response,
            ):
                answer = await response.read()
                if response.status != 200:
                    raise Unreachable(f"it answered HTTP {response.status}: {answer[:200].decode(errors='replace')}")
                return answer
        except TimeoutError:
            raise Unreachable(f"no answer from {address.url} within {timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{address.url}: {error}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _ensure(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        return self._session

    def _address(self, config: Obj) -> Address:
        if config.get("url"):
            return Address(config["url"])
        service = config.get("service") or {}
        namespace, name = service.get("namespace", ""), service.get("name", "")
        for address, port in _ready(self._slices(namespace), name):
            path = service.get("path") or "/"
            return Address(f"https://{address}:{port}{path}", f"{name}.{namespace}.svc")
        raise Unreachable(f"Service {namespace}/{name} has no ready endpoint")


def _ready(slices: Iterable[Obj], service: str) -> Iterable[tuple[str, int]]:
    for piece in slices:
        if labels_of(piece).get("kubernetes.io/service-name") != service:
            continue
        for endpoint in piece.get("endpoints") or []:
            if dig(endpoint, "conditions", "ready", default=True):
                for port in piece.get("ports") or []:
                    yield endpoint["addresses"][0], port["port"]


@lru_cache(maxsize=64)
def _trust(bundle: str) -> ssl.SSLContext:
    """The bundle is the only authority when there is one; building a context costs milliseconds, so it is kept."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (ValueError, ssl.SSLError) as error:
        raise Unreachable(f"caBundle cannot be read: {error}") from error
