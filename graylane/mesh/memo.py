"""Keeps what was compiled from nouns that are still the same.

Pure in effect: `get` returns what `build` would return, sooner. In: a key of nouns and texts, a builder. Out: its
value. Whatever one whole compilation did not ask for is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
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
class _Kept:
    value: Any
    used: int


@dataclass(slots=True)
class _Stage:
    key: Hashable
    value: Any
    memo: Memo


class Memo:
    """Keys hold nouns themselves, which compare by identity and so cannot be confused after being freed."""

    def __init__(self) -> None:
        self._turn = 0
        self._era: Hashable = None
        self._kept: dict[Hashable, _Kept] = {}
        self._stages: dict[Hashable, _Stage] = {}
        self._used: set[Hashable] = set()

    def of(self, era: Hashable) -> None:
        """Forget everything when `era` is another than last time: what nearly all depends on need be in no key."""
        if era != self._era:
            self._era, self._kept, self._stages = era, {}, {}

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        kept = self._kept.get(key)  # looked up once: to hash a key of many nouns costs more than all the rest
        if kept is None:
            kept = self._kept[key] = _Kept(build(), self._turn)
        kept.used = self._turn
        return kept.value  # type: ignore[no-any-return]

    def glance(self, name: Hashable, near: Hashable, far: Callable[[], Hashable], build: Callable[[], T]) -> T:
        """The last value of `name` for as long as `far()` is equal; it is not asked for while `near` is."""
        kept = self._kept.get(name)
        if kept is None or kept.value[0] != near:
            key = far()
            value = kept.value[2] if kept is not None and kept.value[1] == key else build()
            kept = self._kept[name] = _Kept((near, key, value), self._turn)
        kept.used = self._turn
        return kept.value[2]  # type: ignore[no-any-return]

    def each(self, name: Hashable, items: Sequence[K], build: Callable[[K], T]) -> list[T]:
        """What `build` makes of each item, asked only for those that were not among the last of this `name`.

        For many items this takes a fraction of what as many `get`s take.
        """
        kept = self._kept.get(name)
        known = kept.value if kept is not None else {}
        values = [known[item] if item in known else build(item) for item in items]
        self._kept[name] = _Kept(dict(zip(items, values, strict=True)), self._turn)
        return values

    def renew(self, name: Hashable, build: Callable[[T | None], T]) -> T:
        """What `build` makes of what it made last time, None the first time."""
        kept = self._kept.get(name)
        value = build(kept.value if kept is not None else None)
        self._kept[name] = _Kept(value, self._turn)
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
        for key in [key for key, kept in self._kept.items() if kept.used < self._turn]:
            del self._kept[key]
        self._turn += 1
        self._stages = {name: stage for name, stage in self._stages.items() if name in self._used}
        self._used = set()
