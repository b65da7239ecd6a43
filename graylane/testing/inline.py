"""Runs what is async in a cluster at once and in this process: Lua scripts, and the reconcilers that wait for them.

Pure but for what was run before. In: scripts, controllers. Out: results, and controllers that never wait.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

from graylane.kit.cache import View
from graylane.kit.effects import Outcome
from graylane.kit.loop import Controller
from graylane.model.meta import Key, Obj
from graylane.trafficrouting.lua.sandbox import Sandbox, ScriptFailed
from graylane.trafficrouting.lua.script import LuaError, Script


class Inline:
    """Runs scripts in this process, each input once: the same sandbox without its worker."""

    def __init__(self) -> None:
        self._results: dict[str, Obj] = {}

    async def run(self, script: Script, obj: dict[str, Any]) -> dict[str, Any]:
        question = script.source + json.dumps(obj, sort_keys=True)
        if question not in self._results:
            try:
                self._results[question] = Sandbox(lambda line: None).run(script.source, obj)
            except ScriptFailed as error:
                raise LuaError(script.name, error.line, error.message) from error
        return self._results[question]


INLINE = Inline()


def at_once(controller: Controller) -> Controller:
    """An async reconciler that never waits for anything, as a plain one."""
    asked = controller.reconcile

    def reconcile(view: View, key: Key, now: datetime) -> Outcome:
        answer = asked(view, key, now)
        return answer if isinstance(answer, Outcome) else run_at_once(answer)  # type: ignore[arg-type]

    return replace(controller, reconcile=reconcile)


def run_at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine whose every `await` is answered immediately."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError(f"{coroutine} waits for something")
