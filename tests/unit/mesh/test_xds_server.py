"""The server serves every Envoy that is connected, whatever becomes of one of them."""

from typing import Any

import grpc.aio

from graylane.mesh.snapshot import Snapshot, Type
from graylane.mesh.xds.messages import Request
from graylane.mesh.xds.server import XdsServer, _Stream


class Context:
    """The wire to one Envoy; once cut, it refuses every write as gRPC does."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.cut = False

    async def write(self, message: Any) -> None:
        if self.cut:
            raise grpc.aio.BaseError("the stream is closed")
        self.written.append(message)


def connect(server: XdsServer, context: Context) -> None:
    stream = _Stream(context, lambda report: None)
    stream.session.receive(Request(Type.CLUSTER, frozenset(), "", None))
    server._streams.add(stream)


async def test_an_envoy_that_goes_while_it_is_written_to_keeps_no_other_from_its_snapshot() -> None:
    server, leaving, staying = XdsServer(lambda report: None), Context(), Context()
    connect(server, leaving)
    connect(server, staying)
    leaving.cut = True
    await server.publish(Snapshot(1, {}))
    assert server.connected == 1
    assert [message.type_url for message in staying.written] == [Type.CLUSTER.value]
