"""Keeps what was compiled from nouns that are still the same.

Pure in effect: `get` returns what `build` would return, sooner. In: a key of nouns and texts, a builder. Out: its
value. Two generations are kept, so whatever one whole compilation did not ask for is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Keys hold nouns themselves, which compare by identity and so cannot be confused after being freed."""

    def __init__(self) -> None:
        self._young: dict[Hashable, Any] = {}
        self._old: dict[Hashable, Any] = {}

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        if key in self._young:
            return self._young[key]  # type: ignore[no-any-return]
        value = self._old[key] if key in self._old else build()
        self._young[key] = value
        return value

    def turn(self) -> None:
        """Called after each compilation: what it did not use goes."""
        self._old, self._young = self._young, {}
