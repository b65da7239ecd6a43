"""Asks a gRPC server whether it is healthy, by the protocol that all of them share.

Shell. In: where it listens, which service. Out: "" when it serves, else why not. The two messages of
`grpc.health.v1.Health/Check` have one field each: the service's name, and its state, of which 1 means that it serves.
"""

from __future__ import annotations

import grpc
import grpc.aio

_METHOD = "/grpc.health.v1.Health/Check"
_OPTIONS = (("grpc.enable_http_proxy", 0),)
_STATES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


async def serving(target: str, service: str, timeout_seconds: float) -> str:
    """One request within `timeout_seconds`, connecting included."""
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        check = channel.unary_unary(_METHOD, request_serializer=_request, response_deserializer=_state)
        try:
            state = await check(service, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            return _failure(target, error, timeout_seconds)
    return "" if state == "SERVING" else f'service unhealthy (responded with "{state}")'


def _failure(target: str, error: grpc.aio.AioRpcError, timeout_seconds: float) -> str:
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"the server at {target} has no grpc.health.v1.Health"
        case grpc.StatusCode.NOT_FOUND:
            return f"the server at {target} does not know the service"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"timeout: health rpc did not complete within {timeout_seconds:g}s"
        case code:
            return f"error: health rpc failed: {code.name}: {error.details()}"


def _request(service: str) -> bytes:
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def _state(answer: bytes) -> str:
    """The name of the state; an empty message is a field left at its zero."""
    number = answer[1] if len(answer) == 2 and answer[0] == 0x08 else 0
    return _STATES[number] if number < len(_STATES) else _STATES[0]


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
