"""Keys waiting to be reconciled: each at most once, delayed if asked, slower after failures.

Shell (event-loop timers). In: keys. Out: keys, one at a time; a key added while it is being worked on comes out again
after `done`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

_FIRST_BACKOFF_SECONDS = 0.02
_LONGEST_BACKOFF_SECONDS = 30.0


K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """A deduplicating queue for one event loop."""

    def __init__(self) -> None:
        self._lines: dict[bool, deque[K]] = {True: deque(), False: deque()}  # by urgency
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}  # by what they take
        self._queued: dict[K, bool] = {}
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Ask for `key` now; an urgent one comes out before all that are not."""
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif urgent > self._queued.get(key, -1):
            self._queued[key] = urgent
            self._lines[urgent].append(key)
            self._wake(urgent)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for `key` in `seconds`, instead of any earlier such request."""
        self.cancel_timer(key)
        self._timers[key] = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._fire, key)

    def cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def get(self, *, only_urgent: bool = False) -> K:
        """The next key; the caller must call `done(key)` when finished with it."""
        while (key := self._next(only_urgent)) is None:
            turn = asyncio.get_running_loop().create_future()
            self._waiting[only_urgent].append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake(urgent=only_urgent)
                raise
        del self._queued[key]
        self._working.add(key)
        return key

    def _next(self, only_urgent: bool) -> K | None:
        """A key that became urgent while it waited stands in both lines; it is passed over in the second."""
        for urgent in (True,) if only_urgent else (True, False):
            line = self._lines[urgent]
            while line:
                key = line.popleft()
                if self._queued.get(key) is urgent:
                    return key
        return None

    def _wake(self, urgent: bool) -> None:
        """Somebody who may take it; what is urgent is left to those who take nothing else, if one is free."""
        for only_urgent in (True, False) if urgent else (False,):
            while self._waiting[only_urgent]:
                turn = self._waiting[only_urgent].popleft()
                if not turn.done():
                    turn.set_result(None)
                    return

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))

    def retry(self, key: K) -> float:
        """Ask again after a delay that doubles with every failure in a row; returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(_FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 16), _LONGEST_BACKOFF_SECONDS)
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: K) -> None:
        self._failures.pop(key, None)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)
