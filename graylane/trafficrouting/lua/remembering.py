"""Runs each script once for each input: scripts are functions of what they are given.

Shell (runs scripts). In: a `Runner`. Out: another, which the controller and admission share, so that what one of them
has asked the other need not ask again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import orjson

from graylane.trafficrouting.lua.script import Runner, Script

_REMEMBERED = 1024


class Remembering:
    """Implements `Runner`. Results are shared and must not be changed; errors are not kept."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._results: OrderedDict[tuple[str, bytes], dict[str, Any]] = OrderedDict()

    async def run(self, script: Script, obj: dict[str, Any]) -> dict[str, Any]:
        key = script.source, orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
        if key not in self._results:
            self._results[key] = await self._runner.run(script, obj)
            if len(self._results) > _REMEMBERED:
                self._results.popitem(last=False)
        return self._results[key]
