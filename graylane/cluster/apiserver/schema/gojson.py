"""The first mistake that Go's JSON decoder would find in an object, in its own words.

Pure. In: a `Node` whose names are Go struct names, and a decoded value. Out: one sentence, or "" when it decodes.
Follows sigs.k8s.io/json: the path names every struct field from the root, and neither list indexes nor map keys.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.node import Node

QUANTITY = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(.*)")
_LOOSE_QUANTITY = re.compile(QUANTITY)
_SUFFIX = re.compile(r"(?:|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

_INT_RANGES = {"int32": 1 << 31, "int64": 1 << 63}
_PLAIN = {"string": "string", "boolean": "bool", "number": "float64"}


def first_mistake(root: Node, obj: Any) -> str:
    """The sentence after `cannot be handled as a Deployment: `."""
    return _mistake(root, obj, "", "")


def _mistake(node: Node, value: Any, struct: str, path: str) -> str:
    if value is None or not node.type:
        return ""
    if node.type == "object":
        return _object_mistake(node, value, struct, path)
    if node.type == "array":
        return _array_mistake(node, value, struct, path)
    return _SCALARS[node.type](node, value, struct, path)


def _object_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    if not isinstance(value, dict):
        return _type_mistake(value, struct, path, go_type(node))
    if node.extra is None and not node.fields:
        return ""
    for name, child in value.items():
        known = node.fields.get(name)
        if known is not None:
            mistake = _mistake(known, child, node.name, f"{path}.{name}" if path else name)
        elif node.extra is not None:
            mistake = _mistake(node.extra, child, struct, path)
        else:
            continue
        if mistake:
            return mistake
    return ""


def _array_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    if not isinstance(value, list):
        return _type_mistake(value, struct, path, go_type(node))
    if node.items is None:
        return ""
    return next(filter(None, (_mistake(node.items, item, struct, path) for item in value)), "")


def _string_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    if node.format == "quantity":
        return _quantity_mistake(value, struct, path)
    if not isinstance(value, str):
        return _type_mistake(value, struct, path, "[]uint8" if node.format == "byte" else "string")
    if node.format == "date-time":
        return _time_mistake(value)
    return _base64_mistake(value) if node.format == "byte" else ""


def _integer_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    limit = _INT_RANGES.get(node.format, 1 << 63)
    if isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit:
        return ""
    return _type_mistake(value, struct, path, go_type(node))


def _boolean_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    return "" if isinstance(value, bool) else _type_mistake(value, struct, path, "bool")


def _number_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if good else _type_mistake(value, struct, path, "float64")


def _int_or_string_mistake(node: Node, value: Any, struct: str, path: str) -> str:
    return "" if isinstance(value, str) else _integer_mistake(_INT32, value, struct, path)


def _quantity_mistake(value: Any, struct: str, path: str) -> str:
    if isinstance(value, bool | dict | list):
        return f"quantities must match the regular expression '{QUANTITY}'"
    return quantity_mistake(str(value))


def quantity_mistake(text: str) -> str:
    """What is wrong with a resource quantity such as `100m` or `1Gi`; "" when nothing is."""
    matched = _QUANTITY.fullmatch(text)
    if matched is None or not _LOOSE_QUANTITY.fullmatch(text):
        return f"quantities must match the regular expression '{QUANTITY}'"
    return "" if _SUFFIX.fullmatch(matched[2]) else "unable to parse quantity's suffix"


def _time_mistake(text: str) -> str:
    layout = "2006-01-02T15:04:05Z07:00"
    if not _TIME.fullmatch(text):
        return f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"'
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper().replace("Z", "+00:00"))
    except ValueError:
        return f'parsing time "{text}": day out of range'
    return ""


def _base64_mistake(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        bad = re.search(r"[^A-Za-z0-9+/]", text)
        return f"illegal base64 data at input byte {bad.start() if bad else len(text) // 4 * 4}"
    return ""


def _type_mistake(value: Any, struct: str, path: str, wanted: str) -> str:
    where = f"struct field {struct}.{path}" if struct else "value"
    return f"json: cannot unmarshal {_json_kind(value, wanted)} into Go {where} of type {wanted}"


def _json_kind(value: Any, wanted: str) -> str:
    """The JSON type of a value; Go shows the number itself when only its size or fraction is wrong."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if wanted.startswith(("int", "uint")) else "number"
    return "string" if isinstance(value, str) else "object" if isinstance(value, dict) else "array"


def go_type(node: Node) -> str:
    """`[]v1.Container`, `map[string]string`, `int32`."""
    if node.type == "array":
        return f"[]{go_type(node.items)}" if node.items else "[]interface {}"
    if node.type == "integer":
        return node.format or "int64"
    if node.type == "object" and node.name:
        return f"{node.definition.split('.')[-2]}.{node.name}"
    if node.type == "object":
        return f"map[string]{go_type(node.extra)}" if node.extra else "map[string]interface {}"
    if node.format == "byte":
        return "[]uint8"
    return _PLAIN.get(node.type, node.name or "interface {}")


_INT32 = Node(type="integer", format="int32")
_SCALARS: dict[str, Callable[[Node, Any, str, str], str]] = {
    "string": _string_mistake,
    "integer": _integer_mistake,
    "boolean": _boolean_mistake,
    "number": _number_mistake,
    "int-or-string": _int_or_string_mistake,
}
