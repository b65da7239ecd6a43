"""Reaching a node's kubelet, for logs and streams.

Shell (network). In: a Node object and a path. Out: a stream of bytes or a WebSocket, or an `ApiError` that names the
node.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp

from graylane.errors import ApiError, Unavailable
from graylane.model.meta import Obj, dig, name_of

Params = list[tuple[str, str]]

LARGEST_MESSAGE = 32 * 1024 * 1024
_CLOSING_SECONDS = 2.0


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
            response = await self._ensure().get(url, params=params, headers=self._credential())
        except (aiohttp.ClientError, OSError) as error:
            raise _away(node, url, error) from error
        if response.status != 200:
            text = (await response.text()).strip()
            response.release()
            raise ApiError.from_status({"message": text, "reason": "", "code": response.status}, response.status)
        return _body(response)

    async def dial(self, node: Obj, path: str, params: Params, protocol: str) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket with the node's kubelet. The caller closes it."""
        url = f"https://{address_of(node)}{path}"
        try:
            return await self._ensure().ws_connect(
                url,
                params=params,
                headers=self._credential(),
                protocols=(protocol,) if protocol else (),
                max_msg_size=LARGEST_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            told = f"the kubelet of node {name_of(node)} refuses {path}: {error.message}"
            raise ApiError.from_status({"message": told, "reason": "", "code": error.status}, error.status) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _away(node, url, error) from error

    async def require(self, node: Obj) -> None:
        """Raises `Unavailable` when the node's kubelet does not answer."""
        async for _ in await self.stream(node, "/healthz", {}):
            pass

    def _credential(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

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


def _away(node: Obj, url: str, error: Exception) -> Unavailable:
    return Unavailable(f"the kubelet of node {name_of(node)} does not answer at {url}: {error}")


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
