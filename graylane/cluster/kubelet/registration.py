"""Registers the Node and keeps saying that it lives.

Shell. In: `NodeFacts`, a client. Out: the Node with its status, and its Lease renewed every ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
from pathlib import Path

from graylane.client import ApiClient
from graylane.cluster.kubelet.node import (
    LEASE_NAMESPACE,
    RENEW_EVERY,
    Machine,
    NodeFacts,
    lease_object,
    node_object,
    node_status,
)
from graylane.errors import AlreadyExists, ApiError, NotFound
from graylane.kit import Clock
from graylane.model.kinds import LEASE, NAMESPACE, NODE
from graylane.model.meta import Obj, name_of

_LOG = logging.getLogger(__name__)
_STATUS_EVERY = 30  # lease renewals between two status writes: kubelet's five minutes
_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Registration:
    """One node's presence in the API."""

    def __init__(self, client: ApiClient, clock: Clock, facts: NodeFacts) -> None:
        self._client = client
        self._clock = clock
        self._facts = facts
        self._node: Obj = {}

    async def register(self) -> None:
        """Create or refresh the Node; raises `ApiError`."""
        try:
            self._node = await self._client.create(NODE, node_object(self._facts))
        except AlreadyExists:
            self._node = await self._client.get(NODE, self._facts.name)
        await self._report(ready=True)
        await self._renew()

    async def run(self) -> None:
        """Renew until cancelled; an API that does not answer is asked again next time."""
        count = 0
        while True:
            await asyncio.sleep(RENEW_EVERY)
            count += 1
            try:
                await self._renew()
                if count % _STATUS_EVERY == 0:
                    await self._report(ready=True)
            except NotFound:
                with contextlib.suppress(ApiError):
                    await self.register()
            except ApiError as error:
                _LOG.info("node lease not renewed, trying again: error=%s", error)

    async def withdraw(self) -> None:
        """Say that the node is not ready, as it stops in an orderly way; best effort."""
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(1):
                await self._report(ready=False)

    async def _report(self, *, ready: bool) -> None:
        status = node_status(self._node, self._facts, self._clock.now(), ready=ready)
        patch = {"status": status}
        self._node = await self._client.patch(NODE, self._facts.name, "", patch, subresource="status")

    async def _renew(self) -> None:
        lease = lease_object(self._node, self._facts, self._clock.now())
        try:
            await self._client.patch(LEASE, name_of(lease), LEASE_NAMESPACE, {"spec": lease["spec"]})
        except NotFound:
            with contextlib.suppress(AlreadyExists):
                await self._client.create(NAMESPACE, {"metadata": {"name": LEASE_NAMESPACE}})
            await self._client.create(LEASE, lease)


def this_machine(pods: int) -> Machine:
    """The machine as `nodeInfo` and `capacity` tell it."""
    system = platform.uname()
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        pods=pods,
        operating_system=system.system.lower(),
        architecture=_GO_ARCHITECTURES.get(system.machine, system.machine),
        kernel=system.release,
        os_image=_os_image(system.system),
        machine_id=_line("/etc/machine-id") or platform.node(),
        boot_id=_line("/proc/sys/kernel/random/boot_id"),
    )


def _os_image(default: str) -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", default)
    except OSError:
        return default


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
