"""Where a pod is reached: its address, the network behind it where it has one of its own, its proxy.

Shell. In: the pod. Out: `address`, "" until there is one to be reached at; `proxy_ready`. Each change of them, and each
time that something failed and may be tried again, is told by `changed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from graylane.cluster.kubelet.addresses import AddressesExhausted
from graylane.cluster.kubelet.checks import listening
from graylane.cluster.kubelet.services import Services
from graylane.cluster.network.keeper import CannotConnect, Keeper
from graylane.model.meta import Obj, dig, uid_of

_RETRY_SECONDS = 1.0
_PROXY_PAUSES = (0.005, 0.1)


class Sandbox:
    """Of one pod, from before its first container until after its last one."""

    def __init__(
        self, services: Services, pod: Callable[[], Obj], changed: Callable[[], None], *, connected: bool = False
    ) -> None:
        """`connected`: something of the pod runs, so the network behind its address is there."""
        self.proxy_ready = False
        self._services = services
        self._pod = pod
        self._changed = changed
        self._network = services.network_of(pod())
        self._claimed = self._adopted(pod())
        self.address = "" if self._network is not None and not connected else self._claimed
        self._attaching: asyncio.Task[None] | None = None
        self._proxy: asyncio.Task[None] | None = None

    @property
    def proxied(self) -> bool:
        """Whether the mesh opens a proxy for it."""
        return self._services.config.proxy_port is not None and not self._shares_the_nodes

    def assign(self) -> None:
        """See to it that there is an address. Safe to repeat."""
        if self._attaching is not None:
            return
        if self._shares_the_nodes:
            self._has(self._services.config.node_ip)
            return
        try:
            self._claimed = self._claimed or self._services.addresses.assign(uid_of(self._pod()))
        except AddressesExhausted as error:
            self._failed(str(error))
            return
        if self._network is None:
            self._has(self._claimed)
        else:
            self._attaching = asyncio.create_task(self._attach(self._network, self._claimed))

    def watch_proxy(self) -> None:
        """Once the address is written, the mesh can give it a proxy; containers wait for that."""
        port = self._services.config.proxy_port
        if port is not None and self.proxied and self._proxy is None and self.address:
            self._proxy = asyncio.create_task(self._await_proxy(port))

    async def release(self) -> None:
        """Nothing of the pod runs any more."""
        if self._proxy is not None:
            self._proxy.cancel()
        if self._attaching is not None:
            await asyncio.wait([self._attaching])
        if self._network is not None and self._claimed:
            await self._network.detach(self._claimed)
        self._services.addresses.release(uid_of(self._pod()))

    @property
    def _shares_the_nodes(self) -> bool:
        return bool(dig(self._pod(), "spec", "hostNetwork"))

    def _adopted(self, pod: Obj) -> str:
        known = str(dig(pod, "status", "podIP", default=""))
        return known if known and self._services.addresses.adopt(known, uid_of(pod)) else ""

    async def _attach(self, network: Keeper, address: str) -> None:
        """Before anybody hears of the address there is a network behind it."""
        try:
            await network.attach(address)
            self._has(address)
        except CannotConnect as error:
            self._failed(str(error))
        finally:
            self._attaching = None

    async def _await_proxy(self, port: int) -> None:
        pause, longest = _PROXY_PAUSES
        while not await listening(self.address, port):
            await asyncio.sleep(pause)
            pause = min(pause * 1.25, longest)
        self.proxy_ready = True
        self._changed()

    def _has(self, address: str) -> None:
        self.address = address
        self._changed()

    def _failed(self, why: str) -> None:
        self._services.events.warning(self._pod(), "FailedCreatePodSandBox", why)
        asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._changed)
