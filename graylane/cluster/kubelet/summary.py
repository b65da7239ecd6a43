"""What the node's containers use, as a kubelet's `GET /stats/summary` tells it.

Shell (looks at processes when asked, never otherwise). In: who runs, from the agent. Out: JSON with counters and the
instant they were read at; rates are for whoever asks twice. Working set and resident memory are one number here: what
the processes hold in memory, what they share counted for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from graylane.cluster.processes import accounting
from graylane.cluster.processes.accounting import TICKS_PER_SECOND, Machine
from graylane.cluster.processes.accounts import Account, Process
from graylane.kit import Clock
from graylane.model.meta import Obj, format_micro_time, name_of, namespace_of, uid_of

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Residence:
    """A running container: since when, and the sessions of its process and of what was started beside it."""

    since: datetime
    sessions: frozenset[int]


Tenants = Mapping[str, Residence]
"""A pod's running containers by name."""


class Summary:
    """Counts for as long as a pod lives. `tenants` gives the pods of now."""

    def __init__(self, node: str, tenants: Callable[[], Iterable[tuple[Obj, Tenants]]], clock: Clock) -> None:
        self._node = node
        self._tenants = tenants
        self._clock = clock
        self._accounts: dict[tuple[str, str], Account] = {}
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/stats/summary", self._summary)]

    async def _summary(self, request: web.Request) -> web.Response:
        async with self._turn:
            return web.json_response(await self._look())

    async def _look(self) -> Obj:
        """The look itself goes on beside the event loop, since it may meet thousands of processes."""
        pods = list(self._tenants())
        wanted = {session for _, tenants in pods for each in tenants.values() for session in each.sessions}
        found, machine = await asyncio.to_thread(lambda: (accounting.of_sessions(wanted), accounting.of_machine()))
        now = self._clock.now()
        self._accounts = dict(self._counted(pods, found))
        shown = [_pod(pod, tenants, self._accounts, now) for pod, tenants in pods if tenants and found]
        return {"node": {"nodeName": self._node} | _machine(machine, now), "pods": shown}

    def _counted(
        self, pods: Iterable[tuple[Obj, Tenants]], found: Mapping[int, list[Process]]
    ) -> Iterator[tuple[tuple[str, str], Account]]:
        """A container between two runs keeps its count; a pod that is gone takes it along."""
        present = {uid_of(pod) for pod, _ in pods}
        yield from ((key, account) for key, account in self._accounts.items() if key[0] in present)
        for pod, tenants in pods:
            for name, residence in tenants.items():
                members = [process for session in residence.sessions for process in found.get(session, ())]
                key = (uid_of(pod), name)
                yield key, self._accounts.get(key, Account()).advanced(members)


def _pod(pod: Obj, tenants: Tenants, accounts: Mapping[tuple[str, str], Account], now: datetime) -> Obj:
    containers = [
        {"name": name, "startTime": format_micro_time(residence.since)} | _used(accounts[uid_of(pod), name], now)
        for name, residence in tenants.items()
    ]
    reference = {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)}
    return {"podRef": reference, "containers": containers}


def _used(account: Account, now: datetime) -> Obj:
    return _figures(account.ticks, account.resident_bytes, now)


def _machine(machine: Machine | None, now: datetime) -> Obj:
    return {} if machine is None else _figures(machine.ticks, machine.memory_bytes, now)


def _figures(ticks: int, memory_bytes: int, now: datetime) -> Obj:
    time = format_micro_time(now)
    return {
        "cpu": {"time": time, "usageCoreNanoSeconds": ticks * _NANOSECONDS // TICKS_PER_SECOND},
        "memory": {"time": time, "workingSetBytes": memory_bytes, "rssBytes": memory_bytes},
    }
