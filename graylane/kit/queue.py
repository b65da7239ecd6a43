"""Keys waiting to be reconciled: each at most once, delayed if asked, slower after failures.

Shell (event-loop timers). In: keys. Out: keys, one at a time; a key added while it is being worked on comes out again
after `done`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

_FIRST_BACKOFF_SECONDS = 0.02
_LONGEST_BACKOFF_SECONDS = 30.0


K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """A deduplicating queue for one event loop."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K) -> None:
        """Ask for `key` now."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for `key` in `seconds`, instead of any earlier such request."""
        self.cancel_timer(key)
        self._timers[key] = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._fire, key)

    def cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def get(self) -> K:
        """The next key; the caller must call `done(key)` when finished with it."""
        key = await self._ready.get()
        self._queued.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

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
