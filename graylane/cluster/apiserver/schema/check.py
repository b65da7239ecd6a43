"""Check a custom object against its structural schema; every mistake, in kube-apiserver's words.

Pure. In: a compiled `Node` and a value. Out: field errors, required fields first, then in the object's own order.
"""

from __future__ import annotations

import json
from typing import Any

from graylane.cluster.apiserver.schema.fielderror import FieldError, duplicate, required, type_invalid
from graylane.cluster.apiserver.schema.node import Node
from graylane.model.meta import Obj

_JSON_KINDS = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
_ACCEPTED: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "int-or-string": (int, str),
}
_WANTED = {"int-or-string": "integer,string"}


def errors(root: Node, obj: Obj) -> list[FieldError]:
    found: list[FieldError] = []
    _walk(root, obj, "", found)
    return found


def value_errors(node: Node, value: Any, path: str) -> list[FieldError]:
    """For one value inside an object; used by the branches of oneOf, anyOf and not."""
    found: list[FieldError] = []
    _walk(node, value, path, found)
    return found


def _walk(node: Node, value: Any, path: str, found: list[FieldError]) -> None:
    if not has_type(node, value):
        kind, wanted = json_kind(value), _WANTED.get(node.type, node.type)
        found.append(type_invalid(path or "<nil>", kind, f'{path} in body must be of type {wanted}: "{kind}"'))
        return
    for rule in node.rules:
        found += rule(value, path)
    if isinstance(value, dict):
        _walk_object(node, value, path, found)
    elif isinstance(value, list):
        _walk_list(node, value, path, found)


def has_type(node: Node, value: Any) -> bool:
    """Whether the JSON type fits; `1.0` is an integer to Kubernetes, `true` never is."""
    if value is None:
        return node.nullable or not node.type
    if not node.type:
        return True
    if isinstance(value, bool):
        return node.type == "boolean"
    if isinstance(value, float) and node.type in ("integer", "int-or-string"):
        return value.is_integer()
    return isinstance(value, _ACCEPTED[node.type])


def json_kind(value: Any) -> str:
    return "null" if value is None else _JSON_KINDS[type(value)]


def _walk_object(node: Node, value: Obj, path: str, found: list[FieldError]) -> None:
    for name in node.required:
        if name not in value:
            found.append(required(_join(path, name)))
    for name, child in value.items():
        known = node.child(name)
        if known is not None:
            _walk(known, child, _join(path, name), found)


def _walk_list(node: Node, value: list[Any], path: str, found: list[FieldError]) -> None:
    if node.list_type != "atomic":
        _find_duplicates(node, value, path, found)
    if node.items is not None:
        for index, item in enumerate(value):
            _walk(node.items, item, f"{path}[{index}]", found)


def _find_duplicates(node: Node, value: list[Any], path: str, found: list[FieldError]) -> None:
    """Sets hold each value once, maps each combination of keys."""
    seen = set()
    for index, item in enumerate(value):
        identity = {key: item.get(key) for key in node.list_keys} if isinstance(item, dict) and node.list_keys else item
        text = json.dumps(identity, sort_keys=True)
        if text in seen:
            found.append(duplicate(f"{path}[{index}]", identity))
        seen.add(text)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
