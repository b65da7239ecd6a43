"""Kubernetes' remote-command protocol: one byte names the channel, the rest of a WebSocket message is its data.

Pure. In: messages of a client, results of a command. Out: what the client wants; messages and `v1.Status` for it.
`v5.channel.k8s.io` differs from v4 in one thing: a client can say that a channel, such as stdin, has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
PROTOCOLS = (V5, V4)  # in our order of preference

_LARGEST_TERMINAL = 65535


class Channel(IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4
    CLOSE = 255


OF_STREAM: Mapping[str, Channel] = {"stdout": Channel.STDOUT, "stderr": Channel.STDERR}


@dataclass(frozen=True, slots=True)
class Input:
    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfInput:
    pass


@dataclass(frozen=True, slots=True)
class Resize:
    rows: int
    columns: int


Wish = Input | EndOfInput | Resize


def decode(message: bytes, protocol: str) -> Wish | None:
    """What a client's message asks for; None when it asks for nothing that we know, which is no error."""
    if not message:
        return None
    channel, data = message[0], message[1:]
    if channel == Channel.STDIN:
        return Input(data) if data else None
    if channel == Channel.RESIZE:
        return _resize(data)
    if channel == Channel.CLOSE and protocol == V5 and data == bytes([Channel.STDIN]):
        return EndOfInput()
    return None


def encode(channel: Channel, data: bytes) -> bytes:
    return bytes([channel]) + data


def encode_status(status: Mapping[str, Any]) -> bytes:
    """The last message: how it went."""
    return encode(Channel.ERROR, orjson.dumps(status))


def _resize(data: bytes) -> Resize | None:
    try:
        size = orjson.loads(data)
        rows, columns = size["Height"], size["Width"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return None
    fits = all(isinstance(each, int) and 0 < each <= _LARGEST_TERMINAL for each in (rows, columns))
    return Resize(rows, columns) if fits else None


def succeeded() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def exited(code: int) -> dict[str, Any]:
    """A command's result; clients take the exit code from the cause."""
    if code == 0:
        return succeeded()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def refused(message: str) -> dict[str, Any]:
    """Why nothing was run."""
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}
