"""Keeps Service `istiod` and the mesh's own pod in the API.

Shell. In: a running manager, where the mesh answers. Out: the objects; a pod that somebody deletes comes back, since it
stands for what goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace

from graylane.errors import AlreadyExists, ApiError, NotFound
from graylane.kit import Change, Manager
from graylane.mesh.debug.istiod import NAMESPACE, Post, answers_at, pod_object, pod_status, service_object
from graylane.model import kinds
from graylane.model.meta import Obj, is_deleting, is_true, uid_of

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.5


class Presence:
    def __init__(self, manager: Manager, post: Post) -> None:
        self._manager = manager
        self._post = post
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, port: int) -> None:
        self._post = replace(self._post, port=port)
        self._manager.listen(kinds.POD, self._on_pod)
        self._wake.set()
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """The objects stay; the pod is said to be not ready."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(1):
                await self._show(ready=False)

    def _on_pod(self, change: Change) -> None:
        if change.key == self._post.key and (change.new is None or is_deleting(change.new)):
            self._wake.set()

    async def _keep(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._establish()
            except ApiError as error:
                _LOG.debug("the mesh's own pod is not in the API yet: error=%s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                self._wake.set()

    async def _establish(self) -> None:
        client = self._manager.client
        with contextlib.suppress(AlreadyExists):
            await client.create(kinds.NAMESPACE, {"metadata": {"name": NAMESPACE}})
        with contextlib.suppress(AlreadyExists):
            await client.create(kinds.SERVICE, service_object())
        await self._show(ready=True)

    async def _show(self, *, ready: bool) -> None:
        pod = await self._pod()
        if is_true(pod, "Ready") is ready and not is_deleting(pod):
            return
        status = pod_status(pod, self._post, self._manager.clock.now(), ready=ready)
        await self._manager.client.patch(
            kinds.POD, self._post.key.name, NAMESPACE, {"status": status}, subresource="status"
        )

    async def _pod(self) -> Obj:
        """The living pod of a mesh that answers where we do; any other goes."""
        client, name = self._manager.client, self._post.key.name
        try:
            live = await client.get(kinds.POD, name, NAMESPACE)
        except NotFound:
            return await client.create(kinds.POD, pod_object(self._post))
        if answers_at(live, self._post) and not is_deleting(live):
            return live
        with contextlib.suppress(NotFound):
            await client.delete(kinds.POD, name, NAMESPACE, grace_seconds=0, uid=uid_of(live))
        return await client.create(kinds.POD, pod_object(self._post))
