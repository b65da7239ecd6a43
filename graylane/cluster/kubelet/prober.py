"""Runs one container's probes while it runs.

Shell. In: probes, a `Checker`. Out: calls with what changed: started, ready, or unhealthy and why. Each probe is a
task of its own; the meaning of its outcomes is `probes.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graylane.cluster.kubelet.checks import Checker
from graylane.cluster.kubelet.probes import History, Look, Probe, Purpose, next_look, record, settled
from graylane.cluster.kubelet.states import Running
from graylane.kit import Clock


@dataclass(slots=True)
class Health:
    """What the probes say now."""

    started: bool
    ready: bool
    unhealthy: str = ""
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom to tell: `changed` when `Health` did, `failed(purpose, message)` of each failure that counts."""

    changed: Callable[[], None]
    failed: Callable[[Purpose, str], None]


@dataclass(slots=True)
class Prober:
    """Probes one run of one container, from `start` to `stop`."""

    container: str
    probes: tuple[Probe, ...]
    checker: Checker
    clock: Clock
    listener: Listener
    health: Health = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        purposes = {probe.purpose for probe in self.probes}
        self.health = Health(started=Purpose.STARTUP not in purposes, ready=Purpose.READINESS not in purposes)

    def start(self, since: datetime, before: Running | None = None) -> None:
        """`before`: what earlier probes of the same run have found."""
        if before is not None:
            self.health.started |= before.started
            self.health.ready |= before.ready
        if self.health.started:
            self._started.set()
        self._tasks = [asyncio.create_task(self._follow(probe, since, self._before(probe))) for probe in self.probes]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _before(self, probe: Probe) -> History:
        passed = {Purpose.STARTUP: self.health.started, Purpose.READINESS: self.health.ready}
        return History(verdict=True) if passed.get(probe.purpose) else History()

    async def _follow(self, probe: Probe, since: datetime, history: History) -> None:
        if probe.purpose is not Purpose.STARTUP:
            await self._started.wait()  # nothing else is probed before the startup probe has passed
        look = None
        while not settled(probe, history):
            look = next_look(probe, history, since, look, self.clock.now())
            await asyncio.sleep(max((look.at - self.clock.now()).total_seconds(), 0))
            history = await self._look(probe, history, look)

    async def _look(self, probe: Probe, history: History, look: Look) -> History:
        result = await self.checker.check(probe.check, probe.timeout.total_seconds())
        if not result.success and look.counts:
            self.listener.failed(probe.purpose, f"{probe.purpose} probe failed: {result.message}")
        new = record(probe, history, result.success, counts=look.counts)
        if new.verdict is not history.verdict:
            self._conclude(probe, bool(new.verdict))
        return new

    def _conclude(self, probe: Probe, verdict: bool) -> None:
        match probe.purpose:
            case Purpose.READINESS:
                self.health.ready = verdict
            case Purpose.STARTUP if verdict:
                self.health.started = True
                self._started.set()
            case _ if not verdict:
                word = probe.purpose.lower()
                self.health.unhealthy = f"Container {self.container} failed {word} probe, will be restarted"
                self.health.within = probe.grace
            case _:
                return
        self.listener.changed()
