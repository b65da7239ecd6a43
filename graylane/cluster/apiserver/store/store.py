"""Objects in memory, made durable before anyone hears of them.

Shell (one event loop). In: `put`/`remove` on a resource and key with the expected revision. Out: entries, history,
subscriptions.

Two views exist at any moment. *Committed* is what readers and watchers see: only what is on disk. *Head* is committed
plus the changes on their way to disk; writers decide on it, so two writers never both win, and several changes to one
object can share one transaction. Who is refused for what only head shows is told when it is `settled`, else a reader
would still be told the contrary. One transaction is under way at a time; what comes meanwhile is the next one. If the
disk refuses, head falls back to committed and every waiting writer is told.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

from graylane.cluster.apiserver.store.contract import Entry, Event, EventType, Stale
from graylane.cluster.apiserver.store.disk import Disk, Sinks
from graylane.cluster.apiserver.store.history import CAPACITY, History
from graylane.cluster.apiserver.store.lock import DirectoryLock
from graylane.cluster.apiserver.store.subscription import Subscription
from graylane.errors import InternalError
from graylane.model.meta import Key, Obj

log = logging.getLogger(__name__)

Listener = Callable[[Event], None]


class Store:
    """All methods belong to the event loop that called `open`."""

    def __init__(self, directory: Path, history: int = CAPACITY) -> None:
        self._directory = directory
        self._capacity = history
        self._objects: dict[str, dict[Key, Entry]] = {}
        self._order: dict[str, list[Key]] = {}
        self._pending: dict[tuple[str, Key], Event] = {}
        self._next: list[Event] = []
        self._rests = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Entry]] = {}
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._listeners: list[Listener] = []

    async def open(self) -> None:
        """Take the directory's lock and load it. Raises `UserError` when it is in use or unreadable."""
        self._loop = asyncio.get_running_loop()
        self._lock = DirectoryLock(self._directory)
        try:
            self._disk = Disk(self._directory / "objects.db", self._capacity)
            self._load()
        except BaseException:
            self._lock.release()
            raise
        self._disk.start(Sinks(self._on_committed, self._on_failed))
        self._rests.set()

    def _load(self) -> None:
        for resource, entry in self._disk.objects():
            self._objects.setdefault(resource, {})[entry.key] = entry
        events = list(self._disk.events(self._objects))
        self.revision = self._assigned = self._disk.last_revision()
        self._history = History(events[0].revision - 1 if events else self.revision, events, self._capacity)

    async def close(self) -> None:
        """End every watch, persist what is waiting, give the directory back."""
        self.end_watches()
        await self._rests.wait()
        await asyncio.to_thread(self._disk.close)
        self._lock.release()

    def end_watches(self) -> None:
        """Readers of subscriptions find them closed; nothing else changes."""
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.close()

    # -- committed view -------------------------------------------------------------------------------------------

    def get(self, resource: str, key: Key) -> Entry | None:
        return self._objects.get(resource, {}).get(key)

    def entries(self, resource: str, namespace: str = "") -> list[Entry]:
        """Sorted by namespace and name, as etcd would give them."""
        objects = self._objects.get(resource)
        if not objects:  # webhooks are looked for twice in every write
            return []
        return [objects[key] for key in _within(self._sorted(resource), namespace)]

    def _sorted(self, resource: str) -> list[Key]:
        """Every page of a long list needs the order: it is kept until an object comes or goes."""
        order = self._order.get(resource)
        if order is None:
            order = self._order[resource] = sorted(self._objects.get(resource, {}))
        return order

    def entries_at(self, resource: str, revision: int, namespace: str = "") -> list[Entry]:
        """The list as it was at `revision`. Raises `Compacted`."""
        if not self._history.after(resource, revision):
            return self.entries(resource, namespace)
        then = self._history.rewind(resource, self._objects.get(resource, {}), revision)
        return [then[key] for key in _within(sorted(then), namespace)]

    def subscribe(self, resource: str, after: int | None = None) -> Subscription:
        """Changes committed from now on, or all those newer than `after`. Raises `Compacted`."""
        backlog = [] if after is None else self._history.after(resource, after)
        subscription = Subscription(resource, backlog)
        self._subscriptions.setdefault(resource, set()).add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.get(subscription.resource, set()).discard(subscription)

    def on_commit(self, listener: Listener) -> None:
        """`listener` runs on the loop for every committed event, before its writer is answered."""
        self._listeners.append(listener)

    # -- head view ------------------------------------------------------------------------------------------------

    def head(self, resource: str, key: Key) -> Entry | None:
        event = self._pending.get((resource, key))
        if event is None:
            return self.get(resource, key)
        return None if event.type is EventType.DELETED else event.entry

    def heads(self, resource: str) -> Iterator[Entry]:
        """Every object of a resource including those on their way to disk, in no order."""
        for key, entry in self._objects.get(resource, {}).items():
            if (resource, key) not in self._pending:
                yield entry
        for (owner, _), event in self._pending.items():
            if owner == resource and event.type is not EventType.DELETED:
                yield event.entry

    async def settled(self) -> None:
        """Returns once all that head shows now is committed, or given up: what was decided on it may be said aloud."""
        last = self._waiting.get(self._assigned)
        if last is not None:
            await asyncio.wait([last])

    async def put(self, resource: str, key: Key, obj: Obj, expected: int) -> Entry:
        """Create (`expected` 0) or replace. Raises `Stale` at once if head is not at `expected`."""
        old = self._check(resource, key, expected)
        kind = EventType.ADDED if old is None else EventType.MODIFIED
        return await self._submit(resource, key, kind, obj, old)

    async def remove(self, resource: str, key: Key, obj: Obj, expected: int) -> Entry:
        """Delete; `obj` is the last state that watchers shall see. Raises `Stale`."""
        old = self._check(resource, key, expected)
        return await self._submit(resource, key, EventType.DELETED, obj, old)

    def _check(self, resource: str, key: Key, expected: int) -> Entry | None:
        old = self.head(resource, key)
        if (old.revision if old else 0) != expected:
            raise Stale(f"{resource} {key} is not at revision {expected}")
        return old

    def _submit(self, resource: str, key: Key, kind: EventType, obj: Obj, old: Entry | None) -> asyncio.Future[Entry]:
        self._assigned += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self._assigned)}
        event = Event(resource, kind, Entry.of(key, {**obj, "metadata": metadata}), old)
        self._pending[resource, key] = event
        answer: asyncio.Future[Entry] = self._loop.create_future()
        self._waiting[event.revision] = answer
        self._next.append(event)
        if self._rests.is_set():
            self._rests.clear()
            self._loop.call_soon(self._persist)  # together with what others write in this turn of the loop
        return answer

    def _persist(self) -> None:
        """To wake the writer thread for every change costs more than the change: it gets all that is there at once."""
        batch, self._next = self._next, []
        if batch:
            self._disk.persist(batch)
        else:
            self._rests.set()

    # -- reports of the writer thread -----------------------------------------------------------------------------

    def _on_committed(self, batch: list[Event]) -> None:
        self._loop.call_soon_threadsafe(self._publish, batch)

    def _on_failed(self, batch: list[Event], error: Exception) -> None:
        self._loop.call_soon_threadsafe(self._give_up, batch, error)

    def _publish(self, batch: list[Event]) -> None:
        self._persist()
        for event in batch:
            self._remember(event)
            for listener in self._listeners:
                listener(event)
            for subscription in self._subscriptions.get(event.resource, ()):
                subscription.deliver(event)
            self._answer(event, None)

    def _remember(self, event: Event) -> None:
        key = event.entry.key
        objects = self._objects.setdefault(event.resource, {})
        if event.type is not EventType.MODIFIED:
            self._order.pop(event.resource, None)
        if event.type is EventType.DELETED:
            objects.pop(key, None)
        else:
            objects[key] = event.entry
        self.revision = event.revision
        self._history.append(event)
        if self._pending.get((event.resource, key)) is event:
            del self._pending[event.resource, key]

    def _give_up(self, batch: list[Event], error: Exception) -> None:
        """Nothing of `batch`, nor of what was based on it, was written: forget it all and tell each writer."""
        log.error("Cannot write to the data directory", extra={"directory": str(self._directory), "error": str(error)})
        lost, self._next = batch + self._next, []
        for event in lost:
            self._pending.pop((event.resource, event.entry.key), None)
            self._answer(event, InternalError(f"cannot store the object in {self._directory}: {error}"))
        self._rests.set()

    def _answer(self, event: Event, error: Exception | None) -> None:
        answer = self._waiting.pop(event.revision, None)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(event.entry)
        else:
            answer.set_exception(error)


def _within(order: list[Key], namespace: str) -> list[Key]:
    """The part of a sorted list that is in one namespace; all of it for ""."""
    if not namespace:
        return order
    start = bisect_left(order, Key(namespace, ""))
    return order[start : bisect_left(order, Key(namespace + "\0", ""), start)]
