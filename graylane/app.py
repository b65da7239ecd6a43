"""The composition root: the one file that knows every part of the embedded cluster.

Shell. In: `ClusterConfig`. Out: a running cluster: API server, workloads, kubelet, mesh with its Envoy, admission, and
the release controllers. The parts meet only in the API, so starting one means giving it a client.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from graylane.client import ApiClient, ApiConfig
from graylane.cluster import pki
from graylane.cluster.apiserver.config import SERVICE_CIDR
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.cluster.envoy import EnvoyConfig, EnvoySupervisor, running
from graylane.cluster.envoy.trial import Trial
from graylane.cluster.kubelet import services as kubelets
from graylane.cluster.kubelet.agent import Kubelet, KubeletConfig
from graylane.cluster.network import claim
from graylane.cluster.network.keeper import Keeper
from graylane.cluster.network.plan import PodNetwork
from graylane.cluster.processes import holding
from graylane.cluster.processes.ports import is_free
from graylane.cluster.workloads import controllers as workloads
from graylane.cluster.workloads.autoscaling.controller import Autoscaler, asking
from graylane.cluster.workloads.collector import Collector
from graylane.errors import GraylaneError
from graylane.install import install_crds, install_objects
from graylane.kit import Controller, Manager, SystemClock, istiod
from graylane.mesh import admission, authorities, meshconfig
from graylane.mesh.controller import Mesh
from graylane.mesh.debug.istiod import Post
from graylane.mesh.gatewayapi import controller as gatewayapi
from graylane.mesh.inputs import MeshConfig
from graylane.rollouts import controller as rollouts
from graylane.trafficrouting import controller as trafficrouting
from graylane.trafficrouting import keeping
from graylane.trafficrouting.lua.engine import LuaPool
from graylane.trafficrouting.lua.remembering import Remembering
from graylane.trafficrouting.lua.script import Runner
from graylane.trafficrouting.proxies import Proxies
from graylane.webhooks import asked, istio
from graylane.webhooks.keeping import KEEP_ROUTES, keeper
from graylane.webhooks.server import WATCHED, Handler, WebhookConfig, WebhookServer, configurations

_LOG = logging.getLogger(__name__)

Progress = Callable[[str], None]

LOOPBACK, NETNS = "loopback", "netns"  # where pods' addresses are
NODE_NAME = "graylane"
PROXY_PORT = 15001
_ADMIN = User("graylane:admin", ("system:masters", "system:authenticated"))


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """One embedded cluster. Addresses are loopback; two clusters side by side need different ports or node IPs."""

    data_dir: Path
    node_ip: str = "127.0.0.1"
    api_port: int = 6443
    gateway_port: int = 30080
    images: Path | None = None
    pod_network: str = LOOPBACK
    ledger: bool = True

    @property
    def own_network(self) -> PodNetwork | None:
        """Where pods have network namespaces: theirs."""
        return PodNetwork.of(self.data_dir, SERVICE_CIDR) if self.pod_network == NETNS else None

    @property
    def kubeconfig_path(self) -> Path:
        return self.data_dir / "kubeconfig"

    @property
    def gateway_url(self) -> str:
        return f"http://{self.node_ip}:{self.gateway_port}"


class Cluster:
    """`start` returns when everything is ready; `stop` leaves no process and keeps the data for the next start."""

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config
        self._stack = AsyncExitStack()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def kubeconfig_path(self) -> Path:
        return self.config.kubeconfig_path

    @property
    def gateway_url(self) -> str:
        return self.config.gateway_url

    async def start(self, progress: Progress) -> None:
        """Raises `GraylaneError` when a part cannot start; what had started is stopped again."""
        try:
            async with asyncio.TaskGroup() as meanwhile:  # ended, whatever happens, before what they made is stopped
                await self._start(progress, meanwhile)
        except BaseExceptionGroup as group:
            await self.stop()
            raise group.exceptions[0] from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._stack.aclose()

    async def failed(self) -> None:
        """Returns never; raises when a part that must run has died."""
        await self._failed

    async def _start(self, progress: Progress, meanwhile: asyncio.TaskGroup) -> None:
        """Other processes, Lua's workers and Envoy, come up while this one goes on."""
        if left := holding.count_left(self.config.data_dir):
            progress(f"taking over the {left} processes that a killed cluster left running")
        self._stack.callback(holding.end_left, self.config.data_dir)  # what we may not come to take over
        secrets = _Secrets.of(self.config)
        network = await self._network(progress)
        pods, claimed = self._pods(network)
        progress("starting the API server")
        pool = self._lua()
        meanwhile.create_task(pool.start())
        client = await self._api_server(secrets)
        await install_crds(client)
        manager = Manager(client)
        runner = Remembering(pool)
        for controller in _controllers(runner, manager):
            manager.add(controller)
        webhooks = await self._webhooks(secrets, manager, runner)
        bundle = secrets.authority.bundle
        asking = [*configurations(webhooks.url, bundle), istio.configuration(webhooks.url, bundle)]
        await install_objects(client, [*asking, gatewayapi.GATEWAY_CLASS_OBJECT])
        progress("starting the mesh")
        mesh = await self._mesh(manager)
        if network is not None:
            await self._names(manager, network)
        self._run(manager.run())
        envoy = meanwhile.create_task(self._envoy(client, mesh, pods))
        await manager.synced()
        self._run(Collector(manager).run())
        progress("starting the kubelet and what it should run")
        await self._kubelet(secrets, client, pods, claimed, network)
        await (await envoy).wait_ready()
        if (await envoy).taken_over:
            await mesh.has_been_heard()

    async def _network(self, progress: Progress) -> Keeper | None:
        """First, for it fails where it may not be made, and last to go: Envoy and pods are in it."""
        pods = kubelets.holder_of(self.config.data_dir)
        if (network := self.config.own_network) is None:
            if holding.look(pods) is None:
                holding.clear_up(pods)
            return None
        progress("making the pods' network")
        going_on = holding.setting_of(pods) == str(network.pods)
        if not going_on:  # Envoy would go on listening in the networks that are removed now
            holding.end(running.holder_of(self.config.data_dir))
        keeper = await Keeper.start(network, going_on=going_on)
        self._stack.push_async_callback(keeper.stop)
        return keeper

    def _pods(self, own: Keeper | None) -> tuple[IPv4Network, socket.socket | None]:
        """Where pods' addresses are from, and the claim that makes them ours alone: pods that go on hold theirs."""
        if own is not None:
            return own.network.pods, None
        left = holding.look(kubelets.holder_of(self.config.data_dir))
        if left is not None and left["setting"] and (network := IPv4Network(left["setting"])).is_loopback:
            return network, None
        network, claimed = claim.first_of(claim.preferred(self.config.data_dir))
        if claimed is not None:
            self._stack.callback(claimed.close)
        return network, claimed

    async def _names(self, manager: Manager, keeper: Keeper) -> None:
        from graylane.cluster.network.nameserver import NameServer  # its DNS library is needed here alone

        server = NameServer(manager, self.config.data_dir)
        self._stack.push_async_callback(server.stop)
        await server.start(str(keeper.network.host_address))

    async def _api_server(self, secrets: _Secrets) -> ApiClient:
        config = self.config
        server = ApiServer(
            ApiServerConfig(
                data_dir=config.data_dir / "api",
                host=config.node_ip,
                port=config.api_port,
                certificate=secrets.server.certificate,
                key=secrets.server.key,
                tokens={secrets.admin_token: _ADMIN},
                kubelet_token=secrets.kubelet_token,
                kubelet_ca=secrets.authority.pair.certificate,
            )
        )
        await server.start()
        self._stack.push_async_callback(server.stop)
        authority = secrets.authority.bundle
        pki.write_kubeconfig(config.kubeconfig_path, server=server.url, ca=authority, token=secrets.admin_token)
        access = ApiConfig(server=server.url, token=secrets.admin_token, ca_data=authority)
        return await self._stack.enter_async_context(ApiClient(access))

    def _lua(self) -> LuaPool:
        pool = LuaPool()
        self._stack.push_async_callback(pool.stop)
        return pool

    async def _webhooks(self, secrets: _Secrets, manager: Manager, runner: Runner) -> WebhookServer:
        for kind in (*WATCHED, *keeping.WATCHED):
            manager.watch(kind)
        config = WebhookConfig(self.config.node_ip, 0, secrets.server.certificate, secrets.server.key)
        more: dict[str, Handler] = {
            istio.VALIDATE_ISTIO: istio.validator(admission.judge),
            KEEP_ROUTES: keeper(partial(keeping.keep, runner), keeping.late),
        }
        return await self._stack.enter_async_context(WebhookServer(config, manager.view, more))

    async def _mesh(self, manager: Manager) -> Mesh:
        own = self.config.own_network
        config = MeshConfig(
            proxy_port=PROXY_PORT,
            namespaces=own.prefix if own else "",
            system_roots=authorities.of_this_machine(),
            ledger=str(self.config.data_dir.resolve() / "envoy" / "ledger") if self.config.ledger else "",
        )
        trial = Trial(self.config.data_dir / "envoy")
        mesh = Mesh(config, manager, Post(NODE_NAME, self.config.node_ip), trial)
        self._stack.push_async_callback(mesh.stop)  # before its start, which may be interrupted half-way
        await mesh.start(self._xds_port())
        return mesh

    def _xds_port(self) -> int:
        """Where an Envoy that goes on looks for us; else any that is free."""
        left = running.left(self.config.data_dir)
        return left.xds_port if left is not None and is_free("127.0.0.1", left.xds_port) else 0

    async def _envoy(self, client: ApiClient, mesh: Mesh, pods: IPv4Network) -> EnvoySupervisor:
        config = EnvoyConfig(
            data_dir=self.config.data_dir,
            xds_port=mesh.xds_port,
            node_name=NODE_NAME,
            node_ip=self.config.node_ip,
            pod_cidr=pods,
            gateway_node_port=self.config.gateway_port,
        )
        envoy = EnvoySupervisor(config, client, SystemClock(), mesh.bootstrap_offer())
        self._stack.push_async_callback(envoy.stop)
        await envoy.start()
        return envoy

    async def _kubelet(
        self,
        secrets: _Secrets,
        client: ApiClient,
        pods: IPv4Network,
        claimed: socket.socket | None,
        network: Keeper | None,
    ) -> None:
        config = KubeletConfig(
            data_dir=self.config.data_dir,
            node_name=NODE_NAME,
            node_ip=self.config.node_ip,
            pod_cidr=pods,
            claim=claimed,
            images=self.config.images,
            proxy_port=PROXY_PORT,
            token=secrets.kubelet_token,
            certificate=secrets.server.certificate,
            key=secrets.server.key,
        )
        kubelet = Kubelet(config, client, SystemClock(), network)
        self._stack.push_async_callback(kubelet.stop)
        await kubelet.start()

    def _run(self, part: Coroutine[None, None, None]) -> None:
        """Keep a part running beside us; its death is the cluster's."""
        task = asyncio.create_task(part)
        self._stack.push_async_callback(_cancelled, task)

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and not self._failed.done():
                self._failed.set_exception(done.exception() or GraylaneError("a controller ended"))

        task.add_done_callback(ended)


def _controllers(runner: Runner, manager: Manager) -> list[Controller]:
    proxies = Proxies(partial(istiod.ask, manager.client, "/debug/syncz"))
    routing = trafficrouting.controllers(runner, manager.follower("trafficrouting"), proxies)
    return [
        gatewayapi.controller(),
        meshconfig.controller(),
        *workloads.controllers(),
        Autoscaler(asking(manager.client)).controller(),
        *rollouts.controllers(),
        *routing,
        asked.controller(),
    ]


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Certificates and tokens of one data directory, made on first use."""

    authority: pki.Authority
    server: pki.Pair
    admin_token: str
    kubelet_token: str

    @staticmethod
    def of(config: ClusterConfig) -> _Secrets:
        folder = config.data_dir / "pki"
        authority = pki.Authority(folder, SystemClock().now())
        hosts = ["localhost", "127.0.0.1", config.node_ip, "kubernetes", "kubernetes.default.svc", NODE_NAME]
        return _Secrets(
            authority=authority,
            server=authority.server("server", hosts),
            admin_token=pki.token(folder / "admin.token"),
            kubelet_token=pki.token(folder / "kubelet.token"),
        )
