"""What every pod's worker shares: configuration, the API, processes, images, addresses, events.

Shell. In: `KubeletConfig` and a client. Out: `Services`, handed to each `PodWorker`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import dataclass
from importlib import resources
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import aiohttp

import graylane
from graylane.client import ApiClient
from graylane.cluster.kubelet.addresses import next_address
from graylane.cluster.kubelet.images import Catalogue, parse_catalogue
from graylane.cluster.kubelet.registration import this_machine
from graylane.cluster.network import keeper
from graylane.cluster.network.keeper import Keeper
from graylane.cluster.processes.logfiles import pod_directory
from graylane.cluster.processes.table import ProcessTable
from graylane.errors import UserError
from graylane.kit import Clock, Event
from graylane.kit.events import EventRecorder
from graylane.model.kinds import POD
from graylane.model.meta import Obj, dig, name_of, namespace_of, uid_of


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """One node. `data_dir` outlives restarts; `images` is the user's catalogue (default: images.yaml in `data_dir`).

    `proxy_port` is set where a mesh gives every pod a proxy at `<podIP>:<proxy_port>`. The server uses
    `certificate` and `key` (PEM files), asks for the bearer `token`, and takes any free port when `port` is 0.
    `claim` makes `pod_cidr` ours alone, and stays open for as long as pods go on.
    """

    data_dir: Path
    certificate: Path
    key: Path
    token: str
    pod_cidr: IPv4Network
    node_name: str = "graylane"
    node_ip: str = "127.0.0.1"
    images: Path | None = None
    proxy_port: int | None = None
    port: int = 0
    claim: socket.socket | None = None

    @property
    def images_file(self) -> Path:
        return self.images or self.data_dir / "images.yaml"

    @property
    def logs(self) -> Path:
        return self.data_dir / "pods"

    @property
    def volumes(self) -> Path:
        return self.data_dir / "kubelet"

    @property
    def claims(self) -> Path:
        """What outlives pods: a directory per PersistentVolumeClaim."""
        return self.data_dir / "volumes"


def holder_of(data_dir: Path) -> Path:
    """Where the holder of pods' processes is found."""
    return data_dir / "processes" / "kubelet"


class Services:
    """Shared by all pod workers of one kubelet."""

    def __init__(self, config: KubeletConfig, client: ApiClient, clock: Clock, network: Keeper | None = None) -> None:
        self.config = config
        self.network = network
        self.machine = this_machine(pods=max(config.pod_cidr.num_addresses - 3, 1))
        self.client = client
        self.clock = clock
        last = () if network is None else keeper.sweeping(network.network)
        self.processes = ProcessTable(holder_of(config.data_dir), str(config.pod_cidr), last, claim=config.claim)
        self.addresses = Addresses(config.pod_cidr)
        self.images = Images(config.images_file)
        self.events = Announcer(EventRecorder(client, clock, "kubelet"))
        self._session: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """For probes and hooks: no proxy, no kept connections, no certificate checks, as kubelet does it."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session

    def log_directory(self, pod: Obj) -> Path:
        return pod_directory(self.config.logs, namespace_of(pod), name_of(pod), uid_of(pod))

    def pod_directory(self, pod: Obj) -> Path:
        """Volumes and working directories of one pod."""
        return self.config.volumes / uid_of(pod)

    def network_of(self, pod: Obj) -> Keeper | None:
        """Who makes the network that the pod has of its own; None where it shares the node's."""
        return None if dig(pod, "spec", "hostNetwork") else self.network

    async def close(self) -> None:
        self.processes.close()
        await self.events.close()
        if self._session is not None:
            await self._session.close()


class Addresses:
    """Hands out pod addresses; learns of those in use from the pods themselves."""

    def __init__(self, network: IPv4Network) -> None:
        self.network = network
        self._owners: dict[str, str] = {}
        self._last = ""

    def adopt(self, address: str, uid: str) -> bool:
        """Keep an address found in a pod's status; False when it cannot be this pod's."""
        if IPv4Address(address) not in self.network or self._owners.get(address, uid) != uid:
            return False
        self._owners[address] = uid
        return True

    def assign(self, uid: str) -> str:
        """A free address. Raises `AddressesExhausted`."""
        address = next_address(self.network, self._owners, self._last)
        self._owners[address] = uid
        self._last = address
        return address

    def release(self, uid: str) -> None:
        self._owners = {address: owner for address, owner in self._owners.items() if owner != uid}


class Images:
    """The user's catalogue, then ours; a changed file is read again at the next look."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._placeholders = {
            "python": sys.executable,
            "graylane": str(Path(graylane.__file__).parent.parent),
        }
        ours = resources.files("graylane.cluster.kubelet").joinpath("images.yaml").read_text()
        self._ours = parse_catalogue(ours, "images.yaml", self._placeholders)
        self._seen: tuple[int, Catalogue] | None = None

    def catalogue(self) -> Catalogue:
        """Raises `UserError` when the user's file is wrong."""
        try:
            changed = self.file.stat().st_mtime_ns
        except FileNotFoundError:
            return self._ours
        if self._seen is None or self._seen[0] != changed:
            try:
                text = self.file.read_text()
            except OSError as error:
                raise UserError(f"{self.file}: {error.strerror}") from error
            self._seen = (changed, parse_catalogue(text, str(self.file), self._placeholders) + self._ours)
        return self._seen[1]


class Announcer:
    """Writes events in the background, in order: a slow API must not hold up a container's start."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def normal(self, pod: Obj, reason: str, message: str) -> None:
        self.tell(pod, "Normal", reason, message)

    def warning(self, pod: Obj, reason: str, message: str) -> None:
        self.tell(pod, "Warning", reason, message)

    async def close(self) -> None:
        """Give what is queued a last second."""
        if self._task is not None:
            await asyncio.wait([asyncio.ensure_future(self._queue.join())], timeout=1)
            self._task.cancel()
            await asyncio.wait([self._task])

    def tell(self, pod: Obj, kind: str, reason: str, message: str) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        self._queue.put_nowait(Event(POD, pod, kind, reason, message))

    async def _work(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._recorder.record(event)
            finally:
                self._queue.task_done()


def inherited_environment() -> dict[str, str]:
    """What a process needs of ours to find programs and speak the user's language; nothing else leaks in."""
    kept = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}
