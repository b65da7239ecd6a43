"""Lua of EnvoyFilters, watched: a script that fails says so, one that does not end is ended.

Pure. In: the messages of a patch. Out: the same with every script wrapped. Envoy itself lets a script run for ever,
which stops a whole worker, and writes what fails into its log alone. The wrapper runs a script by the name of its
patch, so that whatever goes wrong is told with its line, and leaves a mark on the request, by which a log knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from envoy.extensions.filters.http.lua.v3 import lua_pb2

from graylane.mesh.inputs import Source

NAMESPACE, KEY = "graylane.code", "fault"
LIMIT, MEGABYTES = 10_000_000, 256
_STEP = 1000
SEPARATOR = "\x1f"
_PLACE = re.compile(r"(spec\.configPatches\[\d+\]):(\d+): ")
_LUA = lua_pb2.Lua.DESCRIPTOR.full_name
_PER_ROUTE = lua_pb2.LuaPerRoute.DESCRIPTOR.full_name
# The hook stays, and a script that begins sets the count back: one that goes on later, when an answer has come, runs
# under the same hook.
_WRAPPER = """\
local jitter, hook, load, memory, steps = jit, debug.sethook, loadstring, collectgarbage, 0
local function bounded(code, ...)
  jitter.off()
  steps = 0
  hook(function()
    steps = steps + {step}
    if steps > {limit} then steps = 0 error("it runs for more than {limit:,} instructions", 2) end
    if memory("count") > {megabytes} * 1024 then error("it uses more than {megabytes} MB", 2) end
  end, "", {step})
  return pcall(code, ...)
end
local code, why = load([{level}[
{script}]{level}], "={place}")
if not code then error(why, 0) end
local fine, told = bounded(code)
if not fine then error(told, 0) end
for _, name in ipairs({{"envoy_on_request", "envoy_on_response"}}) do
  local script = _G[name]
  if script then
    _G[name] = function(handle)
      local fine, told = bounded(script, handle)
      if not fine then
        told = tostring(told):sub(1, 300):gsub("%c", " ")
        handle:streamInfo():dynamicMetadata():set("{namespace}", "{key}", "{mark}" .. told)
        error(told, 0)
      end
    end
  end
end
"""


def mark(source: Source) -> str:
    return SEPARATOR.join((source.namespace, source.name, str(source.generation), ""))


def marked(text: str) -> tuple[Source, str] | None:
    """Whose script failed, and why; None for a text that no script left."""
    parts = text.split(SEPARATOR, 3)
    if len(parts) != 4 or not parts[2].isdigit():
        return None
    return Source("EnvoyFilter", parts[0], parts[1], int(parts[2])), _PLACE.sub(r"\1 line \2: ", parts[3])


def watched(script: str, source: Source, place: str) -> str:
    """`place` is the path of the patch that holds the script; Lua cuts longer ones off."""
    level = next(level for level in map("=".__mul__, range(1, len(script) + 2)) if f"]{level}]" not in script + "]")
    owner = "".join(f"\\{ord(letter):03}" if letter == SEPARATOR else letter for letter in mark(source))
    found = {"script": script, "level": level, "place": place, "mark": owner}
    limits = {"limit": LIMIT, "step": _STEP, "megabytes": MEGABYTES}
    return _WRAPPER.format(namespace=NAMESPACE, key=KEY, **limits, **found)


def is_lua(http_filter: Any) -> bool:
    return bool(http_filter.typed_config.TypeName() == _LUA)


def watch(message: Any, source: Source, place: str) -> None:
    """Wraps the scripts of a patch's value, in the message itself. `place` is the patch's path."""
    for packed in _packed(message):
        if packed.TypeName() not in (_LUA, _PER_ROUTE):
            continue
        found = (lua_pb2.Lua if packed.TypeName() == _LUA else lua_pb2.LuaPerRoute)()
        packed.Unpack(found)
        for holder, field in _scripts(found):
            setattr(holder, field, watched(getattr(holder, field), source, place))
        packed.Pack(found, deterministic=True)


def _packed(message: Any) -> Iterable[Any]:
    fields = message.DESCRIPTOR.fields_by_name
    if "typed_config" in fields:
        yield message.typed_config
    if "typed_per_filter_config" in fields:
        yield from message.typed_per_filter_config.values()


def _scripts(message: Any) -> Iterable[tuple[Any, str]]:
    """Those that are written out; what is in a file, or comes from elsewhere, is not ours to change."""
    if message.DESCRIPTOR.full_name == _PER_ROUTE:
        sources = [message.source_code]
    else:
        if message.inline_code:
            yield message, "inline_code"
        sources = [message.default_source_code, *message.source_codes.values()]
    yield from ((each, "inline_string") for each in sources if each.inline_string)
