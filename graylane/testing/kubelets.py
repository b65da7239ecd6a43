"""A real API server and real kubelets under test, pods as real processes.

Shell. In: a directory of one's own. Out: `Rig`, which runs pods and waits for what becomes of them; nothing is left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graylane.client import ApiClient, load_kubeconfig
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.cluster.kubelet.agent import Kubelet, KubeletConfig
from graylane.cluster.kubelet.services import holder_of
from graylane.cluster.network import claim
from graylane.cluster.pki import Authority, write_kubeconfig
from graylane.cluster.processes import holding
from graylane.errors import NotFound
from graylane.kit import SystemClock
from graylane.model.kinds import EVENT, POD
from graylane.model.meta import Obj, dig, is_true
from graylane.testing.waiting import eventually

IMAGE = "registry.cn-beijing.aliyuncs.com/aliacs-app-catalog/go-http-sample:1.0"


@dataclass
class Rig:
    """One API server; kubelets come and go."""

    directory: Path
    client: ApiClient
    server: ApiServer
    config: KubeletConfig
    kubelets: list[Kubelet] = field(default_factory=list)

    async def kubelet(self, **changes: Any) -> Kubelet:
        kubelet = Kubelet(replace(self.config, **changes), self.client, SystemClock())
        await kubelet.start()
        self.kubelets.append(kubelet)
        return kubelet

    async def stop(self, kubelet: Kubelet) -> None:
        self.kubelets.remove(kubelet)
        await kubelet.stop()

    async def run(self, name: str, container: Obj | None = None, **spec: Any) -> Obj:
        """Create a pod of one container, assigned to the node as a scheduler would."""
        main = {"name": "main", "image": IMAGE} | (container or {})
        pod = {
            "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
            "spec": {"nodeName": self.config.node_name, "containers": [main]} | spec,
        }
        return await self.client.create(POD, pod)

    async def pod(self, name: str) -> Obj:
        return await self.client.get(POD, name, "default")

    async def ready(self, name: str, timeout: float = 30) -> Obj:
        return await self.when(name, lambda pod: is_true(pod, "Ready"), timeout)

    async def when(self, name: str, holds: Callable[[Obj], Any], timeout: float = 30) -> Obj:
        """The pod, once `holds(pod)` is truthy."""

        async def look() -> Obj:
            pod = await self.pod(name)
            return pod if holds(pod) else {}

        found: Obj = await eventually(look, timeout, f"pod {name}")
        return found

    async def gone(self, name: str, timeout: float = 30) -> None:
        async def look() -> bool:
            try:
                await self.pod(name)
            except NotFound:
                return True
            return False

        _: bool = await eventually(look, timeout, f"pod {name} gone")

    async def events(self, name: str) -> list[tuple[str, str]]:
        found = (await self.client.list(EVENT, "default")).items
        return [(each["reason"], each["message"]) for each in found if each["involvedObject"]["name"] == name]

    async def log(self, name: str, query: str = "") -> str:
        path = POD.path("default", name, "log")
        return (
            await self.client.request("GET", path, params=dict(part.split("=") for part in query.split("&") if part))
        ).decode()


def status_of(pod: Obj) -> Obj:
    """The first container's status."""
    found: Obj = dig(pod, "status", "containerStatuses", 0, default={})
    return found


def processes_of(uid: str) -> list[int]:
    """Living processes that carry this pod's address or uid in their environment or record."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and uid.encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
    return found


@contextlib.asynccontextmanager
async def kubelet_rig(directory: Path) -> AsyncIterator[Rig]:
    authority = Authority(directory / "pki", datetime.now(UTC))
    pair = authority.server("server", ["127.0.0.1"])
    server = ApiServer(
        ApiServerConfig(
            data_dir=directory / "api",
            certificate=pair.certificate,
            key=pair.key,
            tokens={"admin": User("admin", ("system:masters",))},
            kubelet_token="node",
            kubelet_ca=authority.pair.certificate,
        )
    )
    await server.start()
    write_kubeconfig(directory / "kubeconfig", server=server.url, ca=authority.bundle, token="admin")
    client = ApiClient(load_kubeconfig(directory / "kubeconfig"))
    with claim.one_of(claim.preferred(directory)) as pods:
        config = KubeletConfig(
            data_dir=directory, certificate=pair.certificate, key=pair.key, token="node", pod_cidr=pods
        )
        rig = Rig(directory, client, server, config)
        try:
            yield rig
        finally:
            for kubelet in list(rig.kubelets):
                await kubelet.stop()
            holding.end(holder_of(directory))  # of one that was killed
            await client.close()
            await server.stop()
