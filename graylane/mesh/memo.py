"""Keeps what was compiled from nouns that are still the same.

Pure in effect: `get` returns what `build` would return, sooner. In: a key of nouns and texts, a builder. Out: its
value. Two generations are kept, so whatever one whole compilation did not ask for is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Table(dict[K, V]):
    """A dict that is never changed once made, and may be part of a key: as itself, not as what it holds."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__


@dataclass(slots=True)
class _Stage:
    key: Hashable
    value: Any
    memo: Memo


class Memo:
    """Keys hold nouns themselves, which compare by identity and so cannot be confused after being freed."""

    def __init__(self) -> None:
        self._young: dict[Hashable, Any] = {}
        self._old: dict[Hashable, Any] = {}
        self._stages: dict[Hashable, _Stage] = {}
        self._used: set[Hashable] = set()

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        if key in self._young:
            return self._young[key]  # type: ignore[no-any-return]
        value = self._old[key] if key in self._old else build()
        self._young[key] = value
        return value

    def stage(self, name: Hashable, key: Hashable, build: Callable[[Memo], T]) -> T:
        """Like `get`, for a step made of many: `build` is given a memo that is kept for as long as the step is.

        With `get` alone, parts of a step that need not be made would be forgotten, and all be missing when it must.
        """
        self._used.add(name)
        last = self._stages.get(name)
        if last is not None and last.key == key:
            return last.value  # type: ignore[no-any-return]
        own = last.memo if last is not None else Memo()
        value = build(own)
        own.turn()
        self._stages[name] = _Stage(key, value, own)
        return value

    def turn(self) -> None:
        """Called after each compilation: what it did not use goes."""
        self._old, self._young = self._young, {}
        self._stages = {name: stage for name, stage in self._stages.items() if name in self._used}
        self._used = set()
