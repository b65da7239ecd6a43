"""Runs reconcilers: key → view → decide → apply, again and again.

Shell. In: `Controller` values. Out: a running system. Level-triggered: a change only names the key to look at. One
place for retry, back-off and logging; a reconciler that raises never stops another.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from graylane.client import ApiClient
from graylane.errors import ApiError, Conflict, GraylaneError
from graylane.kit.apply import Applier
from graylane.kit.cache import Cache, Change, View
from graylane.kit.clock import Clock, SystemClock
from graylane.kit.effects import Outcome
from graylane.kit.events import EventRecorder, Teller
from graylane.kit.informer import Informer
from graylane.kit.queue import WorkQueue
from graylane.model.kinds import Kind
from graylane.model.meta import Key, Obj, key_of

_LOG = logging.getLogger(__name__)

_URGENT_WORKERS = 32

Reconcile = Callable[[View, Key, datetime], Outcome | Awaitable[Outcome]]
KeysOf = Callable[[Obj], Iterable[Key]]
Follow = Callable[[Kind, KeysOf], bool]
"""Begin to watch a kind, asking for the keys of its changes; says whether its cache is complete."""


@dataclass(frozen=True)
class Controller:
    """One kind's loop. A change of a `watches` kind asks for the keys its function names, of old and new object.

    `urgent`: whether a change of the primary kind goes before everything that waits, as somebody's own doing.
    `managers`: whether it asks who wrote a field of the primary kind; caches forget that otherwise.
    """

    name: str
    primary: Kind
    reconcile: Reconcile
    watches: Mapping[Kind, KeysOf] = field(default_factory=dict)
    workers: int = 1
    extra_caches: tuple[Kind, ...] = ()
    urgent: Callable[[Change], bool] | None = None
    managers: bool = False


class Manager:
    """Shares one informer per kind among controllers and shells, and runs them all.

    `namespace` narrows what is watched to one namespace, for those whose rights end there.
    """

    def __init__(self, client: ApiClient, clock: Clock | None = None, namespace: str = "") -> None:
        self.client = client
        self.namespace = namespace
        self.clock: Clock = clock or SystemClock()
        self._controllers: list[tuple[Controller, WorkQueue[Key]]] = []
        self._informers: dict[Kind, Informer] = {}
        self._listeners: dict[Kind, list[Callable[[Change], None]]] = {}
        self._caches: dict[Kind, Cache] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()

    def add(self, controller: Controller) -> None:
        """Register a controller; before `run`."""
        queue: WorkQueue[Key] = WorkQueue()
        self._controllers.append((controller, queue))
        urgent = controller.urgent or (lambda change: False)
        self.watch(controller.primary).managers |= controller.managers
        self.listen(controller.primary, lambda change: queue.add(change.key, urgent=urgent(change)))
        for kind, keys_of in controller.watches.items():
            self.listen(kind, _mapper(queue, keys_of))
        for kind in controller.extra_caches:
            self.watch(kind)

    def watch(self, kind: Kind) -> Informer:
        """Make sure `kind` is cached; may be called while running."""
        informer = self._informers.get(kind)
        if informer is None:
            informer = Informer(self.client, kind, lambda change: self._dispatch(kind, change), self.namespace)
            self._informers[kind] = informer
            self._caches[kind] = informer.cache
            if self._tasks is not None:
                self._tasks.create_task(informer.run())
        return informer

    def listen(self, kind: Kind, callback: Callable[[Change], None]) -> None:
        """Call `callback` for every change of `kind` from now on; what is cached already is told at once."""
        self._listeners.setdefault(kind, []).append(callback)
        for obj in list(self.watch(kind).cache.objects.values()):
            callback(Change(key_of(obj), None, obj))

    def on_change(self, kind: Kind, callback: Callable[[Key], None]) -> None:
        """Like `listen`, for those who only want to know which object."""
        self.listen(kind, lambda change: callback(change.key))

    def follower(self, controller: str) -> Follow:
        """How `controller` may begin to watch kinds it learns of while running, e.g. from a spec."""
        followed: set[Kind] = set()

        def follow(kind: Kind, keys_of: KeysOf) -> bool:
            if kind not in followed:
                followed.add(kind)
                queue = next(queue for known, queue in self._controllers if known.name == controller)
                self.listen(kind, _mapper(queue, keys_of))
            return self.watch(kind).synced.is_set()

        return follow

    def view(self) -> View:
        return View(self._caches)

    async def synced(self) -> None:
        """Returns once every cache holds its first list."""
        await self._running.wait()
        for informer in list(self._informers.values()):
            await informer.synced.wait()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for informer in list(self._informers.values()):
                    tasks.create_task(informer.run())
                self._running.set()
                for controller, queue in self._controllers:
                    self._employ(tasks, controller, queue)
        finally:
            self._tasks = None
            for _, queue in self._controllers:
                queue.close()

    def _employ(self, tasks: asyncio.TaskGroup, controller: Controller, queue: WorkQueue[Key]) -> None:
        """Few workers leave changes of one object time to come together; who waits for an answer gets more hands."""
        teller = Teller(EventRecorder(self.client, self.clock, controller.name))
        tasks.create_task(teller.run())
        for index in range(controller.workers + (_URGENT_WORKERS if controller.urgent else 0)):
            only_urgent = index >= controller.workers
            tasks.create_task(self._work(controller, queue, teller, only_urgent=only_urgent))

    def learn(self, kind: Kind, obj: Obj) -> None:
        """Take in what our own write returned, so that the next view shows it."""
        if informer := self._informers.get(kind):
            informer.take({"apiVersion": kind.api_version, "kind": kind.kind} | obj)

    def forget(self, kind: Kind, key: Key, uid: str) -> None:
        """Take in that an object is gone; with a uid, late echoes of it are ignored."""
        informer = self._informers.get(kind)
        known = informer.cache.objects.get(key) if informer else None
        if informer is not None and known is not None and uid in ("", known["metadata"].get("uid")):
            informer.bury(known)

    async def _work(self, controller: Controller, queue: WorkQueue[Key], teller: Teller, *, only_urgent: bool) -> None:
        await self.synced()
        applier = Applier(self.client, self, teller)
        while True:
            key = await queue.get(only_urgent=only_urgent)
            try:
                await self._reconcile(controller, queue, applier, key)
            finally:
                queue.done(key)

    async def _reconcile(self, controller: Controller, queue: WorkQueue[Key], applier: Applier, key: Key) -> None:
        try:
            answer = controller.reconcile(self.view(), key, self.clock.now())
            outcome = await answer if inspect.isawaitable(answer) else answer
            await applier.apply(outcome.effects)
        except Exception as error:
            _report(controller, key, error, queue.retry(key))
            return
        queue.succeeded(key)
        if outcome.wake_at is None:
            queue.cancel_timer(key)
        else:
            queue.add_after(key, (outcome.wake_at - self.clock.now()).total_seconds())

    def _dispatch(self, kind: Kind, change: Change) -> None:
        for callback in self._listeners.get(kind, ()):
            callback(change)


def _mapper(queue: WorkQueue[Key], keys_of: KeysOf) -> Callable[[Change], None]:
    def enqueue(change: Change) -> None:
        for obj in (change.old, change.new):
            if obj is not None:
                for key in keys_of(obj):
                    queue.add(key)

    return enqueue


def _report(controller: Controller, key: Key, error: Exception, delay: float) -> None:
    """Expected trouble is one line; anything else is a defect of ours and comes with its trace."""
    facts = f"controller={controller.name} key={key} retry_in={delay:.2f}s error={error}"
    if isinstance(error, Conflict):
        _LOG.debug("reconcile raced another writer: %s", facts)
    elif isinstance(error, ApiError | GraylaneError):
        _LOG.info("reconcile will be retried: %s", facts)
    else:
        _LOG.exception("reconcile failed: %s", facts)


@contextlib.asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[Manager]:
    """Run `manager` in the background for the length of a `with` block."""
    task = asyncio.create_task(manager.run())
    try:
        await manager.synced()
        yield manager
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
