"""Sets of fields as `managedFields` writes them, changed without being read into sets first.

Pure. In: `fieldsV1` trees. Out: new trees, sharing what did not change, so that nothing changed is the same tree.

A leaf is `{}`; a place with something inside says `.` when it is in the set itself. So `{}` stands for `{".": {}}`, and
a tree without members is not written at all. Every write of every object comes through here: this is ten times as fast
as `fieldset.decode`, set algebra and `encode`, which say the same (see the properties).
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.patch.fieldset import SELF, field, fields
from graylane.cluster.apiserver.patch.places import Relation, elements, relation
from graylane.cluster.apiserver.schema.node import ANYTHING, Node
from graylane.cluster.apiserver.schema.zeros import is_written
from graylane.model.meta import Obj

Tree = Obj
_LEAF: Tree = {SELF: {}}
_NESTED = frozenset((dict, list))


def union(tree: Tree, other: Tree) -> Tree:
    """What is in either."""
    joined = {step: _joined(tree.get(step), inner) for step, inner in other.items()}
    changed = {step: inner for step, inner in joined.items() if inner is not tree.get(step)}
    if not changed:
        return tree
    merged = {**tree, **changed}
    return merged if len(merged) == len(tree) else {step: merged[step] for step in sorted(merged)}


def _joined(inner: Tree | None, other: Tree) -> Tree:
    if inner is None or inner is other:
        return other
    if not inner:
        return inner if _is_leaf(other) else union(_LEAF, other)
    return union(inner, other or _LEAF)


def _is_leaf(inner: Tree) -> bool:
    return not inner or inner == _LEAF


def difference(tree: Tree, gone: Tree) -> Tree:
    """What is in `tree` and not in `gone`."""
    left: Tree = tree
    for step, inner in gone.items():
        if step not in tree:
            continue
        rest = None if step == SELF else _without(tree[step], inner)
        if rest is tree[step]:
            continue
        left = dict(tree) if left is tree else left
        if rest is None:
            del left[step]
        else:
            left[step] = rest
    return left


def _without(inner: Tree, gone: Tree) -> Tree | None:
    opened = inner or _LEAF
    left = difference(opened, gone or _LEAF)
    if left is opened:
        return inner
    return None if not left else {} if left == _LEAF else left


def whole(root: Node, obj: Obj, skipped: frozenset[str]) -> Tree:
    """Every field of a new object, but for the top-level fields that are `skipped`."""
    return {field(name): _whole(root.child(name) or ANYTHING, obj[name]) for name in sorted(obj) if name not in skipped}


def born(root: Node, obj: Obj, skipped: frozenset[str]) -> Tree:
    """The same of a built-in kind, whose structs were there, with zero values, before anybody filled them."""
    return _inside(root, {name: child for name, child in obj.items() if name not in skipped})


def _inside(node: Node, obj: Obj) -> Tree:
    found = {field(name): _beside_zero(node, name, obj[name]) for name in sorted(obj)}
    return {step: inner for step, inner in found.items() if inner is not None}


def _beside_zero(parent: Node, name: str, value: Any) -> Tree | None:
    """What of a field was not there in a new object of its type. None: nothing."""
    node = parent.child(name) or ANYTHING
    if value is None:
        return None
    if name not in parent.fields or not (is_written(parent, name) or name in parent.required):
        return _whole(node, value)
    if value == node.default:
        return None
    if relation(node, value) is Relation.LEAF:
        return {}
    if isinstance(value, dict):
        return _inside(node, value) or None
    return {step: inner for step, inner in _whole(node, value).items() if step != SELF}


def _whole(node: Node, value: Any) -> Tree:
    if not value or not isinstance(value, dict | list) or relation(node, value) is Relation.LEAF:
        return {}
    if isinstance(value, list):
        items = node.items or ANYTHING
        return _LEAF | {step: _whole(items, item) for step, item in sorted(elements(node, value, ()), key=_by_step)}
    if _NESTED.isdisjoint(map(type, value.values())):  # labels, data, a port: most of what there is
        return _LEAF | {step: {} for step in fields(sorted(value))}
    return _LEAF | {field(name): _whole(node.child(name) or ANYTHING, value[name]) for name in sorted(value)}


def _by_step(item: tuple[str, Any]) -> str:
    return item[0]
