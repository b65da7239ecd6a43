"""How we and the holder talk: JSON with its length in front, file descriptors beside it.

Shell around a pure framing. In: messages and descriptors. Out: the same on the other side. The standard library alone,
and the same for all time: a holder of another version must at least be understood when it says which one it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = 1  # of what the messages mean; raise it when an older holder would not do as a newer client asks
SOCKET = "holder.sock"

Message = dict[str, Any]

_LENGTH = 4
_PIECE = 1 << 16
_MOST_DESCRIPTORS = 8


def encode(message: Message) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(_LENGTH) + body


class Incoming:
    """What arrives at one end of a connection. A message says in `fds` how many descriptors are its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""
        self._descriptors: deque[int] = deque()

    def receive(self) -> bool:
        """Read once; False at the end of the connection. Raises what `recvmsg` raises, BlockingIOError among it."""
        data, descriptors, _, _ = socket.recv_fds(self._connection, _PIECE, _MOST_DESCRIPTORS)
        self._descriptors.extend(descriptors)
        self._data += data
        return bool(data)

    def next(self) -> tuple[Message, list[int]] | None:
        """The next complete message, if there is one."""
        size = int.from_bytes(self._data[:_LENGTH])
        if len(self._data) < _LENGTH or len(self._data) < _LENGTH + size:
            return None
        body, self._data = self._data[_LENGTH : _LENGTH + size], self._data[_LENGTH + size :]
        message: Message = json.loads(body)
        return message, [self._descriptors.popleft() for _ in range(message.get("fds", 0))]

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._connection.close()


def send(connection: socket.socket, message: Message) -> None:
    """All of it; the connection may block, within its time-out."""
    connection.sendall(encode(message))


def connect(directory: Path, timeout: float) -> socket.socket | None:
    """To the holder of this directory; None when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        with _short(directory) as way:
            connection.connect(str(way / SOCKET))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[Path]:
    """A way there for a socket's path, which may have about a hundred bytes, however long the directory's is."""
    if not (descriptors := Path("/proc/self/fd")).is_dir():
        yield directory
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptors / str(descriptor)
    finally:
        os.close(descriptor)
