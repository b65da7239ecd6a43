"""Lets controllers act on a `World` in rounds, until nobody has anything to do.

Pure but for the world. In: controllers, when to stop. Out: awaitables that somebody has to resolve, and a world that
has settled. As in a cluster, whoever had nothing to do is asked again when a kind it read has changed, or at its
wake-up; so a wake-up that nobody asked for is missed here as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from graylane.errors import ApiError
from graylane.kit.effects import Outcome
from graylane.kit.loop import Controller
from graylane.model.kinds import Kind
from graylane.model.meta import Key

if TYPE_CHECKING:
    from graylane.kit.world import World

_ROUNDS = 500

Steps = Generator[Awaitable[Outcome], Outcome, Any]
"""What is async is yielded, and its outcome sent back; an `ApiError` may be thrown in."""


@dataclass(frozen=True, slots=True)
class _Idle:
    """What one look found: how often each kind it read had changed until then, and when it wants to look again."""

    read: dict[Kind, int]
    wake_at: datetime | None
    acted: bool = False


@dataclass
class Rounds:
    """`until` stops early; `seconds` of virtual time may pass in all."""

    world: World
    controllers: tuple[Controller, ...]
    until: Callable[[World], bool] | None
    seconds: float
    _idle: dict[tuple[int, Key], _Idle] = field(default_factory=dict)
    _known: dict[Kind, set[Key]] = field(default_factory=dict)

    def drive(self) -> Steps:
        """Yields what is async; ends when settled. Raises `AssertionError` when the world never settles."""
        world, deadline = self.world, self.world.now() + timedelta(seconds=self.seconds)
        for _ in range(_ROUNDS):
            before = world.changes()
            if (yield from self._round()):
                return
            if world.changes() != before or world.collect_garbage():
                continue
            wakes = (idle.wake_at for idle in self._idle.values() if idle.wake_at)
            next_wake = min(wakes, default=None)
            if next_wake is None or next_wake > deadline:
                return
            world.clock.instant = max(next_wake, world.now() + timedelta(milliseconds=1))
        raise AssertionError(f"the world did not settle in {_ROUNDS} rounds")

    def _round(self) -> Steps:
        """Everybody whom something concerns, about every object there is or was; says whether to stop."""
        for index, controller in enumerate(self.controllers):
            keys = self._known.setdefault(controller.primary, set())
            keys.update(self.world.keys(controller.primary))
            for key in sorted(keys):
                if self._is_idle(self._idle.get((index, key))):
                    continue
                self._idle[index, key] = yield from self._look(controller, key)
                if self.until and self.until(self.world):
                    return True
        return False

    def _look(self, controller: Controller, key: Key) -> Steps:
        noted: set[Kind] = set()
        answer: Outcome | Awaitable[Outcome] = controller.reconcile(self.world.view(noted), key, self.world.now())
        outcome: Outcome = (yield answer) if inspect.isawaitable(answer) else answer
        read = {kind: self.world.changes(kind) for kind in noted}
        try:
            self.world.apply(outcome)
        except ApiError:
            return _Idle({}, self.world.now())
        return _Idle(read, outcome.wake_at, acted=bool(outcome.effects))

    def _is_idle(self, last: _Idle | None) -> bool:
        if last is None or last.acted or (last.wake_at and last.wake_at <= self.world.now()):
            return False
        return all(self.world.changes(kind) == count for kind, count in last.read.items())
