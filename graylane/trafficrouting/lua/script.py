"""A Lua script and how it fails.

Pure. In: source text and a name. Out: `Script`; `LuaError`, which names script and line; `Runner`, which
`lua.engine.LuaPool` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from graylane.errors import GraylaneError


@dataclass(frozen=True, slots=True)
class Script:
    """Source text and the name errors call it by, e.g. `networking.istio.io/VirtualService/trafficRouting.lua`."""

    name: str
    source: str


class LuaError(GraylaneError):
    """A script failed; whoever wrote the script must act. `line` is 0 when it is not known."""

    def __init__(self, script: str, line: int, message: str) -> None:
        self.script = script
        self.line = line
        self.message = message
        super().__init__(f"{script}:{line}: {message}" if line else f"{script}: {message}")


class Runner(Protocol):
    """Whatever can run a script on an object."""

    async def run(self, script: Script, obj: dict[str, Any]) -> dict[str, Any]:
        """Raises `LuaError`."""
        ...
