"""Whether an object is exactly as its schema wants it: one quick walk that spares the thorough ones.

Pure. In: a `Node`. Out: a predicate. True means that `gojson` finds no mistake, `check` no error, `shape` nothing
unknown and nothing to prune. False only means that somebody has to look: a null, a whole float or an unknown field may
still be right, and the thorough walks say in which way.

Nearly every object that is written fits, and looking for each kind of mistake in turn costs several times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graylane.cluster.apiserver.schema import gojson
from graylane.cluster.apiserver.schema.node import Node

Fits = Callable[[Any], bool]

_LOOKED_INTO = ("quantity", "date-time", "byte")  # formats of strings that Go's decoder reads
_PYTHON = {"string": str, "boolean": bool}


def fits(node: Node) -> Fits:
    """The predicate for one place of a schema. Fields are compiled when first met: most are never used."""
    check = _by_type(node)
    if not node.rules:
        return check
    rules = node.rules
    return lambda value: check(value) and not any(rule(value, "") for rule in rules)


def _by_type(node: Node) -> Fits:
    if node.type == "object" or (not node.type and (node.fields or node.extra)):
        return _struct(node) if node.fields else _map(node)
    if node.type == "array":
        return _list(node)
    if not node.type:
        return _is_given
    wanted = _PYTHON.get(node.type)
    if wanted is None or node.format in _LOOKED_INTO:
        return lambda value: value is not None and not gojson.first_mistake(node, value)
    return lambda value: type(value) is wanted


def _is_given(value: Any) -> bool:
    return value is not None


def _struct(node: Node) -> Fits:
    fields, required, known = node.fields, node.required, dict[str, Fits]()
    other = fits(node.extra) if node.extra else _is_given if node.open else None

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, child in value.items():
            fit = known.get(name) or other
            if name in fields and name not in known:
                fit = known[name] = fits(fields[name])
            if fit is None or not fit(child):
                return False
        return all(name in value for name in required)

    return check


def _map(node: Node) -> Fits:
    if node.extra is None:
        return lambda value: type(value) is dict and (node.open or not value)
    fit = fits(node.extra)
    return lambda value: type(value) is dict and all(map(fit, value.values()))


def _list(node: Node) -> Fits:
    fit = fits(node.items) if node.items else _is_given
    if node.list_type == "atomic":
        return lambda value: type(value) is list and all(map(fit, value))
    return lambda value: type(value) is list and all(map(fit, value)) and _are_different(node, value)


def _are_different(node: Node, items: list[Any]) -> bool:
    """No value of a set, no combination of a map's keys occurs twice."""
    if len(items) < 2:
        return True
    try:
        found = {tuple(map(item.get, node.list_keys)) for item in items} if node.list_keys else set(items)
    except (TypeError, AttributeError):
        return False
    return len(found) == len(items)
