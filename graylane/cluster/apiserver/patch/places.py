"""How field ownership sees an object: which parts are owned piece by piece, and which only as a whole.

Pure. In: a schema `Node` and a value. Out: the relation of the value's parts, and the name of each part. Follows
structured-merge-diff: maps are granular unless marked atomic, lists are atomic unless marked as maps or sets, and what
has no schema is granular in its maps and atomic in its lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from graylane.cluster.apiserver.patch.fieldset import FieldSet, Path, field, keyed, text, valued
from graylane.cluster.apiserver.schema.node import ABSENT, ANYTHING, Node
from graylane.errors import BadRequest

# The only key of a list that built-in kinds default: container ports and Service ports.
_KEY_DEFAULTS = {"protocol": "TCP"}


class Relation(StrEnum):
    LEAF = "owned as a whole"
    MAP = "owned by field"
    LIST = "owned by element"


def relation(node: Node, value: Any) -> Relation:
    if isinstance(value, dict):
        return Relation.LEAF if node.map_type == "atomic" else Relation.MAP
    if isinstance(value, list) and is_associative(node):
        return Relation.LIST
    return Relation.LEAF


def is_associative(node: Node) -> bool:
    return node.list_type in ("map", "set")


def child_of(node: Node, step: str) -> Node:
    """The schema one step further down."""
    if step[0] == "f":
        return node.child(step[2:]) or ANYTHING
    return node.items or ANYTHING


def element(node: Node, item: Any, path: Path) -> str:
    """The name of a list's element. `BadRequest` when it has none."""
    if node.list_type == "set" or not node.list_keys:
        if isinstance(item, dict | list) or item is None:
            raise BadRequest(f"{text(path)}: a list that is a set may only hold plain values")
        return valued(item)
    if not isinstance(item, dict):
        raise BadRequest(f"{text(path)}: associative list with keys may not have non-map elements")
    return keyed({key: _key_value(node, item, key, path) for key in node.list_keys})


def _key_value(node: Node, item: Any, key: str, path: Path) -> Any:
    if key in item:
        return item[key]
    known = (node.items or ANYTHING).fields.get(key)
    if known is not None and known.default is not ABSENT:
        return known.default
    if key in _KEY_DEFAULTS:
        return _KEY_DEFAULTS[key]
    detail = f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)'
    raise BadRequest(f"{text(path)}: {detail}")


def elements(node: Node, items: list[Any], path: Path) -> list[tuple[str, Any]]:
    return [(element(node, item, path), item) for item in items]


def field_set(node: Node, value: Any) -> FieldSet:
    """Every field that an object sets."""
    return frozenset(_fields(node, value, ()))


def _fields(node: Node, value: Any, path: Path) -> Iterator[Path]:
    kind = relation(node, value)
    if kind is Relation.MAP:
        for name, child in value.items():
            where = (*path, field(name))
            yield from _fields(node.child(name) or ANYTHING, child, where)
            if child is None or child == {} or name not in node.fields:
                yield where
    elif kind is Relation.LIST:
        for step, item in elements(node, value, path):
            yield (*path, step)
            yield from _fields(node.items or ANYTHING, item, (*path, step))
    elif path:
        yield path


def duplicates(root: Node, value: Any, path: Path = ()) -> Iterator[Path]:
    """Elements that appear more than once in a list that must hold each once."""
    kind = relation(root, value)
    if kind is Relation.MAP:
        for name, child in value.items():
            yield from duplicates(root.child(name) or ANYTHING, child, (*path, field(name)))
    elif kind is Relation.LIST:
        seen: set[str] = set()
        for step, item in elements(root, value, path):
            if step in seen:
                yield (*path, step)
            seen.add(step)
            yield from duplicates(root.items or ANYTHING, item, (*path, step))


def with_parents(root: Node, paths: FieldSet) -> FieldSet:
    """`paths` and the declared fields above them, so that an emptied parent goes with its last child."""
    found = set(paths)
    for path in paths:
        node = root
        for depth, step in enumerate(path[:-1]):
            if step[0] == "f" and step[2:] in node.fields:
                found.add(path[: depth + 1])
            node = child_of(node, step)
    return frozenset(found)
