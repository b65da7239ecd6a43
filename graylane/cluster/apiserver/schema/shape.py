"""Bring an object to the shape of its schema: which fields are unknown, what stays, what is filled in.

Pure. In: a `Node` and a value. Out: paths, or a new value; branches that do not change are shared with the input.
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.schema.node import ABSENT, ANYTHING, Node
from graylane.model.meta import Obj

_NESTED = (dict, list)  # only these have anything inside; most values have not


def unknown(root: Node, obj: Obj) -> list[str]:
    """Paths of fields that the schema does not name, in the object's own order."""
    found: list[str] = []
    _find_unknown(root, obj, "", found)
    return found


def _find_unknown(node: Node, value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, dict):
        for name, child in value.items():
            known = node.fields.get(name) or node.extra
            if known is None:
                if not node.open:
                    found.append(f"{path}.{name}" if path else name)
            elif isinstance(child, _NESTED):
                _find_unknown(known, child, f"{path}.{name}" if path else name, found)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            _find_unknown(node.items, item, f"{path}[{index}]", found)


def prune(root: Node, obj: Obj, *, drop_nulls: bool) -> Obj:
    """`obj` without what its schema does not name."""
    pruned: Obj = _prune(root, obj, drop_nulls)
    return pruned


def _prune(node: Node, value: Any, drop_nulls: bool) -> Any:
    if isinstance(value, dict):
        return _prune_map(node, value, drop_nulls)
    if isinstance(value, list) and node.items is not None:
        items = node.items
        kept = [_prune(items, item, drop_nulls) if isinstance(item, _NESTED) else item for item in value]
        if drop_nulls and None in kept:  # an element has no way to be absent: Go makes it the zero value of its type
            kept = [_zero(items) if item is None else item for item in kept]
        return kept if any(a is not b for a, b in zip(kept, value, strict=True)) else value
    return value


def _zero(node: Node) -> Any:
    return {"object": {}, "array": [], "string": "", "boolean": False, "integer": 0, "number": 0}.get(node.type)


def _prune_map(node: Node, value: Obj, drop_nulls: bool) -> Obj:
    kept, changed = {}, False
    for name, child in value.items():
        known = node.fields.get(name) or node.extra
        if known is None:
            if node.open:
                kept[name] = child
        elif isinstance(child, _NESTED):
            kept[name] = _prune(known, child, drop_nulls)
            changed = changed or kept[name] is not child
        elif child is not None or not drop_nulls:
            kept[name] = child
        elif name not in node.fields and known.type == "string":
            kept[name], changed = "", True  # a null value of a string map decodes as the empty string
    return kept if changed or len(kept) != len(value) else value


def default(root: Node, obj: Obj) -> Obj:
    """`obj` with every missing field that has a default; a null where null is not allowed counts as missing."""
    filled: Obj = _default(root, obj)
    return filled


def _default(node: Node, value: Any) -> Any:
    if isinstance(value, dict):
        filled = {
            name: _default(node.child(name) or _KEEP, child)
            for name, child in value.items()
            if child is not None or _may_be_null(node, name)
        }
        for name, child in node.fields.items():
            if child.default is not ABSENT and name not in filled:
                filled[name] = _default(child, child.default)
        same = len(filled) == len(value) and all(name in value and filled[name] is value[name] for name in filled)
        return value if same else filled
    if isinstance(value, list) and node.items is not None:
        items = node.items
        filled_items = [_default(items, item) for item in value]
        return filled_items if any(a is not b for a, b in zip(filled_items, value, strict=True)) else value
    return value


def _may_be_null(node: Node, name: str) -> bool:
    known = node.child(name)
    return known is None or known.nullable or known is ANYTHING


_KEEP = Node()
