"""Read a request body as strictly as kube-apiserver does: no duplicate keys, no NaN, no endless nesting.

Pure. In: the bytes of a body. Out: the decoded object, or `BadRequest`; the paths of duplicate fields, which only
matter under `fieldValidation=Strict` or `Warn`. orjson decodes; the standard library's parser, which can report pairs,
is asked about duplicates alone, when a client wants to know and there are some.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from graylane.errors import BadRequest

# What is nested deeper than this is cut off before it is decoded: encoders and Python's own parser recurse once per
# level. No field of a built-in kind is that deep, so what was cut is dropped as unknown, or `is_cut` finds it.
MAX_DEPTH = 200
ENDLESS = 10_000  # where kube-apiserver stops
CUT = "\x00nested too deep"
_CUT_TEXT = b'"\\u0000nested too deep"'
# A string, or what there is of it, is one token, whatever brackets are in it.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.DOTALL)
_QUOTE = ord('"')


def load(body: bytes) -> Any:
    """The decoded body. NaN, infinities and trailing text are refused; bad UTF-8 is replaced, as Go replaces it."""
    body = shallow(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            return _load_repaired(body)
        except ValueError:
            raise BadRequest(f"the object provided is unrecognized (must be of type Object): {error}") from error


def _load_repaired(body: bytes) -> Any:
    """Bytes that are no UTF-8 and escapes that are half a character become U+FFFD."""
    text = body.decode("utf-8", "replace")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if "\\ud" not in text.lower():
            raise
    again = json.dumps(json.loads(text, parse_constant=_refuse), ensure_ascii=False)
    return orjson.loads(again.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _refuse(word: str) -> None:
    raise ValueError(word)


def is_deep(body: bytes) -> bool:
    """A cheap bound first, the exact depth only when that is exceeded."""
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH and depth(body) > MAX_DEPTH


def too_deep() -> BadRequest:
    return BadRequest(f"the object is nested more than {MAX_DEPTH} levels deep")


def is_cut(value: Any) -> bool:
    """Whether something of an object that was decoded here is missing."""
    if isinstance(value, dict):
        return any(map(is_cut, value.values()))
    return any(map(is_cut, value)) if isinstance(value, list) else value == CUT


def shallow(body: bytes) -> bytes:
    """The body without what is nested deeper than `MAX_DEPTH`."""
    if not is_deep(body):
        return body
    if depth(body) > ENDLESS:
        raise BadRequest("the object provided is unrecognized (must be of type Object): exceeded max depth")
    kept, start = bytearray(), 0
    for at, here in _levels(body):
        if here == MAX_DEPTH + 1 and body[at] in b"{[":
            kept += body[start:at] + _CUT_TEXT
        elif here == MAX_DEPTH and body[at] in b"}]":
            start = at + 1
    return bytes(kept + body[start:])


def _levels(body: bytes) -> Iterator[tuple[int, int]]:
    """Every bracket outside strings: where it is, and how deep one is behind it."""
    here = 0
    for found in _TOKEN.finditer(body):
        at = found.start()
        if body[at] != _QUOTE:
            here += 1 if body[at] in b"{[" else -1
            yield at, here


def depth(body: bytes) -> int:
    """The deepest nesting of objects and lists outside strings."""
    return max((here for _, here in _levels(body)), default=0)


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, so that a key met twice is still seen twice."""


def duplicates(body: bytes) -> list[str]:
    """Paths of fields given more than once, e.g. `spec.replicas`; for `duplicate field "spec.replicas"`."""
    body = shallow(body)
    if _says_all_once(body):
        return []
    try:
        tree = json.loads(body.decode("utf-8", "replace"), object_pairs_hook=_Pairs)
    except ValueError as error:
        raise BadRequest(f"the object provided is unrecognized (must be of type Object): {error}") from error
    found: list[str] = []
    _find(tree, "", found)
    return found


def _says_all_once(body: bytes) -> bool:
    """Whether as many quotes come out of a decoder as go in: a repeated key takes at least its own two with it.

    Only a quote that is written as a number could make up for that. Ten times as fast as looking at every pair.
    """
    try:
        decoded = orjson.dumps(orjson.loads(body))
    except orjson.JSONDecodeError:
        return False
    return decoded.count(b'"') == body.count(b'"') and b"\\u0022" not in body


def _find(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, child in value:
            where = f"{path}.{name}" if path else name
            if name in seen and where not in found:
                found.append(where)
            seen.add(name)
            _find(child, where, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _find(item, f"{path}[{index}]", found)
