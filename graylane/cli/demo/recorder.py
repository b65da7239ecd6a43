"""Sees every change of the scenario's objects, in order, with the moment it was seen.

Shell. In: a `Manager`'s changes. Out: moments to look back on, waits that end with a change, and the timeline of pods.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from graylane.chain.observed import KINDS
from graylane.chain.workloads import Role
from graylane.cli.demo.checks import GRAY, GRAY_LABEL
from graylane.cli.demo.timeline import Timeline
from graylane.cli.exits import GaveUp
from graylane.kit.cache import Change, View
from graylane.kit.loop import Manager
from graylane.model.kinds import DESTINATION_RULE, ENVOY_FILTER, POD, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, dig, labels_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moment:
    """One change and the monotonic second at which we learnt of it."""

    time: float
    kind: Kind
    key: Key
    old: Obj | None
    new: Obj | None


class Recorder:
    """One run's memory."""

    def __init__(self, manager: Manager, timeline: Timeline) -> None:
        self.moments: list[Moment] = []
        self._manager = manager
        self._timeline = timeline
        self._changed = asyncio.Event()
        for kind in (*KINDS, ENVOY_FILTER):
            manager.listen(kind, partial(self._note, kind))

    @property
    def view(self) -> View:
        return self._manager.view()

    def _note(self, kind: Kind, change: Change) -> None:
        now = time.monotonic()
        self.moments.append(Moment(now, kind, change.key, change.old, change.new))
        if kind == POD:
            self._follow_pod(change, now)
        self._changed.set()

    def _follow_pod(self, change: Change, now: float) -> None:
        if change.new is None:
            if ip := dig(change.old, "status", "podIP"):
                self._timeline.leave(str(ip), now)
        elif ip := dig(change.new, "status", "podIP"):
            self._timeline.arrive(str(ip), role_by_label(change.new), now)

    async def until(self, find: Callable[[View], T], seconds: float, what: str) -> T:
        """The first truthy answer of `find`, asked after every change; `GaveUp` says what was waited for."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := find(self.view)):
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError as error:
            raise GaveUp(f"not within {seconds:g} s: {what}") from error

    def since(self, start: float, *kinds: Kind) -> Iterator[Moment]:
        return (moment for moment in self.moments if moment.time >= start and moment.kind in kinds)

    def first(self, kind: Kind, name: str, holds: Callable[[Obj | None], bool], start: float) -> float | None:
        """When the object first was as `holds` asks (None stands for gone), looking from `start` on."""
        moments = (moment for moment in self.since(start, kind) if moment.key.name == name)
        return next((moment.time for moment in moments if holds(moment.new)), None)

    def routing_changes(self, start: float) -> Iterator[Moment]:
        return self.since(start, VIRTUAL_SERVICE, DESTINATION_RULE)


def role_by_label(pod: Obj) -> Role:
    """The label by which the scenario's Rollouts mark canary pods, and by which its subset finds them."""
    return Role.CANARY if labels_of(pod).get(GRAY_LABEL) == GRAY else Role.BASE
