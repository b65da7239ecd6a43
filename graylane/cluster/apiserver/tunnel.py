"""Joins a client's WebSocket with a node's: what one says the other hears, until either ends.

Shell (sockets). In: an upgrade request and the node's end. Out: the finished response. Nothing piles up here: whoever
does not read makes the other wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType, web

from graylane.cluster.apiserver.exchange import Upgrade
from graylane.cluster.apiserver.nodes import LARGEST_MESSAGE

_PULSE_SECONDS = 2.0  # the second write after the peer went is the one that fails
_SENDABLE = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011)

End = web.WebSocketResponse | ClientWebSocketResponse


async def serve(raw: web.BaseRequest, upgrade: Upgrade) -> web.StreamResponse:
    node: ClientWebSocketResponse = upgrade.peer
    protocols = (upgrade.protocol,) if upgrade.protocol else ()
    client = web.WebSocketResponse(protocols=protocols, compress=False, max_msg_size=LARGEST_MESSAGE)
    with _cut_off(node):
        try:
            await client.prepare(raw)
            await _relay(client, node)
            await client.close(code=node.close_code if node.close_code in _SENDABLE else WSCloseCode.GOING_AWAY)
        finally:
            await node.close()
    return client


@contextlib.contextmanager
def _cut_off(node: ClientWebSocketResponse) -> Iterator[None]:
    """At the end the node's connection is over at once, however much of ours the node has not read.

    TLS would wait half a minute to say goodbye to a node whose command reads nothing, and so long would that command
    live. The descriptor is our own copy: the transport's may be another's by then.
    """
    transports = node.get_extra_info("socket")
    if transports is None:  # it is over already
        yield
        return
    with socket.socket(fileno=os.dup(transports.fileno())) as line:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


async def _relay(client: web.WebSocketResponse, node: ClientWebSocketResponse) -> None:
    carrying = [asyncio.create_task(_carry(client, node)), asyncio.create_task(_carry(node, client))]
    beating = asyncio.create_task(_pulse(client))
    try:
        await asyncio.wait(carrying, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*carrying, beating):
            task.cancel()
        await asyncio.gather(*carrying, beating, return_exceptions=True)


async def _carry(source: End, sink: End) -> None:
    with contextlib.suppress(ConnectionError):
        async for message in source:
            if message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)


async def _pulse(client: web.WebSocketResponse) -> None:
    """While the node takes nothing we read nothing, and only a write can tell that the client is gone."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(_PULSE_SECONDS)
            await client.ping()
