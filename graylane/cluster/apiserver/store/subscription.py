"""One watcher's mailbox: bounded, so that a slow reader is cut off and never holds up a writer.

Shell (event loop only). In: committed events. Out: batches of them, or `Overflow`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from graylane.cluster.apiserver.store.contract import Event

LIMIT = 10_000
ROOM = 64 << 20  # bytes: ten thousand large objects would be gigabytes


class Overflow(Exception):
    """The reader fell too far behind; it must list again."""


class Subscription:
    """Events of one resource, in revision order, each exactly once."""

    __slots__ = ("_arrived", "_closed", "_events", "_limit", "_overflow", "_room", "_size", "resource")

    def __init__(self, resource: str, backlog: Iterable[Event] = (), limit: int = LIMIT, room: int = ROOM) -> None:
        self.resource = resource
        self._events: list[Event] = list(backlog)
        self._limit, self._room, self._size = limit + len(self._events), room, 0
        self._overflow = False
        self._closed = False
        self._arrived = asyncio.Event()
        if self._events:
            self._arrived.set()

    def deliver(self, event: Event) -> None:
        """Called by the store for every commit; never blocks."""
        if self._overflow:
            return
        self._size += len(event.entry.body)
        if len(self._events) >= self._limit or self._size > self._room:
            self._overflow = True
            self._events = []
        else:
            self._events.append(event)
        self._arrived.set()

    def close(self) -> None:
        """The server stops: the reader's next batch is empty and `closed` is true."""
        self._closed = True
        self._arrived.set()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def idle(self) -> bool:
        """Everything committed so far has been taken."""
        return not self._events and not self._overflow

    def wake(self) -> None:
        """Let a waiting reader go on, with what there is: its time may be up."""
        self._arrived.set()

    async def batch(self) -> list[Event]:
        """All events that have arrived, at least one unless somebody closes or wakes us.

        Without a timeout: a timer for every event would cost a watcher more than the event itself.
        """
        await self._arrived.wait()
        if self._overflow:
            raise Overflow(
                f"a watcher of {self.resource} fell more than {self._limit} events or {self._room} bytes behind"
            )
        events, self._events, self._size = self._events, [], 0
        if not self._closed:
            self._arrived.clear()
        return events
