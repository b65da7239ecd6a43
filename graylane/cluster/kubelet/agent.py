"""The kubelet: runs the pods that the API assigns to this node, as processes.

Shell. In: `KubeletConfig`, a client. Out: a Node, running pods, their statuses, logs and streams. One `PodWorker` per
pod; pods mirrored for others (`kubernetes.io/config.mirror`) are left alone, though their logs are served.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import defaultdict
from collections.abc import Iterator

from graylane.client import ApiClient
from graylane.cluster.kubelet.addresses import gateway_address
from graylane.cluster.kubelet.console import Console
from graylane.cluster.kubelet.contents import volume_sources
from graylane.cluster.kubelet.logs import Logs, LogSource
from graylane.cluster.kubelet.node import NodeFacts
from graylane.cluster.kubelet.registration import Registration
from graylane.cluster.kubelet.remains import Found, Remains, remains_of, useless
from graylane.cluster.kubelet.server import NodeServer
from graylane.cluster.kubelet.services import KubeletConfig, Services
from graylane.cluster.kubelet.storage.provisioner import Provisioner
from graylane.cluster.kubelet.streams.server import Streams, StreamSource
from graylane.cluster.kubelet.summary import Summary, Tenants
from graylane.cluster.kubelet.volumes import remove
from graylane.cluster.kubelet.worker import Kept, PodWorker
from graylane.cluster.network.keeper import Keeper
from graylane.cluster.processes.holding import Process
from graylane.cluster.processes.logfiles import forget_pod, uid_of_directory
from graylane.errors import UserError
from graylane.kit import Change, Clock, Manager, SystemClock
from graylane.model.kinds import POD, Kind
from graylane.model.meta import Obj, annotations_of, dig, namespace_of, uid_of

__all__ = ["Kubelet", "KubeletConfig"]

_LOG = logging.getLogger(__name__)
MIRROR = "kubernetes.io/config.mirror"
_STOP_WITHIN = 5.0
_END_WITHIN = 1.0  # what nobody wants any more; its address may be another's next


class Kubelet:
    """One node's agent: `start()`, later `stop()`. With `network`, every pod has a namespace of its own."""

    def __init__(
        self, config: KubeletConfig, client: ApiClient, clock: Clock | None = None, network: Keeper | None = None
    ) -> None:
        self.config = config
        self.port = 0
        self._client = client
        self._clock = clock or SystemClock()
        self._services = Services(config, client, self._clock, network)
        self._manager = Manager(client, self._clock)
        self._provisioner = Provisioner(config.claims.absolute(), client)
        self._workers: dict[str, tuple[PodWorker, asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._left: dict[str, list[Kept]] = defaultdict(list)
        self._followed: set[Kind] = set()
        self._server: NodeServer | None = None
        self._logs = Logs(LogSource(self._pod, self._services.log_directory, self._running), self._clock)
        self._registration: Registration | None = None

    async def start(self) -> None:
        """Sweep leftovers, open the server, register the node, take up its pods. Raises `UserError` or `ApiError`."""
        left, swept = self._services.processes.open()
        for record in swept:
            _LOG.info("killed a process left behind by an earlier run: group=%s pod=%s", record.group, record.owner)
        self.port = await self._serve()
        self._registration = Registration(self._client, self._clock, self._node())
        await self._registration.register()
        self._provisioner.join(self._manager)
        self._tasks = [asyncio.create_task(self._manager.run()), asyncio.create_task(self._registration.run())]
        self._manager.watch(POD)
        await self._manager.synced()
        self._reserve_addresses()
        await self._take_over(left)
        self._sweep_directories()
        self._manager.listen(POD, self._changed)
        await self._end_unclaimed()

    async def stop(self) -> None:
        """Stop all pods' processes within a few seconds; their objects stay, so that a later start resumes them."""
        workers, self._workers = list(self._workers.values()), {}
        deciding = [*self._tasks, *(task for _, task in workers)]
        for task in deciding:
            task.cancel()
        await asyncio.gather(*deciding, return_exceptions=True)
        await self._provisioner.stop()
        await asyncio.gather(*(worker.shut_down(_STOP_WITHIN) for worker, _ in workers))
        if self._registration is not None:
            await self._registration.withdraw()
        self._logs.stop()
        if self._server is not None:
            await self._server.stop()
        await self._services.close()

    def _node(self) -> NodeFacts:
        network = self._services.addresses.network
        return NodeFacts(self.config.node_name, self.config.node_ip, self.port, str(network), self._services.machine)

    async def _serve(self) -> int:
        config, streams = self.config, Streams(StreamSource(self._pod, self._console))
        summary = Summary(config.node_name, self._tenants, self._clock)
        self._server = NodeServer(config.token, [*self._logs.routes(), *streams.routes(), *summary.routes()])
        return await self._server.start(config.node_ip, config.port, config.certificate, config.key)

    def _pod(self, namespace: str, name: str) -> Obj | None:
        pod = self._manager.view().get(POD, namespace, name)
        return pod if pod is not None and self._is_here(pod) else None

    def _running(self, pod: Obj, container: str) -> bool:
        known = self._workers.get(uid_of(pod))
        if known is not None:
            return known[0].running(container)
        return MIRROR in annotations_of(pod) and self._pod(*_key(pod)) is not None

    def _console(self, pod: Obj, container: str) -> Console | None:
        known = self._workers.get(uid_of(pod))
        return known[0].console(container) if known is not None else None

    def _tenants(self) -> Iterator[tuple[Obj, Tenants]]:
        return ((worker.pod, worker.tenants()) for worker, _ in self._workers.values())

    # -- pods

    async def _take_over(self, left: list[Process]) -> None:
        """Keep the processes that an earlier kubelet has left and that are of use; end the others."""
        pods = {uid_of(pod): pod for pod in self._manager.view().list(POD) if self._is_ours(pod)}
        known = [(process, _remains(process)) for process in left]
        others = tuple(remains for _, remains in known if remains is not None)
        ending = []
        for process, remains in known:
            why = "not understood"
            if remains is not None and not (why := useless(Found(remains, pods.get(remains.uid), others))):
                self._left[remains.uid].append(Kept(process, remains))
                continue
            _LOG.info("process of an earlier run not kept: id=%s because=%s", process.id, why)
            ending.append(process)
        await asyncio.gather(*(_end(process) for process in ending))
        if self._services.network is not None:
            await self._services.network.retain(each.remains.address for kept in self._left.values() for each in kept)

    async def _end_unclaimed(self) -> None:
        """Of pods that were deleted while theirs was taken over, which nobody hears of any more."""
        left, self._left = list(self._left.values()), defaultdict(list)
        await asyncio.gather(*(_end(each.process) for kept in left for each in kept))

    def _reserve_addresses(self) -> None:
        """Before the first pod gets an address: those of pods that have one stay theirs, the gateway's is nobody's."""
        self._services.addresses.adopt(str(gateway_address(self._services.addresses.network)), "the ingress gateway")
        for pod in self._manager.view().list(POD):
            if self._is_here(pod) and (address := dig(pod, "status", "podIP")):
                self._services.addresses.adopt(address, uid_of(pod))

    def _sweep_directories(self) -> None:
        """Remove what pods left behind that were deleted while no kubelet ran."""
        known = {uid_of(pod) for pod in self._manager.view().list(POD)}
        for logs in [path for path in self.config.logs.glob("*_*_*") if uid_of_directory(path) not in known]:
            forget_pod(logs)
        for volumes in [path for path in self.config.volumes.glob("*") if path.name not in known]:
            remove(volumes)

    def _changed(self, change: Change) -> None:
        if change.old is not None and (change.new is None or uid_of(change.new) != uid_of(change.old)):
            self._vanished(change.old)
        if change.new is not None and self._is_ours(change.new):
            self._update(change.new)

    def _vanished(self, pod: Obj) -> None:
        known = self._workers.get(uid_of(pod))
        if known is not None:
            known[0].vanish()

    def _update(self, pod: Obj) -> None:
        known = self._workers.get(uid_of(pod))
        if known is not None:
            known[0].update(pod)
            return
        try:
            worker = PodWorker(self._services, pod, self._done, self._left.pop(uid_of(pod), ()))
        except (ValueError, KeyError, UserError) as error:
            _LOG.error("pod not understood: pod=%s error=%r", _key(pod), error)
            return
        self._follow_contents(pod)
        task = asyncio.create_task(worker.run())
        task.add_done_callback(_report)
        self._workers[uid_of(pod)] = (worker, task)

    def _follow_contents(self, pod: Obj) -> None:
        """ConfigMaps and Secrets are watched from the first pod on that has them as files."""
        for kind in {kind for kind, _ in volume_sources(pod)} - self._followed:
            self._followed.add(kind)
            self._manager.listen(kind, functools.partial(self._contents_changed, kind))

    def _contents_changed(self, kind: Kind, change: Change) -> None:
        namespace, name = change.key
        for worker, _ in self._workers.values():
            if namespace_of(worker.pod) == namespace:
                worker.heard((kind, name))

    def _done(self, pod: Obj) -> None:
        self._workers.pop(uid_of(pod), None)

    def _is_here(self, pod: Obj) -> bool:
        return bool(dig(pod, "spec", "nodeName") == self.config.node_name)

    def _is_ours(self, pod: Obj) -> bool:
        return self._is_here(pod) and MIRROR not in annotations_of(pod)


def _key(pod: Obj) -> tuple[str, str]:
    return dig(pod, "metadata", "namespace", default=""), dig(pod, "metadata", "name", default="")


def _remains(process: Process) -> Remains | None:
    ended = process.exited.result() if process.exited.done() else None
    try:
        return remains_of(process.id, process.notes, stopping=process.stopping, exit=ended, ended_at=process.ended_at)
    except (KeyError, TypeError, ValueError):
        return None


async def _end(process: Process) -> None:
    if not process.gone.done():
        await process.stop(_END_WITHIN)
    process.forget()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _LOG.error("pod worker failed", exc_info=error)
