"""An API server, the workload controllers and pods that only say they run: enough cluster for a real kubectl.

Shell. In: an empty directory. Out: `Rig`, with `kubectl(...)` and a client.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from graylane.client import ApiClient, load_kubeconfig
from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.cluster.kubelet.storage.provisioner import Provisioner
from graylane.cluster.workloads.collector import collecting
from graylane.cluster.workloads.controllers import controllers
from graylane.kit import Manager
from graylane.model.kinds import NODE
from graylane.testing.pods import NODE_OBJECT, FakeKubelet

KUBECTL = Path(sys.executable).with_name("kubectl")


@dataclass(frozen=True, slots=True)
class Rig:
    client: ApiClient
    manager: Manager
    kubelet: FakeKubelet
    kubeconfig: Path

    async def kubectl(self, *args: str, stdin: str = "", fails: bool = False) -> str:
        """Its output; raises with its complaint when it fails, unless it `fails` as expected."""
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            *args,
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        assert (process.returncode != 0) == fails, f"kubectl {' '.join(args)}: {err.decode()}{out.decode()}"
        return (err if fails else out).decode()

    async def apply(self, *objects: dict[str, Any]) -> str:
        return await self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))


@contextlib.asynccontextmanager
async def rigged(directory: Path) -> AsyncIterator[Rig]:
    """Everything runs."""
    async with served(directory) as client, working(client, directory) as (manager, kubelet):
        yield Rig(client, manager, kubelet, directory / "kubeconfig")


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[ApiClient]:
    """An API server with one ready node, and nobody working."""
    authority = pki.Authority(directory / "pki", datetime.now(UTC))
    pair = authority.server("apiserver", ["127.0.0.1", "localhost"])
    config = ApiServerConfig(
        data_dir=directory / "api",
        certificate=pair.certificate,
        key=pair.key,
        tokens={"workloads": User("admin", ("system:masters",))},
    )
    server = ApiServer(config)
    await server.start()
    kubeconfig = directory / "kubeconfig"
    pki.write_kubeconfig(kubeconfig, server=server.url, ca=authority.bundle, token="workloads")
    try:
        async with ApiClient(load_kubeconfig(kubeconfig)) as client:
            await client.create(NODE, NODE_OBJECT)
            await client.patch(NODE, "graylane", "", {"status": NODE_OBJECT["status"]}, subresource="status")
            yield client
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def working(client: ApiClient, directory: Path) -> AsyncIterator[tuple[Manager, FakeKubelet]]:
    """All controllers, until the block is left: then they are gone as after a crash, in the middle of anything."""
    manager, kubelet = Manager(client), FakeKubelet()
    for controller in (*controllers(), kubelet.controller()):
        manager.add(controller)
    provisioner = Provisioner(directory / "volumes", client)
    provisioner.join(manager)
    async with collecting(manager):
        try:
            yield manager, kubelet
        finally:
            await provisioner.stop()
