"""When a CustomResourceDefinition goes, its objects go first, and its names are free for others.

Shell (a task per definition, store through the pipeline). In: committed events. Out: deletions, and at last the removal
of the finalizer that held the definition.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from graylane.cluster.apiserver import deletion, pipeline
from graylane.cluster.apiserver.bootstrap import SYSTEM
from graylane.cluster.apiserver.context import Api, Call
from graylane.cluster.apiserver.deletion import DeleteOptions
from graylane.cluster.apiserver.exchange import Request
from graylane.cluster.apiserver.internal import own_call
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.store import Entry, Event, EventType
from graylane.cluster.apiserver.strategy import crds
from graylane.errors import ApiError, NotFound
from graylane.model.meta import Key, Obj, finalizers_of, is_deleting

log = logging.getLogger(__name__)


class Definitions:
    """Keeps the registry equal to the committed definitions, and empties those that are on their way out."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for entry in self._api.store.entries(crds.STORE):
            self._learn(entry.obj)
        self._api.store.on_commit(self._on_commit)

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _on_commit(self, event: Event) -> None:
        if event.resource == crds.STORE:
            if event.type is EventType.DELETED:
                self._api.registry.forget(event.entry.obj)
            else:
                self._learn(event.entry.obj)
            self._judge_those_that_wait(event.entry.obj)
        elif event.type is EventType.DELETED:
            self._release(event.resource)

    def _learn(self, crd: Obj) -> None:
        if crds.is_accepted(crd):
            self._api.registry.define(crd)
        if is_deleting(crd) and crds.CLEANUP in finalizers_of(crd):
            self._begin(crd)

    def _begin(self, crd: Obj) -> None:
        name = crd["metadata"]["name"]
        self._run(f"empty-{name}", self._empty(name))

    def _judge_those_that_wait(self, changed: Obj) -> None:
        """Whoever lost a name to `changed` may have it now."""
        for entry in self._api.store.entries(crds.STORE):
            if crds.waits_for(entry.obj, changed) and not is_deleting(entry.obj):
                self._run(f"judge-{entry.key.name}", self._judge(entry.key.name))

    def _run(self, name: str, work: Coroutine[None, None, None]) -> None:
        """One task of a name at a time."""
        if name in self._tasks:
            work.close()
            return
        task = self._tasks[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    def _release(self, store: str) -> None:
        """An object that lingered (a finalizer of its own) is gone: perhaps it was the last one."""
        entry = self._api.store.get(crds.STORE, Key("", store))
        if entry is not None and is_deleting(entry.obj):
            self._begin(entry.obj)

    async def _empty(self, name: str) -> None:
        resource = self._api.registry.by_store(name)
        if resource is not None:
            for entry in self._api.store.entries(name):
                await self._delete(resource, entry)
        if not any(True for _ in self._api.store.heads(name)):
            await self._let_go(name)

    async def _delete(self, resource: Resource, entry: Entry) -> None:
        target = Target(resource.group, resource.version, resource.plural, *entry.key)
        try:
            await deletion.delete(_call(self._api, resource, target), entry.key, DeleteOptions())
        except ApiError as error:
            log.warning(
                "Cannot delete an object of a kind that is going", extra={"key": str(entry.key), "error": str(error)}
            )

    async def _judge(self, name: str) -> None:
        store, now = self._api.store, self._api.clock()
        key, everybody = Key("", name), [entry.obj for entry in store.heads(crds.STORE)]
        call = own_call(self._api, crds.STORE, key, subresource="status")
        try:
            await pipeline.update(call, key, lambda old: crds.judged_again(old, everybody, now))
        except ApiError as error:
            log.warning("Cannot judge a definition's names again", extra={"crd": name, "error": str(error)})

    async def _let_go(self, name: str) -> None:
        resource = self._api.registry.by_store(crds.STORE)
        assert resource is not None
        target = Target(resource.group, resource.version, resource.plural, "", name)
        try:
            await pipeline.update(_call(self._api, resource, target), Key("", name), _without_cleanup)
        except NotFound:
            return


def _call(api: Api, resource: Resource, target: Target) -> Call:
    return Call(api, Request("DELETE", ""), target, resource, SYSTEM)


def _without_cleanup(crd: Obj) -> Obj:
    kept = [name for name in finalizers_of(crd) if name != crds.CLEANUP]
    return {**crd, "metadata": {**crd["metadata"], "finalizers": kept}}
