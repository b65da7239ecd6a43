"""What Go writes of a built-in kind even when nobody said it: `status: {}`, `resources: {}`, `replicas: 0`; and what it
does not write though somebody did: maps and lists that are empty, scalars that are zero.

Pure. In: a `Node`. Out: a function that puts both right, sharing with its input what was so already. A field
that has a default in Kubernetes' OpenAPI is no pointer and not omitted when empty; so clients find it in every answer,
and whoever creates an object does not come to own it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graylane.cluster.apiserver.schema.node import ABSENT, Node
from graylane.cluster.apiserver.schema.pointers import is_pointer

Fill = Callable[[Any], Any]

_SCALARS = frozenset({"boolean", "integer", "number", "string"})
_TELLING = ("managedFields",)  # an empty list of them is a wish; whoever hears it removes the list
# Their default is said in a comment of Kubernetes' source; the field is left out when it is empty.
_OMITTED = ("name", "minReadySeconds", "optional", "start")


def filler(node: Node) -> Fill | None:
    """None when there is nothing to fill in, here or further down."""
    return _Compiler().fill(node)


class _Compiler:
    """Kinds that contain themselves (`JSONSchemaProps`) are met again while they are being compiled."""

    def __init__(self) -> None:
        self._known: dict[int, Fill | None] = {}

    def fill(self, node: Node) -> Fill | None:
        key = id(node)
        if key not in self._known:
            self._known[key] = lambda value: self._known[key](value)  # type: ignore[misc]
            self._known[key] = self._compile(node)
        return self._known[key]

    def _compile(self, node: Node) -> Fill | None:
        if node.fields:
            return self._struct(node)
        inner = self.fill(node.items) if node.items else self.fill(node.extra) if node.extra else None
        if inner is None:
            return None
        return _each(inner) if node.items else _every(inner)

    def _struct(self, node: Node) -> Fill | None:
        fills = {name: fill for name, child in node.fields.items() if (fill := self.fill(child)) is not None}
        zeros = {name: _zero(child, fills.get(name)) for name, child in node.fields.items() if is_written(node, name)}
        empty = frozenset(name for name, child in node.fields.items() if _is_left_out(node, name, child))
        return _fields(fills, zeros, empty) if fills or zeros or empty else None


def is_written(parent: Node, name: str) -> bool:
    """Whether Go writes the field of a struct that says nothing about it."""
    zero = parent.fields[name].default
    return zero is not ABSENT and not zero and (name in parent.required or name not in _OMITTED)


def _is_left_out(parent: Node, name: str, node: Node) -> bool:
    """Whether Go omits the field when it is an empty map or list, or zero; behind a pointer these say something."""
    if name in (*parent.required, *_TELLING) or node.default is not ABSENT:
        return False
    if node.type in _SCALARS and not node.definition:
        return bool(parent.definition) and not is_pointer(parent.definition, name)
    return node.items is not None or (node.extra is not None and not node.fields)


def _zero(node: Node, fill: Fill | None) -> Any:
    return fill(node.default) if fill is not None and node.default == {} else node.default


def _fields(fills: dict[str, Fill], zeros: dict[str, Any], empty: frozenset[str]) -> Fill:
    def fill(value: Any) -> Any:
        if type(value) is not dict:
            return value
        changed = {name: zero for name, zero in zeros.items() if value.get(name) is None}
        gone = False
        for name, child in value.items():
            if not child and name in empty and child is not None:
                gone = True
            elif name in fills and child is not None:
                filled = fills[name](child)
                if filled is not child:
                    changed[name] = filled
        if gone:
            value = {name: child for name, child in value.items() if child or child is None or name not in empty}
        return {**value, **changed} if changed else value

    return fill


def _each(inner: Fill) -> Fill:
    def fill(value: Any) -> Any:
        if type(value) is not list:
            return value
        filled = [inner(item) for item in value]
        return filled if any(a is not b for a, b in zip(filled, value, strict=True)) else value

    return fill


def _every(inner: Fill) -> Fill:
    def fill(value: Any) -> Any:
        if type(value) is not dict:
            return value
        changed = {name: filled for name, child in value.items() if (filled := inner(child)) is not child}
        return {**value, **changed} if changed else value

    return fill
