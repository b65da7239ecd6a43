"""The gRPC server Envoy connects to: ADS around `protocol.Session`.

Shell. In: snapshots to publish. Out: pushes to every connected Envoy and a callback per report. State of the world over
one aggregated stream, so that the order of types is ours to choose.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from envoy.service.route.v3 import srds_pb2_grpc

from graylane.kit import SystemClock
from graylane.mesh.encode import shards
from graylane.mesh.snapshot import EMPTY, Snapshot, Type
from graylane.mesh.xds.messages import Live, Refused, Report, Request, Response
from graylane.mesh.xds.protocol import Session
from graylane.mesh.xds.syncz import SyncLog
from graylane.model.meta import format_time

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS = 3
_TYPES = {type.value: type for type in Type}
_SCOPES = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"


class XdsServer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """`on_report` is called in the event loop for everything any Envoy acknowledges or refuses."""

    def __init__(self, on_report: Callable[[Report], None]) -> None:
        self._tell = on_report
        self._epoch = format_time(SystemClock().now())
        self._live = 0
        self._snapshot = EMPTY
        self._streams: set[_Stream] = set()
        self._server: Any = None
        self.port = 0
        self.connections = 0
        self.greeted = 0
        """The serial of the snapshot that there was for whoever connected last."""

    @property
    def connected(self) -> int:
        return len(self._streams)

    @property
    def logs(self) -> list[SyncLog]:
        """What each connected Envoy was sent and has acknowledged."""
        return [stream.log for stream in self._streams]

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        srds_pb2_grpc.add_ScopedRoutesDiscoveryServiceServicer_to_server(_Scopes(), self._server)
        self.port = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()

    async def stop(self) -> None:
        """Closes all streams; Envoy goes on with what it has and looks for us again."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        for stream in list(self._streams):
            stream.session.publish(snapshot)
            try:
                await stream.flush()
            except grpc.aio.BaseError:
                # This Envoy has just gone; its stream ends by itself, and the others still want their snapshot.
                self._streams.discard(stream)

    def _on_report(self, report: Report) -> None:
        """A snapshot is live once every connected Envoy has acknowledged it."""
        if not isinstance(report, Live):
            self._tell(report)
            return
        live = min((stream.live for stream in self._streams), default=0)
        if live > self._live:
            self._live = live
            self._tell(Live(live))

    async def StreamAggregatedResources(self, requests: AsyncIterator[Any], context: Any) -> None:
        stream = _Stream(context, self._on_report, self._epoch)
        stream.session.publish(self._snapshot)
        self._streams.add(stream)
        self.connections, self.greeted = self.connections + 1, self._snapshot.serial
        _LOG.info("an Envoy connected", extra={"peer": context.peer()})
        tending = asyncio.create_task(stream.tend())
        try:
            async for message in requests:
                await stream.receive(message)
        finally:
            self._streams.discard(stream)
            tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tending


class _Scopes(srds_pb2_grpc.ScopedRoutesDiscoveryServiceServicer):  # type: ignore[misc]
    """Says which parts a large table has. That never changes, so each Envoy is told once for each table."""

    async def StreamScopedRoutes(self, requests: AsyncIterator[Any], context: Any) -> None:
        table = dict(context.invocation_metadata()).get(shards.TABLE, "")
        async for message in requests:
            if message.response_nonce:
                continue
            answer = discovery_pb2.DiscoveryResponse(version_info="1", type_url=_SCOPES, nonce="1")
            for each in shards.scopes(table):
                answer.resources.add().Pack(each)
            await context.write(answer)


class _Stream:
    """One Envoy's stream: the session and the wire under it."""

    def __init__(self, context: Any, on_report: Callable[[Report], None], epoch: str = "") -> None:
        self.session = Session(epoch)
        self.log = SyncLog()
        self.live = 0
        self._clock = SystemClock()
        self._context = context
        self._on_report = on_report
        self._writing = asyncio.Lock()

    async def receive(self, message: Any) -> None:
        type = _TYPES.get(message.type_url)
        if type is None:
            return  # a type nobody configured Envoy to ask for; silence keeps it from waiting on us
        error = message.error_detail.message if message.HasField("error_detail") else None
        self.log.answered(type, message.response_nonce, error)
        names = frozenset(message.resource_names)
        self.session.receive(Request(type, names, message.response_nonce, error, message.version_info))
        await self.flush()

    async def flush(self) -> None:
        """Send what can be sent, in order, and tell what has become known."""
        async with self._writing:
            for response in self.session.pump():
                self.log.sent(response.type, response.nonce, self._clock.now())
                await self._context.write(_encode(response))
        for report in self.session.reports():
            if isinstance(report, Live):
                self.live = report.serial
            elif isinstance(report, Refused):
                _LOG.warning(
                    "Envoy refused a resource", extra={"resource": report.resource.name, "reason": report.reason}
                )
            self._on_report(report)

    async def tend(self) -> None:
        """Once a second: offer refused listeners again, and stop waiting for clusters that will not come to work."""
        nonce, seen = "", 0
        while True:
            await asyncio.sleep(1.0)
            waiting = self.session.waits_for_clusters
            nonce, seen = waiting, seen + 1 if waiting and waiting == nonce else 0
            if seen >= _PATIENCE_SECONDS:
                self.session.give_up_clusters()
            self.session.retry()
            await self.flush()


def _encode(response: Response) -> Any:
    message = discovery_pb2.DiscoveryResponse(
        version_info=response.version, type_url=response.type.value, nonce=response.nonce
    )
    for each in response.resources:
        message.resources.add(type_url=each.type.value, value=each.body)
    return message
