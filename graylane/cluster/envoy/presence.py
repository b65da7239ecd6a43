"""Keeps the gateway's Service and mirror pod in the API.

Shell. In: `Gateway`, what is known of the process. Out: the objects, created when absent, the pod recreated when
somebody deletes it: it stands for a process that goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from graylane.client import ApiClient
from graylane.cluster.envoy.gateway import (
    NAMESPACE,
    SERVICE,
    Gateway,
    Process,
    pod_object,
    pod_status,
    service_object,
    service_patch,
)
from graylane.errors import AlreadyExists, ApiError, Conflict, NotFound
from graylane.kit import Clock
from graylane.model import kinds
from graylane.model.meta import Obj, is_deleting, uid_of
from graylane.model.patches import create_merge_patch

_LOG = logging.getLogger(__name__)
_TRIES = 5
_PAUSE = 0.2


class Presence:
    """The gateway in the API. `established` is called with each new mirror pod."""

    def __init__(self, client: ApiClient, clock: Clock, gateway: Gateway, established: Callable[[Obj], None]) -> None:
        self._pod: Obj = {}
        self._established = established
        self._client = client
        self._clock = clock
        self._gateway = gateway
        self._lock = asyncio.Lock()
        self._process = Process()

    async def establish(self) -> Obj:
        """Create what is absent; returns the mirror pod. Raises `ApiError`."""
        with contextlib.suppress(AlreadyExists):
            await self._client.create(kinds.NAMESPACE, {"metadata": {"name": NAMESPACE}})
        await self._establish_service()
        self._know(await self._ensure_pod())
        return self._pod

    async def show(self, process: Process) -> None:
        """Write what is known of the process; an API that does not answer hears it at the next change."""
        self._process = process
        async with self._lock:
            for _ in range(_TRIES):
                try:
                    await self._write_status()
                    return
                except Conflict:
                    self._know(await self._ensure_pod())
                except ApiError as error:
                    _LOG.info("gateway pod status not written: error=%s", error)
                    await asyncio.sleep(_PAUSE)

    async def keep(self) -> None:
        """Put the pod back whenever it is deleted; until cancelled."""
        while True:
            try:
                await self._wait_until_deleted()
                async with self._lock:
                    self._know(await self._ensure_pod())
                await self.show(self._process)
            except ApiError as error:
                _LOG.debug("gateway pod not watched, trying again: error=%s", error)
                await asyncio.sleep(_PAUSE)

    def _know(self, pod: Obj) -> None:
        new = uid_of(pod) != uid_of(self._pod)
        self._pod = pod
        if new:
            self._established(pod)

    async def _establish_service(self) -> None:
        try:
            await self._client.create(kinds.SERVICE, service_object(self._gateway))
        except AlreadyExists:
            live = await self._client.get(kinds.SERVICE, SERVICE, NAMESPACE)
            if patch := service_patch(live, self._gateway):
                await self._client.patch(kinds.SERVICE, SERVICE, NAMESPACE, patch)

    async def _ensure_pod(self) -> Obj:
        """The living mirror pod; one that is being deleted is let go, since there is nothing to wait for."""
        name = self._gateway.pod_name
        try:
            live = await self._client.get(kinds.POD, name, NAMESPACE)
        except NotFound:
            return await self._client.create(kinds.POD, pod_object(self._gateway))
        if not is_deleting(live):
            return live
        with contextlib.suppress(NotFound, Conflict):
            await self._client.delete(kinds.POD, name, NAMESPACE, grace_seconds=0, uid=uid_of(live))
        return await self._client.create(kinds.POD, pod_object(self._gateway))

    async def _write_status(self) -> None:
        old = self._pod.get("status") or {}
        new = pod_status(self._pod, self._gateway, self._process, self._clock.now())
        if new == old:
            return
        version = {"resourceVersion": self._pod["metadata"]["resourceVersion"], "uid": uid_of(self._pod)}
        patch = {"metadata": version, **create_merge_patch({"status": old}, {"status": new})}
        name = self._gateway.pod_name
        try:
            self._pod = await self._client.patch(kinds.POD, name, NAMESPACE, patch, subresource="status")
        except NotFound as error:
            raise Conflict("the gateway's pod was deleted") from error

    async def _wait_until_deleted(self) -> None:
        listed = await self._client.list(kinds.POD, NAMESPACE, fields=f"metadata.name={self._gateway.pod_name}")
        if not listed.items or is_deleting(listed.items[0]):
            return
        async for event in self._client.watch(
            kinds.POD,
            NAMESPACE,
            resource_version=listed.resource_version,
            fields=f"metadata.name={self._gateway.pod_name}",
        ):
            if event.type == "DELETED" or (event.type != "BOOKMARK" and is_deleting(event.object)):
                return
