"""JSON survives the way through Lua exactly."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.trafficrouting.lua.sandbox import Sandbox, ScriptFailed


def run(source: str, data: Any) -> Any:
    return Sandbox(lambda line: None).run(source, {"data": data})


def identical(left: Any, right: Any) -> bool:
    """Equal, and of equal types throughout: 1 is not 1.0 and 0.0 is not -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(identical(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(identical, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_small = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9)
_any = _small | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)


def objects(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.none() | st.booleans() | numbers | _text
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4))
    return st.dictionaries(_text, values, max_size=4)


@settings(max_examples=300, deadline=None)
@given(objects(_any))
def test_what_a_script_returns_untouched_comes_back_identical(data: dict[str, Any]) -> None:
    assert identical(run("return obj.data", data), data)


@settings(max_examples=100, deadline=None)
@given(objects(_small))
def test_a_copy_keeps_kinds_nulls_and_equal_numbers(data: dict[str, Any]) -> None:
    assert run("return {copy = json.copy(obj.data)}", data)["copy"] == (data or {})


@settings(max_examples=100, deadline=None)
@given(objects(_small))
def test_encode_and_decode_are_inverse(data: dict[str, Any]) -> None:
    assert run("return {again = json.decode(json.encode(obj.data))}", data)["again"] == data


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("obj.data.list = {} return obj.data", {"list": [], "map": {"a": 1}}),
        ("obj.data.map = {} return obj.data", {"list": [1], "map": []}),
        ("obj.data.map.a = nil return obj.data", {"list": [1], "map": {}}),
        ("table.remove(obj.data.list) return obj.data", {"list": [], "map": {"a": 1}}),
        ("obj.data.map = json.object() return obj.data", {"list": [1], "map": {}}),
        ("obj.data.list = nil return obj.data", {"map": {"a": 1}}),
        ("obj.data.list[2] = json.null return obj.data", {"list": [1, None], "map": {"a": 1}}),
        ("obj.data.map.a = obj.data.map.a * 20 / 100 return obj.data", {"list": [1], "map": {"a": 0.2}}),
        ("obj.data.map.a = 10 / 2 return obj.data", {"list": [1], "map": {"a": 5}}),
        ("obj.data.map.b = obj.data.list return obj.data", {"list": [1], "map": {"a": 1, "b": [1]}}),
    ],
)
def test_tables_a_script_makes_become_what_they_look_like(source: str, expected: Any) -> None:
    assert identical(run(source, {"list": [1], "map": {"a": 1}}), expected)


def test_an_empty_table_takes_the_kind_of_what_it_replaces() -> None:
    assert run("obj.data.map = {} obj.data.list = {} return obj.data", {"map": {}, "list": []}) == {
        "map": {},
        "list": [],
    }


def test_a_null_is_absent_for_a_script_and_kept_unless_it_is_set() -> None:
    source = "obj.data.seen = obj.data.gone == nil; obj.data.set = 1; return obj.data"
    assert run(source, {"gone": None, "set": None}) == {"gone": None, "set": 1, "seen": True}


def test_a_large_integer_keeps_its_digits_when_it_moves() -> None:
    assert run("return {there = {obj.data.here}}", {"here": 2**62 + 1}) == {"there": [2**62 + 1]}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return {spec = {[1] = 1, [3] = 3}}", "data.spec: cannot encode sparse array"),
        ("return {spec = {1, x = 2}}", "data.spec: cannot encode mixed or invalid key types"),
        ("return {spec = {[1.5] = 2}}", "data.spec: cannot encode mixed or invalid key types"),
        ("return {spec = {http = {{f = print}}}}", "data.spec.http[0].f: a function or userdata cannot become JSON"),
        ("return {spec = 1/0}", "data.spec: NaN and infinity are not JSON"),
        ("return 7", "expect table output from Lua script, not number"),
        ("return nil", "expect table output from Lua script, not nil"),
        ("return {1, 2}", "expect an object from Lua script, not an array"),
    ],
)
def test_what_json_cannot_say_is_refused_by_path(source: str, message: str) -> None:
    with pytest.raises(ScriptFailed) as caught:
        run(source, {})
    assert message in caught.value.message


def test_decode_reports_bad_text_as_a_second_value() -> None:
    assert run("local v, e = json.decode('{') return {none = v == nil, why = type(e)}", {}) == {
        "none": True,
        "why": "string",
    }
