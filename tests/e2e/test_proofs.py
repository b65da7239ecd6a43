"""What refutes a lane is true: the request of each counter-example, sent through a real Envoy, fares as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from graylane.kit.cache import View
from graylane.mesh.explain.reading import Lists, inputs_of, view_of
from graylane.mesh.prove.imagine import imagined
from graylane.mesh.prove.judge import Claim
from graylane.mesh.prove.lane import Cast, lanes_of
from graylane.mesh.prove.proof import Failure, Proof
from graylane.mesh.prove.walk import prove
from graylane.model.kinds import POD
from graylane.model.meta import dig, key_of
from graylane.testing import envoys, places
from tests.unit.prove.chains import FAULTS, faulty

from .reality import Asked
from .reality_rig import Client

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

PLANNED = b"203.0.113."
TRIES = 4_000  # a share of one in a hundred shows itself in all but one of 10^17 runs


class _Upstream(asyncio.Protocol):
    """Says at which address it answers."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.rest = transport, b""

    def data_received(self, data: bytes) -> None:
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        address = self.transport.get_extra_info("sockname")[0]
        for _ in requests:
            self.transport.write(f"HTTP/1.1 200 OK\r\nx-pod: {address}\r\ncontent-length: 0\r\n\r\n".encode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[tuple[envoys.Rig, str]]:
    network, loop = places.own_network(), asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(envoys.rig())
        for number in range(1, 17):
            for port in (8000, 9000):
                server = await loop.create_server(_Upstream, f"{network}.{number}", port)
                stack.callback(server.close)
        yield rig, network


def placed(lists: Lists, network: str) -> Lists:
    """Everything that is planned, where it can be reached."""
    return {
        kind: orjson.loads(orjson.dumps(items).replace(PLANNED, f"{network}.".encode()))
        for kind, items in imagined(lists).items()
    }


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda number: FAULTS[number].__name__)
async def test_a_counter_example_fares_as_told(stage: tuple[envoys.Rig, str], number: int) -> None:
    rig, network = stage
    _, found = faulty(number)
    lists = placed(found.scene.lists(), network)
    view, inputs = view_of(lists), inputs_of(lists)
    (lane,) = lanes_of(view)
    proof = prove(view, inputs, lane)
    assert proof.failures
    await rig.push(inputs)
    for failure in proof.failures:
        assert await _fares_so(failure, proof, view), failure


async def _fares_so(failure: Failure, proof: Proof, view: View) -> bool:
    """Asks the listener of the last hop, where a share of requests is enough for a share of failures."""
    step, cast = failure.last, Cast(view, proof.lane)
    pods = {str(dig(pod, "status", "podIP")): pod for pod in view.list(POD)}
    canaries = {address for address, pod in pods.items() if cast.is_canary(pod)}
    address, _, port = step.listener.rpartition("_")
    client = Client(address, int(port), absolute=not step.at_gateway)
    asked = Asked("", step.request.authority, step.request.path, step.request.method, step.request.headers)
    try:
        for _ in range(TRIES):
            head = await client.send(asked, "proof")
            status = int(head.split(" ", 2)[1])
            by = head.partition("\r\nx-pod: ")[2].partition("\r\n")[0]
            if failure.claim is Claim.PLAIN:
                seen = by in canaries
            elif failure.claim is Claim.CANARY:
                seen = bool(by) and by not in canaries
            else:
                seen = f"pod {key_of(pods[by])}" in failure.says if by else status >= 400
            if seen:
                return True
        return False
    finally:
        client.close()
