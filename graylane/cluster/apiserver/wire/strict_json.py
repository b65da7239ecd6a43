"""Read a request body as strictly as kube-apiserver does: no duplicate keys, no NaN, no endless nesting.

Pure. In: the bytes of a body. Out: the decoded object, or `BadRequest`; the paths of duplicate fields, which only
matter under `fieldValidation=Strict` or `Warn`. orjson decodes; the standard library's parser, which can report pairs,
is asked about duplicates alone, when a client wants to know and there are some.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from graylane.errors import BadRequest

# kube-apiserver stops at 10,000; anything real stays below 100. orjson writes no more than 254, and what is stored is
# also written inside lists, events and questions to webhooks.
MAX_DEPTH = 200


def load(body: bytes) -> Any:
    """The decoded body. NaN, infinities, trailing text and bad UTF-8 are refused by the parser itself."""
    too_deep(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the object provided is unrecognized (must be of type Object): {error}") from error


def too_deep(body: bytes) -> None:
    """Refuse nesting that would exhaust the stack; a cheap bound first, the exact depth only when that is exceeded."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH or depth(body) <= MAX_DEPTH:
        return
    raise BadRequest(f"the object is nested more than {MAX_DEPTH} levels deep")


def depth(body: bytes) -> int:
    """The deepest nesting of objects and lists outside strings."""
    deepest = here = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            here += 1
            deepest = max(deepest, here)
        elif byte in b"}]":
            here -= 1
    return deepest


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, so that a key met twice is still seen twice."""


def duplicates(body: bytes) -> list[str]:
    """Paths of fields given more than once, e.g. `spec.replicas`; for `duplicate field "spec.replicas"`."""
    too_deep(body)
    if _says_all_once(body):
        return []
    try:
        tree = json.loads(body, object_pairs_hook=_Pairs)
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
