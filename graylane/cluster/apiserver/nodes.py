"""Reaching a node's kubelet, for logs.

Shell (network). In: a Node object and a path. Out: a stream of bytes, or an `ApiError` that names the node.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp

from graylane.errors import ApiError, Unavailable
from graylane.model.meta import Obj, dig, name_of

_CHUNK = 2**16


class Nodes:
    """One HTTPS session for all kubelets, made when first needed."""

    def __init__(self, token: str, ca: Path | None) -> None:
        self._token = token
        self._ca = ca
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, node: Obj, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The body of `GET path` at the node's kubelet; its error answers are raised before the first byte."""
        url = f"https://{address_of(node)}{path}"
        try:
            response = await self._ensure().get(url, params=params, headers={"Authorization": f"Bearer {self._token}"})
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the kubelet of node {name_of(node)} does not answer at {url}: {error}") from error
        if response.status != 200:
            text = (await response.text()).strip()
            response.release()
            raise ApiError.from_status({"message": text, "reason": "", "code": response.status}, response.status)
        return _body(response)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _ensure(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._ca) if self._ca else None)
            connector = aiohttp.TCPConnector(ssl=context, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, connect=10)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        return self._session


async def _body(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with response:
        async for chunk in response.content.iter_any():
            yield chunk


def address_of(node: Obj) -> str:
    """`host:port` of the kubelet as the Node's status tells it. Raises `Unavailable` when it does not."""
    addresses = dig(node, "status", "addresses", default=[])
    host = next((entry["address"] for entry in addresses if entry.get("type") == "InternalIP"), "")
    port = dig(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port")
    if not host or not port:
        raise Unavailable(f"node {name_of(node)} does not say where its kubelet listens")
    return f"{host}:{port}"
