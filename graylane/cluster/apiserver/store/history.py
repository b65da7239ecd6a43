"""The last changes, kept so that a watch can resume and a paged list can stay consistent.

Pure. In: committed events. Out: events after a revision; the state of one resource at a revision.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from graylane.cluster.apiserver.store.contract import Compacted, Entry, Event, EventType
from graylane.model.meta import Key

CAPACITY = 10_000
ROOM = 64 << 20
FRAMES_KEPT = 256


class History:
    """A ring of the newest events of all resources. A watch may start after any revision ≥ `oldest`.

    It holds `capacity` events, or as many as have room in `room` bytes: ten thousand large objects would be gigabytes.
    """

    def __init__(self, oldest: int, events: Iterable[Event] = (), capacity: int = CAPACITY, room: int = ROOM) -> None:
        self.oldest = oldest
        self._events: deque[Event] = deque()
        self._capacity, self._room, self._size = capacity, room, 0
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        self._events.append(event)
        self._size += len(event.entry.body)
        while len(self._events) > self._capacity or (self._size > self._room and len(self._events) > 1):
            gone = self._events.popleft()
            self.oldest = gone.revision
            self._size -= len(gone.entry.body)
        if len(self._events) > FRAMES_KEPT:
            self._events[-FRAMES_KEPT].frames.clear()  # nobody but a late resumer reads those: encode again for it

    def after(self, resource: str, revision: int) -> list[Event]:
        """Events of `resource` newer than `revision`, oldest first. Raises `Compacted`."""
        return [event for event in self._newer_than(revision) if event.resource == resource]

    def rewind(self, resource: str, current: dict[Key, Entry], revision: int) -> dict[Key, Entry]:
        """`current` as it was at `revision`. Raises `Compacted` when that cannot be known."""
        state = dict(current)
        for event in reversed(self._newer_than(revision)):
            if event.resource != resource:
                continue
            if event.type is EventType.ADDED:
                state.pop(event.entry.key, None)
            elif event.previous is None:
                raise Compacted(revision, event.revision)
            else:
                state[event.entry.key] = event.previous
        return state

    def _newer_than(self, revision: int) -> list[Event]:
        if revision < self.oldest:
            raise Compacted(revision, self.oldest)
        newer: list[Event] = []
        for event in reversed(self._events):
            if event.revision <= revision:
                break
            newer.append(event)
        newer.reverse()
        return newer
