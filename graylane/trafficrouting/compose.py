"""Runs the scripts that make one object as wanted, all wishes for it one after the other.

Shell (runs scripts). In: a `Target` and whether this TrafficRouting's routes are wanted in it. Out: `Composed`: the
patch still missing, if any, or the script's error. Scripts are functions of their input, so equal inputs run once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

from graylane.model.meta import Obj
from graylane.trafficrouting import routes
from graylane.trafficrouting.lua.script import LuaError, Runner, Script
from graylane.trafficrouting.observe import Target
from graylane.trafficrouting.providers.custom import Contribution, script_input
from graylane.trafficrouting.routes import Data

_REMEMBERED_RUNS = 1024
_SEEN = ("spec", "labels", "annotations")


@dataclass(frozen=True, slots=True)
class Composed:
    """`patch`: a merge patch still to be written, None when the object is as wanted or nobody can tell (`error`)."""

    target: Target
    adds: bool
    patch: Obj | None = None
    error: str = ""

    @property
    def goes_first(self) -> bool:
        """Definitions when routes go in, routes when they go out: the others wait for these."""
        return self.adds == self.target.defines

    @property
    def is_settled(self) -> bool:
        """As wanted, and taken by the proxies as far as anybody can tell."""
        return self.patch is None and not self.error and self.target.verdict.may_go_on


class Composer:
    """Remembers results of script runs, by script and input."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._results: OrderedDict[tuple[str, bytes], dict[str, Any]] = OrderedDict()

    async def compose(self, target: Target, *, wanted: bool, known: bool) -> Composed:
        """`known`: our routes have been in it before, so an absent memory was removed by somebody."""
        adds = wanted and bool(target.own)
        wishes = target.others | (target.own if adds else {})
        try:
            original = routes.original_of(target.live, target.memory)
            if adds and known and target.memory is None:
                original = routes.recovered(original, await self._fold(target, original, wishes))
            desired = await self._fold(target, original, wishes)
        except LuaError as error:
            return Composed(target, adds, error=str(error))
        return Composed(target, adds, routes.change(target.live, target.memory, original, wishes, desired))

    async def rehearse(self, target: Target) -> str:
        """What would go wrong if a release began now; "" when nothing would."""
        try:
            await self._fold(target, routes.original_of(target.live, target.memory), target.others | target.own)
        except LuaError as error:
            return str(error)
        return ""

    async def _fold(self, target: Target, original: Data, wishes: dict[str, Contribution]) -> Data:
        """Sorted by key, so that the result does not depend on who came first."""
        data = original
        for key in sorted(wishes):
            if target.script is None:
                raise LuaError(str(target.ref), 0, "its script is gone")
            result = await self._once(target.script, script_input(data, wishes[key]))
            data = {name: result[name] for name in _SEEN if result.get(name) or (name == "spec" and name in result)}
        return data

    async def _once(self, script: Script, obj: dict[str, Any]) -> dict[str, Any]:
        key = script.source, orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
        if key not in self._results:
            self._results[key] = await self._runner.run(script, obj)
            if len(self._results) > _REMEMBERED_RUNS:
                self._results.popitem(last=False)
        return self._results[key]
