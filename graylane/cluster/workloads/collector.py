"""Keeps order over all kinds at once: collects garbage and empties namespaces.

Shell. In: a manager. Out: deletions. Unlike other controllers it has no list of kinds to watch: it asks the API which
there are, again whenever a CRD comes or goes. Nothing is deleted on cached knowledge alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from functools import partial

from graylane.cluster.workloads.discovery import discover
from graylane.cluster.workloads.garbage import (
    FOREGROUND,
    ORPHAN,
    Dependent,
    Fate,
    Item,
    collect,
    fate_of,
    group_of,
    is_concerned,
    owner_items,
    owner_key,
    touches_ownership,
)
from graylane.cluster.workloads.namespaces import is_terminating, terminate
from graylane.errors import ApiError, MethodNotAllowed, NotFound
from graylane.kit import Change, Manager, Outcome
from graylane.kit.apply import Applier
from graylane.kit.events import EventRecorder
from graylane.kit.loop import running
from graylane.kit.queue import WorkQueue
from graylane.model.kinds import CRD, EVENT, NAMESPACE, Kind
from graylane.model.meta import Key, Obj, finalizers_of, is_deleting, key_of, owner_refs, uid_of

_LOG = logging.getLogger(__name__)
_WORKERS = 20  # as many as kube-controller-manager has (--concurrent-gc-syncs)
_EVENTS = Kind("events.k8s.io", "v1", "Event", "events")  # a view of EVENT
_IGNORED = {EVENT, _EVENTS}
_PAUSE_SECONDS = 0.5


class Collector:
    """Create it before the manager runs, then `run()` it beside the manager."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._client = manager.client
        self._queue: WorkQueue[Item] = WorkQueue()
        self._kinds: frozenset[Kind] = frozenset()
        self._watched: set[Kind] = set()
        self._served: dict[tuple[str, str], Kind] = {}
        self._kinds_changed = asyncio.Event()
        self._kinds_changed.set()
        manager.on_change(CRD, lambda _: self._kinds_changed.set())

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_kinds())
                for _ in range(_WORKERS):
                    tasks.create_task(self._work())
        finally:
            self._queue.close()

    async def _follow_kinds(self) -> None:
        while True:
            await self._kinds_changed.wait()
            self._kinds_changed.clear()
            try:
                self._watch(await discover(self._client))
            except ApiError as error:
                _LOG.debug("discovery failed, trying again", extra={"error": str(error)})
                self._kinds_changed.set()
                await asyncio.sleep(_PAUSE_SECONDS)

    def _watch(self, kinds: frozenset[Kind]) -> None:
        """Events own nothing and are owned by nobody, and there are many of them."""
        self._kinds = kinds - {_EVENTS}
        for kind in sorted(kinds - self._watched - _IGNORED, key=str):
            self._watched.add(kind)
            self._served[kind.group, kind.kind] = kind
            self._manager.listen(kind, partial(self._on_change, kind))

    # -- who must be looked at after a change

    def _on_change(self, kind: Kind, change: Change) -> None:
        for item in self._concerned(kind, change):
            self._queue.add(item)

    def _concerned(self, kind: Kind, change: Change) -> Iterable[Item]:
        yield from self._namespace_of(kind, change)
        if not touches_ownership(change):
            return
        if change.new is not None and is_concerned(change.new):
            yield Item(kind, change.key)
        for obj in (change.old, change.new):
            if obj is not None and (obj is not change.new or is_deleting(obj)):
                yield from (Item(found.kind, key_of(found.obj)) for found in self._dependents(obj))
                yield from owner_items(obj, self._watched)

    def _namespace_of(self, kind: Kind, change: Change) -> Iterable[Item]:
        name = change.key.name if kind == NAMESPACE else change.key.namespace
        namespace = self._manager.view().get(NAMESPACE, "", name) if NAMESPACE in self._watched else None
        if namespace is not None and is_terminating(namespace):
            yield Item(NAMESPACE, Key("", name))

    def _dependents(self, owner: Obj) -> list[Dependent]:
        view, uid = self._manager.view(), uid_of(owner)
        return [Dependent(kind, obj) for kind in self._watched for obj in view.owned_by(kind, uid)]

    # -- looking

    async def _work(self) -> None:
        await self._manager.synced()
        recorder = EventRecorder(self._client, self._manager.clock, "garbage-collector")
        applier = Applier(self._client, self._manager, recorder)
        while True:
            item = await self._queue.get()
            try:
                await self._handle(item, applier)
            finally:
                self._queue.done(item)

    async def _handle(self, item: Item, applier: Applier) -> None:
        try:
            outcome = await self._decide(item)
            await applier.apply(outcome.effects)
        except ApiError as error:
            delay = self._queue.retry(item)
            _LOG.debug("%s %s: %s; again in %.2f s", item.kind, item.key, error, delay)
            return
        self._queue.succeeded(item)
        if outcome.wake_at is not None:
            self._queue.add_after(item, (outcome.wake_at - self._manager.clock.now()).total_seconds())

    async def _decide(self, item: Item) -> Outcome:
        if self._is_kept(item):
            return Outcome()
        obj = await self._live(item)
        if obj is None:
            return Outcome()
        if item.kind == NAMESPACE and is_terminating(obj):
            return terminate(obj, await self._content(item.key.name), self._manager.clock.now())
        if is_deleting(obj):
            await self._manager.synced()  # a dependent of a kind discovered just now must not be overlooked
        fates = {} if is_deleting(obj) else {ref["uid"]: await self._fate(obj, ref) for ref in owner_refs(obj)}
        dependents = self._dependents(obj)
        return Outcome(tuple(collect(item, obj, lambda ref: fates[ref["uid"]], dependents)))

    def _is_kept(self, item: Item) -> bool:
        """Nobody need be asked: it and its owners are cached and live, or it is going and waits for nothing of us."""
        obj = self._manager.view().get(item.kind, *item.key)
        if obj is None or not owner_refs(obj):
            return False
        if is_deleting(obj):
            return not {FOREGROUND, ORPHAN} & set(finalizers_of(obj))
        owners = [(self._owner(obj, reference), str(reference["uid"])) for reference in owner_refs(obj)]
        return all(owner and self._cached(owner, uid) is Fate.ALIVE for owner, uid in owners)

    async def _fate(self, dependent: Obj, reference: Obj) -> Fate:
        """An owner that is cached is there; one that is not is asked for, since caches can be late."""
        owner, uid = self._owner(dependent, reference), str(reference["uid"])
        if owner is None:
            return Fate.UNKNOWN
        known = self._cached(owner, uid)
        return fate_of(await self._live(owner), uid) if known is Fate.ABSENT else known

    def _owner(self, dependent: Obj, reference: Obj) -> Item | None:
        """None: of a kind that is not served here, or that cannot own this."""
        kind = self._served.get((group_of(reference), str(reference.get("kind"))))
        if kind is None or (kind.namespaced and not dependent["metadata"].get("namespace")):
            return None
        return Item(kind, owner_key(reference, kind, dependent))

    def _cached(self, owner: Item, uid: str) -> Fate:
        return fate_of(self._manager.view().get(owner.kind, *owner.key), uid)

    async def _live(self, item: Item) -> Obj | None:
        try:
            return await self._client.get(item.kind, item.key.name, item.key.namespace)
        except NotFound:
            return None

    async def _content(self, namespace: str) -> list[Dependent]:
        """All objects in the namespace, by list rather than from caches: an empty answer lets the namespace go."""
        found: list[Dependent] = []
        for kind in sorted(self._kinds, key=str):
            if kind.namespaced:
                found += [Dependent(kind, obj) for obj in await self._list(kind, namespace)]
        return found

    async def _list(self, kind: Kind, namespace: str) -> list[Obj]:
        try:
            return (await self._client.list(kind, namespace)).items
        except (NotFound, MethodNotAllowed):
            return []


@contextlib.asynccontextmanager
async def collecting(manager: Manager) -> AsyncIterator[None]:
    """Run `manager` and a collector in the background for the length of a `with` block."""
    collector = Collector(manager)
    async with running(manager):
        task = asyncio.create_task(collector.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
