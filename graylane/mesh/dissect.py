"""Which part of an object it is that Envoy refuses, found by trying the object without it.

Pure but for the trying, which is handed in. In: an object's spec, and what Envoy says against what becomes of a spec.
Out: the path of the smallest part without which it does not say so, and its own sentence. Nothing is guessed: where
only several parts together are at fault, what holds them all is named.

A list is halved for as long as one half alone is refused as the whole is; of a map, each field is left out in turn,
and only one without which nothing is refused any more counts: another complaint may come of its absence alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graylane.model.meta import Obj

Fault = Callable[[Obj], Awaitable[str]]
"""One line, "" for none. What is named in it must not depend on what is left out."""
MOST_TRIES = 80
_FEW = 8
# What says where, or to whom, the rest belongs: without it the rest would not come to Envoy at all.
_PLACES = frozenset(
    (
        *("@type", "applyTo", "exportTo", "gateways", "host", "hosts", "name", "number", "operation", "port"),
        *("protocol", "resolution", "selector", "subset", "workloadSelector"),
    )
)
_OF_PATCHES = frozenset(("match", "proxy"))
# Without these, what stands beside them has nothing to work on: one of a lower rank comes first.
_CARRIERS = {
    **dict.fromkeys(("credentialName", "ports"), 1),
    **dict.fromkeys(("address", "destination", "mode", "percentage", "route", "typedConfig", "typed_config"), 2),
}


@dataclass(frozen=True, slots=True)
class Part:
    """`path` is "" where not even a part of the spec can be told; `said` is "" when nothing was refused."""

    path: str
    said: str


async def dissect(spec: Obj, fault: Fault) -> Part:
    said = await fault(spec)
    if not said:
        return Part("", "")
    search = _Search(spec, fault, said)
    try:
        while await search.deeper():
            pass
    except _Enough:
        pass
    return Part(search.name if search.steps else "", said)


class _Enough(Exception):
    """Trying costs something too: what is known by now is told."""


Step = str | int


@dataclass(slots=True)
class _Search:
    """`steps` lead to what is known to be at fault in `spec`, of which list entries may have been left out since."""

    spec: Obj
    fault: Fault
    said: str
    steps: list[Step] = field(default_factory=list)
    name: str = "spec"
    tries: int = 1

    async def deeper(self) -> bool:
        value = _at(self.spec, self.steps)
        if isinstance(value, Mapping):
            return await self._into_map(value)
        return isinstance(value, list) and bool(value) and await self._into_list(value)

    async def _into_map(self, value: Mapping[str, Any]) -> bool:
        kept = _PLACES | (_OF_PATCHES if "applyTo" in value else frozenset())
        mended = [name for name in value if name not in kept and not await self._try(_without(value, name))]
        lowest = min((_CARRIERS.get(name, 0) for name in mended), default=0)
        found = [name for name in mended if _CARRIERS.get(name, 0) == lowest]
        return len(found) == 1 and self._step(found[0], f".{found[0]}")

    async def _into_list(self, items: list[Any]) -> bool:
        left = list(range(len(items)))
        while len(left) > 1:
            half = len(left) // 2
            for part in (left[:half], left[half:]):
                if await self._try([items[index] for index in part]) == self.said:
                    left = part
                    break
            else:
                return await self._together(items, left)
        self._keep(items, left)
        return self._step(0, f"[{left[0]}]")

    async def _together(self, items: list[Any], left: Sequence[int]) -> bool:
        """Neither half is refused alone: those that none of the others can do without."""
        if len(left) > _FEW:
            return False
        answers = {index: await self._try([items[each] for each in left if each != index]) for index in left}
        needed = [index for index in left if answers[index] != self.said]
        if len(needed) == 1:
            self._keep(items, left)
            return self._step(list(left).index(needed[0]), f"[{needed[0]}]")
        if needed and self.steps:
            self.name = " and ".join(f"{self.name}[{index}]" for index in needed)
        return False

    def _keep(self, items: list[Any], left: Sequence[int]) -> None:
        self.spec = _replaced(self.spec, self.steps, [items[index] for index in left])

    def _step(self, step: Step, name: str) -> bool:
        self.steps.append(step)
        self.name += name
        return True

    async def _try(self, value: Any) -> str:
        if self.tries >= MOST_TRIES:
            raise _Enough
        self.tries += 1
        return await self.fault(_replaced(self.spec, self.steps, value))


def _at(value: Any, steps: Sequence[Step]) -> Any:
    for step in steps:
        value = value[step]
    return value


def _without(value: Mapping[str, Any], name: str) -> Obj:
    return {each: below for each, below in value.items() if each != name}


def _replaced(value: Any, steps: Sequence[Step], new: Any) -> Any:
    """A copy in which what `steps` lead to is `new`."""
    if not steps:
        return new
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    copy[steps[0]] = _replaced(value[steps[0]], steps[1:], new)
    return copy
