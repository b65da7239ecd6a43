"""Asks kubelets what is used, when somebody wants to know, and remembers what they said for the next question.

Shell (network, through `Nodes`). In: Nodes. Out: usage per node and pod. Nothing is asked while nobody asks us; who
asks first waits for the one second that a rate takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from graylane.cluster.apiserver.metrics.samples import (
    SHORTEST,
    Sample,
    Usage,
    base_for,
    node_usage,
    pod_usage,
    read,
    remembered,
)
from graylane.cluster.apiserver.nodes import Nodes
from graylane.errors import ApiError
from graylane.model.meta import Key, Obj, name_of

log = logging.getLogger(__name__)

_FRESH = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Measured:
    """One node's usage between two samples."""

    base: Sample
    newest: Sample

    def node(self) -> Usage | None:
        return node_usage(self.base, self.newest)

    def pod(self, key: Key) -> dict[str, Usage]:
        return pod_usage(self.base, self.newest, key)


@dataclass(slots=True)
class _Memory:
    """What one node has said, and whose turn it is to ask it: those who ask at once share the answer."""

    history: tuple[Sample, ...] = ()
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Meter:
    """One per server. `clock` tells the time, and `pass_time` lets some of it pass."""

    def __init__(
        self,
        nodes: Nodes,
        clock: Callable[[], datetime],
        pass_time: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._nodes = nodes
        self._clock = clock
        self._pass_time = pass_time
        self._memories: dict[str, _Memory] = {}

    async def measure(self, nodes: Iterable[Obj]) -> dict[str, Measured]:
        """By node; one whose kubelet does not answer is left out."""
        wanted = {name_of(node): node for node in nodes}
        found = await asyncio.gather(*map(self._node, wanted.values()))
        return {name: measured for name, measured in zip(wanted, found, strict=True) if measured is not None}

    async def _node(self, node: Obj) -> Measured | None:
        memory = self._memories.setdefault(name_of(node), _Memory())
        async with memory.turn:
            try:
                return await self._measured(node, memory)
            except (ApiError, ValueError, KeyError, TypeError) as error:
                log.info("A node does not say what it uses", extra={"node": name_of(node), "error": str(error)})
                return None

    async def _measured(self, node: Obj, memory: _Memory) -> Measured | None:
        newest = memory.history[-1] if memory.history else None
        if newest is None or self._clock() - newest.at >= _FRESH:
            newest = await self._ask(node, memory)
        base = base_for(memory.history, newest.at)
        if base is None:
            await self._pass_time(SHORTEST.total_seconds())
            base, newest = newest, await self._ask(node, memory)
        return Measured(base, newest)

    async def _ask(self, node: Obj, memory: _Memory) -> Sample:
        body = b"".join([chunk async for chunk in await self._nodes.stream(node, "/stats/summary", {})])
        sample = read(orjson.loads(body), self._clock())
        memory.history = remembered(memory.history, sample)
        return sample
