"""Waiting for another part in tests: for a condition, with a deadline, never for a time.

Shell. In: a function that is tried again and again. Out: its first truthy value, or an AssertionError that says what
was waited for and what was last seen.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


async def eventually(
    fn: Callable[[], T | Awaitable[T]],
    timeout: float = 30.0,
    message: str | Callable[[], str] = "",
    *,
    ignore: tuple[type[Exception], ...] = (),
) -> T:
    """The first truthy result of `fn`, plain or async. `ignore` lists errors that mean "not yet".

    A failing assertion inside `fn` also means "not yet", so that tests may assert details of what they wait for.
    """
    not_yet: tuple[type[Exception], ...] = (AssertionError, *ignore)
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        seen: object
        try:
            result = fn()
            seen = await result if inspect.isawaitable(result) else result
            if seen:
                return seen
        except not_yet as error:
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(_complaint(timeout, message, seen))
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _complaint(timeout: float, message: str | Callable[[], str], seen: object) -> str:
    text = message() if callable(message) else message
    return f"not within {timeout:g} s: {text or 'the condition'}; last seen: {seen!r}"
