"""Keeps the files in a running pod's volumes as new as what they are made of.

Shell. In: word that a ConfigMap, a Secret or the pod itself has changed; time, for tokens. Out: files rewritten. A
container's start needs none of this: it mounts by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from graylane.cluster.kubelet.contents import volume_sources
from graylane.cluster.kubelet.downward import ConfigProblem
from graylane.cluster.kubelet.environment import Source
from graylane.cluster.kubelet.mounting import mounted, wishes_of
from graylane.cluster.kubelet.services import Services
from graylane.errors import ApiError
from graylane.model.meta import Obj, annotations_of, key_of, labels_of

_LOG = logging.getLogger(__name__)
_TOKEN_AGE = 0.8  # of its life, after which a token is replaced, as kubelet does it
_RETRY_SECONDS = 5.0


class Upkeep:
    """Of one pod. `ip` gives its address, "" until it has one."""

    def __init__(self, services: Services, pod: Callable[[], Obj], ip: Callable[[], str]) -> None:
        self._services = services
        self._pod = pod
        self._ip = ip
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, *, stale: bool = False) -> None:
        """Once something of the pod runs. `stale`: nobody has looked after it for a while."""
        if stale:
            self._stale.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def heard(self, source: Source) -> None:
        """This ConfigMap or Secret of the pod's namespace has changed."""
        if source in volume_sources(self._pod()):
            self._stale.set()

    def compare(self, old: Obj, new: Obj) -> None:
        """The pod itself has: volumes may show its labels and annotations."""
        if (labels_of(old), annotations_of(old)) != (labels_of(new), annotations_of(new)):
            self._stale.set()

    async def _run(self) -> None:
        wait = self._token_wait()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stale.wait()
            self._stale.clear()
            wait = self._token_wait() if await self._renewed() else _RETRY_SECONDS

    async def _renewed(self) -> bool:
        """A file that cannot be made any more stays as it was, as with a kubelet."""
        try:
            await mounted(self._services, self._pod(), self._ip())
        except ConfigProblem as problem:
            _LOG.info("volumes left as they were: pod=%s reason=%s", key_of(self._pod()), problem)
        except (ApiError, OSError) as error:
            _LOG.info("volumes not renewed, trying again: pod=%s error=%s", key_of(self._pod()), error)
            return False
        return True

    def _token_wait(self) -> float | None:
        lives = [wish.seconds for wish in wishes_of(self._services, self._pod())]
        return min(lives) * _TOKEN_AGE if lives else None
