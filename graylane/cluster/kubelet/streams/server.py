"""The doors to a running pod: `/exec`, `/attach` and `/portForward`, as kube-apiserver knows them.

Shell. In: WebSocket requests of the API server. Out: conversations. A client is accepted before the pod is looked up:
what is wrong is then said inside the protocol, where every client shows it, rather than as a failed handshake.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from graylane.cluster.kubelet.console import Console
from graylane.cluster.kubelet.streams import channelforward, commands, forwarding
from graylane.cluster.kubelet.streams.channelforward import ChannelForwarding
from graylane.cluster.kubelet.streams.channels import PROTOCOLS, refused
from graylane.cluster.kubelet.streams.conversation import Client, Conversation
from graylane.cluster.kubelet.streams.forwarding import Forwarding
from graylane.cluster.kubelet.streams.options import StreamOptions, agreed, ports_of
from graylane.cluster.kubelet.streams.target import Target
from graylane.errors import BadRequest
from graylane.model.meta import Obj, dig

LARGEST_MESSAGE = 32 * 1024 * 1024

Act = Callable[[Client, Console], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StreamSource:
    """The node's pods, and the way into their containers (None: not a container that this kubelet runs)."""

    pod: Callable[[str, str], Obj | None]
    console: Callable[[Obj, str], Console | None]


class Streams:
    """Serves one node's streams."""

    def __init__(self, source: StreamSource) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/exec/{namespace}/{pod}/{container}", self._exec),
            web.get("/attach/{namespace}/{pod}/{container}", self._attach),
            web.get("/portForward/{namespace}/{pod}", self._port_forward),
        ]

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        options = StreamOptions.of(request.query)
        if not options.command:
            raise BadRequest("you must specify a command")
        return await self._visit(request, options, commands.execute)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        return await self._visit(request, StreamOptions.of(request.query), commands.attach)

    async def _visit(self, request: web.Request, options: StreamOptions, act: Act) -> web.StreamResponse:
        ws, protocol = await _accept(request, PROTOCOLS)
        namespace, name, container = (request.match_info[part] for part in ("namespace", "pod", "container"))
        client = Client(ws, protocol, options, f'container "{container}" of pod {namespace}/{name}')
        pod = self._source.pod(namespace, name)
        console = self._source.console(pod, container) if pod is not None else None
        if console is None:
            why = f"{client.place} is not run by this kubelet, so there is no way into it"
            await Conversation(client, lambda _: None).conclude(refused(why))
        else:
            await act(client, console)
        return ws

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        ports = ports_of(request.query)
        ws, protocol = await _accept(request, (forwarding.PROTOCOL, *(channelforward.PROTOCOLS if ports else ())))
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        pod = self._source.pod(namespace, name)
        target = Target(f"{namespace}/{name}", dig(pod, "status", "podIP", default="") or "")
        several = protocol == forwarding.PROTOCOL
        await (Forwarding(ws, target) if several else ChannelForwarding(ws, target, ports)).run()
        return ws


async def _accept(request: web.Request, known: tuple[str, ...]) -> tuple[web.WebSocketResponse, str]:
    """The upgraded connection and what is spoken on it. Raises `BadRequest`."""
    offered = [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if word.strip()]
    protocol = agreed(offered, known)
    ws = web.WebSocketResponse(protocols=(protocol,) if protocol else (), compress=False, max_msg_size=LARGEST_MESSAGE)
    await ws.prepare(request)
    return ws, protocol
