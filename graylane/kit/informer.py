"""Keeps one cache equal to one collection of the API.

Shell. In: a client and a kind. Out: a `Cache` and a call per change. List, then watch from there; a version that is too
old means listing again and comparing, so that no deletion is missed; a lost server is asked again with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from graylane.client import ApiClient
from graylane.errors import ApiError, Gone, NotFound
from graylane.kit.cache import Cache, Change
from graylane.model.kinds import Kind
from graylane.model.meta import Obj, key_of, rv_of, uid_of

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0


class Informer:
    """One kind in one namespace ("": all of them). `synced` is set once the first list is in the cache.

    `managers`: whether objects keep `managedFields`, which is as much as the rest of them and read by hardly anybody.
    """

    def __init__(self, client: ApiClient, kind: Kind, on_change: Callable[[Change], None], namespace: str = "") -> None:
        self.kind = kind
        self.namespace = namespace
        self.managers = False
        self.cache = Cache()
        self.synced = asyncio.Event()
        self._client = client
        self._on_change = on_change
        self._told = 0  # the version up to which the list and the watch have told everything

    async def run(self) -> None:
        """Never returns; cancel it to stop."""
        version = ""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                if not version:
                    version = await self._list()
                version = await self._watch(version)
                pause = _FIRST_PAUSE_SECONDS
            except Gone:
                version = ""
            except NotFound:
                # The kind's CRD is not installed: nothing of it exists, which is knowledge too.
                self._relist([])
                self.synced.set()
                version = ""
                pause = await self._rest(pause)
            except ApiError as error:
                _LOG.debug("watch failed, trying again", extra={"kind": str(self.kind), "error": str(error)})
                pause = await self._rest(pause)

    def take(self, obj: Obj) -> None:
        """Put an object that our own write returned; the watch will repeat it.

        Unless it has told of it, and of the object's end, before the answer came: then it would stay for ever.
        """
        if rv_of(obj) > self._told or key_of(obj) in self.cache.objects:
            self._tell(self.cache.put(self._kept(obj)))

    def bury(self, obj: Obj) -> None:
        """Forget an object that our own delete removed at once."""
        self._tell(self.cache.bury(key_of(obj), uid_of(obj)))

    async def _list(self) -> str:
        listed = await self._client.list(self.kind, self.namespace)
        self._relist([self._kept(obj) for obj in listed.items])
        self._told = int(listed.resource_version) if listed.resource_version.isdigit() else 0
        self.synced.set()
        return listed.resource_version

    def _relist(self, items: list[Obj]) -> None:
        for change in self.cache.replace_all(items):
            self._on_change(change)

    async def _watch(self, version: str) -> str:
        """Follow the stream until it ends; returns the version to go on from."""
        timeout = random.randint(300, 600)  # spread reconnects of many clients over time
        events = self._client.watch(self.kind, self.namespace, resource_version=version, timeout_seconds=timeout)
        async for event in events:
            version = str(rv_of(event.object)) or version
            self._told = max(self._told, rv_of(event.object))
            if event.type == "DELETED":
                self.cache.mourned(uid_of(event.object))
                self._tell(self.cache.remove(key_of(event.object), uid_of(event.object)))
            elif event.type != "BOOKMARK":
                self._tell(self.cache.put(self._kept(event.object)))
        return version

    def _kept(self, obj: Obj) -> Obj:
        metadata = obj.get("metadata") or {}
        if self.managers or "managedFields" not in metadata:
            return obj
        return obj | {"metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            self._on_change(change)

    async def _rest(self, pause: float) -> float:
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        return min(pause * 2, _LONGEST_PAUSE_SECONDS)
