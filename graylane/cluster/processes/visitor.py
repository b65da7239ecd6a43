"""One connection to the holder, as the holder sees it: who it is, what it says, and what it has not read yet.

Shell. In: a socket, messages for it. Out: messages of it. Never waits for the other side. The standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque

from graylane.cluster.processes.wire import Incoming, Message, encode


class Visitor:
    """One connection. What it does not read yet is kept for it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.incoming = Incoming(connection)
        self.pid = 0
        self.pidfd = -1
        self.unread = 0
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()

    def tell(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        data = encode(message | {"fds": len(descriptors)})
        self._unsent.append((data, tuple(os.dup(each) for each in descriptors)))
        self.unread += len(data)
        self.flush()

    def flush(self) -> None:
        """Send what the other side takes; its end is noticed where we read."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                data, descriptors = self._unsent[0]
                sent = socket.send_fds(self.connection, [data], descriptors)
                self._unsent.popleft()
                close(descriptors)
                self.unread -= sent
                if data[sent:]:
                    self._unsent.appendleft((data[sent:], ()))

    @property
    def waits(self) -> bool:
        return bool(self._unsent)

    def close(self) -> None:
        for _, descriptors in self._unsent:
            close(descriptors)
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.incoming.close()


def close(descriptors: tuple[int, ...]) -> None:
    for each in descriptors:
        os.close(each)
