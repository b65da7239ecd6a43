"""gRPC health checks against a real server: what it answers, and what is said when it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from graylane.cluster.kubelet.grpcchecks import serving

STATES = {"": 1, "shop": 1, "closed": 2, "x" * 200: 1}


class Health(grpc.GenericRpcHandler):  # type: ignore[misc]
    """`grpc.health.v1.Health` in the few bytes that it takes."""

    def service(self, details: Any) -> Any:
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(self._check)

    async def _check(self, request: bytes, context: Any) -> bytes:
        service = request[-200:].decode() if len(request) > 200 else request[2:].decode()
        if service not in STATES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return bytes([8, STATES[service]])


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    found = grpc.aio.server()
    found.port = found.add_insecure_port("127.0.0.1:0")
    yield found
    await found.stop(None)


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("", ""),
        ("shop", ""),
        ("x" * 200, ""),
        ("closed", 'service unhealthy (responded with "NOT_SERVING")'),
        ("nobody", "does not know the service"),
    ],
)
async def test_a_server_answers_for_each_of_its_services(server: Any, service: str, said: str) -> None:
    server.add_generic_rpc_handlers([Health()])
    await server.start()
    found = await serving(f"127.0.0.1:{server.port}", service, 5)
    assert found.endswith(said)
    assert bool(found) == bool(said)


async def test_a_server_without_the_protocol_is_told_from_none_at_all(server: Any) -> None:
    await server.start()
    target = f"127.0.0.1:{server.port}"
    assert await serving(target, "", 5) == f"the server at {target} has no grpc.health.v1.Health"
    await server.stop(None)
    assert "UNAVAILABLE" in await serving(target, "", 5)
