"""Scripts are wrapped so that what they say stays as it is, whatever they hold."""

from __future__ import annotations

import re

import pytest
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from hypothesis import given
from hypothesis import strategies as st
from lupa.luajit21 import LuaError, LuaRuntime

from graylane.mesh.filters.code import SEPARATOR, mark, marked, watch, watched
from graylane.mesh.inputs import Source

OWNER = Source("EnvoyFilter", "shop", "ef", 7)
PLACE = "spec.configPatches[0]"


def ran(script: str) -> str:
    """What a script leaves in the global `result`, run by LuaJIT, as Envoy does."""
    runtime = LuaRuntime(unpack_returned_tuples=True)
    runtime.execute(watched(script, OWNER, PLACE))
    return str(runtime.globals().result)


@pytest.mark.parametrize(
    "script",
    [
        "result = [[x]] .. 'y'",
        "result = [=[x]=] .. 'y' -- the end has no line of its own",
        "\nresult = 'xy' return",
        "result = 'x' .. [==[y]==]",
        "result = 'xy' --]=]",
    ],
)
def test_a_script_does_what_it_did(script: str) -> None:
    assert ran(script) == "xy"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("local n = 0\nwhile true do n = n + 1 end", f"{PLACE}:2: it runs for more than 10,000,000 instructions"),
        ("local t = {}\nwhile true do t[#t + 1] = ('x'):rep(100000) .. #t end", f"{PLACE}:2: it uses more than 256 MB"),
        ("local function deeper() return 1 + deeper() end\ndeeper()", "stack overflow"),
        ("error('no')", f"{PLACE}:1: no"),
        ("x = = 1", f"{PLACE}:1: unexpected symbol near '='"),
    ],
)
def test_a_script_that_goes_too_far_or_fails_is_ended_with_its_line(script: str, said: str) -> None:
    with pytest.raises(LuaError, match=re.escape(said)):
        ran(script)


@given(st.text(alphabet="]=[ab-\n", max_size=12))
def test_whatever_a_text_holds_it_arrives(text: str) -> None:
    quoted = "".join(f"\\{ord(letter):03}" for letter in text)
    assert ran(f"result = '{quoted}' --[====[ {text.replace(']====]', '')} ]====]") == text


def test_whose_script_failed_is_read_from_the_mark() -> None:
    assert marked(f"{mark(OWNER)}{PLACE}:3: attempt to index") == (OWNER, f"{PLACE} line 3: attempt to index")
    assert marked(f"not{SEPARATOR}ours") is None


def test_scripts_are_wrapped_wherever_they_are_written_out() -> None:
    lua = lua_pb2.Lua(inline_code="a()")
    lua.default_source_code.inline_string = "b()"
    lua.source_codes["c"].inline_string = "c()"
    lua.source_codes["d"].filename = "/d"
    found = hcm_pb2.HttpFilter(name="lua")
    found.typed_config.Pack(lua)
    watch(found, OWNER, PLACE)
    found.typed_config.Unpack(lua)
    scripts = (lua.inline_code, lua.default_source_code.inline_string, lua.source_codes["c"].inline_string)
    assert [f"\n{name}()]=]" in script for name, script in zip("abc", scripts, strict=True)] == [True] * 3
    assert lua.source_codes["d"].filename == "/d"
