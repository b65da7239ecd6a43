"""Keeps ClusterRoles that are made of others equal to their parts.

Shell (a task, store through the pipeline). In: committed changes of ClusterRoles. Out: writes of `rules`. One role may
be part of the next, so it looks again after every write of its own.
"""

from __future__ import annotations

import asyncio
import logging

from graylane.cluster.apiserver import pipeline
from graylane.cluster.apiserver.authorization.aggregation import changes
from graylane.cluster.apiserver.authorization.authorizer import CLUSTER_ROLES
from graylane.cluster.apiserver.context import Api
from graylane.cluster.apiserver.internal import own_call
from graylane.cluster.apiserver.store import Event
from graylane.errors import ApiError, NotFound
from graylane.model.meta import Key, Obj

log = logging.getLogger(__name__)


class Aggregator:
    """At most one task at a time; a change during its work makes it go round once more."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def start(self) -> None:
        self._api.store.on_commit(self._on_commit)
        self._look()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _on_commit(self, event: Event) -> None:
        if event.resource == CLUSTER_ROLES:
            self._look()

    def _look(self) -> None:
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._settle(), name="aggregate-cluster-roles")

    async def _settle(self) -> None:
        while self._again:
            self._again = False
            roles = [entry.obj for entry in self._api.store.entries(CLUSTER_ROLES)]
            for name, rules in changes(roles):
                await self._write(name, rules)

    async def _write(self, name: str, rules: list[Obj]) -> None:
        key = Key("", name)
        try:
            await pipeline.update(own_call(self._api, CLUSTER_ROLES, key), key, lambda old: {**old, "rules": rules})
        except NotFound:
            return
        except ApiError as error:
            log.warning("Cannot aggregate a ClusterRole", extra={"role": name, "error": str(error)})
