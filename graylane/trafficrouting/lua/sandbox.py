"""Runs one script in a fresh Lua 5.1 state that holds nothing but an allow list.

Shell (lupa; used by the worker process only). In: source, `obj`. Out: the table the script returned, as JSON, or
`ScriptFailed` with the line. Limits here are the friendly ones; the hard ones are the worker's and the pool's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lupa import lua51

from graylane.trafficrouting.lua.convert import Codec, NotJson

CPU_SECONDS = 0.8
MEMORY_BYTES = 32 * 1024 * 1024
# The hook is told line numbers, not files: our own helpers live on lines that no script has.
_FIRST_HELPER_LINE = 20_000
_PREPARE = "\n" * _FIRST_HELPER_LINE + Path(__file__).with_name("sandbox.lua").read_text(encoding="utf-8")
_CHUNK = "script"  # what Lua calls it in messages; Lua would cut a real name off after 60 characters
_POSITION = re.compile(rf"^{_CHUNK}:(?P<line>\d+): (?P<message>.*)$", re.DOTALL)
_DECODED = ("json.decode",)  # where values stand that a script decoded itself

Publish = Callable[[int], None]


class ScriptFailed(Exception):
    """The script's own fault; `line` is 0 when nobody can say."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Sandbox:
    """One Lua state, for one run."""

    def __init__(self, publish: Publish) -> None:
        self._lua = lua51.LuaRuntime(
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_refuse,
            max_memory=MEMORY_BYTES,
        )
        self._helpers = self._lua.execute(
            _PREPARE, publish, self._encode, self._decode, _FIRST_HELPER_LINE, name="=sandbox.lua"
        )
        self._codec = Codec(_LuaTables(self._helpers))

    def run(self, source: str, obj: dict[str, Any]) -> dict[str, Any]:
        """What the script returns for the global `obj`. Raises `ScriptFailed`."""
        if source.startswith("\x1b"):
            raise ScriptFailed(0, "byte code is not accepted; give the source")
        try:
            return self._run(source, obj)
        except lua51.LuaSyntaxError as error:
            raise _located(str(error)) from error
        except (lua51.LuaMemoryError, MemoryError) as error:
            self._lua.set_max_memory(2 * MEMORY_BYTES)  # room to ask where it was
            raise ScriptFailed(self._line(), _TOO_MUCH_MEMORY) from error
        except lua51.LuaError as error:
            raise _located(str(error).partition("\nstack traceback:")[0], self._line()) from error
        except NotJson as error:
            raise ScriptFailed(self._line(), f"the script's result: {error}") from error
        except UnicodeDecodeError as error:
            raise ScriptFailed(self._line(), "the script's result: a string is not UTF-8") from error

    def _run(self, source: str, obj: dict[str, Any]) -> dict[str, Any]:
        chunk = self._lua.compile(source, name=f"={_CHUNK}")
        self._helpers.globals.obj = self._codec.to_lua(obj, ())
        answer = self._helpers.run(chunk, _CHUNK, CPU_SECONDS, self._helpers.globals)
        done, result = answer if isinstance(answer, tuple) else (answer, None)
        if not done:
            raise self._failure(result)
        if lua51.lua_type(result) != "table":
            raise ScriptFailed(self._line(), f"expect table output from Lua script, not {_lua_type(result)}")
        # `obj.data` was learned at the path ("data", …); the result stands in the same place.
        converted = self._codec.from_lua(result, ("data",)) or {}
        if not isinstance(converted, dict):
            raise ScriptFailed(self._line(), "expect an object from Lua script, not an array")
        return converted

    def _failure(self, result: Any) -> ScriptFailed:
        if lua51.lua_type(result) == "table":
            return _located(str(result.message), int(result.line) or self._line())
        if str(result) == "not enough memory":
            return ScriptFailed(self._line(), _TOO_MUCH_MEMORY)
        return _located(str(result), self._line())

    def _line(self) -> int:
        return int(self._helpers.state.line)

    def _encode(self, value: Any = None, *_: Any) -> tuple[str | None, str | None]:
        try:
            return json.dumps(self._codec.from_lua(value), separators=(",", ":")), None
        except (NotJson, ValueError, RecursionError, MemoryError) as error:
            return None, str(error)

    def _decode(self, text: Any = None, *_: Any) -> tuple[Any, str | None]:
        try:
            return self._codec.to_lua(json.loads(str(text)), _DECODED), None
        except (NotJson, ValueError, RecursionError, MemoryError) as error:
            return None, str(error)


_TOO_MUCH_MEMORY = f"the script needs more than {MEMORY_BYTES // 2**20} MiB"


class _LuaTables:
    """`convert.Tables` over the functions that sandbox.lua returned."""

    def __init__(self, helpers: Any) -> None:
        self.null = helpers.null
        self.array = helpers.array
        self.object = helpers.object
        self.hide_null = helpers.hide_null
        self._classify = helpers.classify
        self._hidden = helpers.hidden_nulls

    def hidden_nulls(self, table: Any) -> Iterable[str]:
        nulls = self._hidden(table)
        return [] if nulls is None else [str(key) for key in nulls]

    def classify(self, value: Any) -> tuple[str, Any]:
        answer = self._classify(value)
        return answer if isinstance(answer, tuple) else (answer, None)

    def is_table(self, value: Any) -> bool:
        return bool(lua51.lua_type(value) == "table")


def _refuse(*_: Any) -> str:
    raise AttributeError("scripts cannot use Python objects")


def _lua_type(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return lua51.lua_type(value) or "string"


def _located(message: str, line: int = 0) -> ScriptFailed:
    """Lua writes `script:line: message`; without that, `line` is the best we know."""
    found = _POSITION.match(message)
    if found:
        return ScriptFailed(int(found["line"]), found["message"])
    return ScriptFailed(line, message)
