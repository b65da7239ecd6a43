"""Merge an applied configuration into a live object, and take fields out of an object, as its schema sees fields.

Pure. In: a schema `Node`, objects, a set of fields. Out: a new object; inputs are shared where nothing changes.
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.patch.compare import MISSING
from graylane.cluster.apiserver.patch.fieldset import FieldSet, Path, Trie, field
from graylane.cluster.apiserver.patch.places import Relation, elements, relation
from graylane.cluster.apiserver.schema.node import ANYTHING, Node
from graylane.model.meta import Obj


def merge(root: Node, live: Obj, config: Obj) -> Obj:
    """`live` with everything that `config` says; what only `live` has stays."""
    merged: Obj = _merge(root, live, config, ())
    return merged


def _merge(node: Node, live: Any, config: Any, path: Path) -> Any:
    if config is MISSING:
        return live
    kind = relation(node, config)
    if live is MISSING or kind is Relation.LEAF or relation(node, live) is not kind or (not live and not config):
        return config
    if kind is Relation.LIST:
        return _merge_list(node, live, config, path)
    return {
        name: _merge(
            node.child(name) or ANYTHING, live.get(name, MISSING), config.get(name, MISSING), (*path, field(name))
        )
        for name in live | config
    }


def _merge_list(node: Node, live: list[Any], config: list[Any], path: Path) -> list[Any]:
    """The configuration's elements in its order; live ones that it lacks keep their place among those both know."""
    ours, theirs = elements(node, config, path), elements(node, live, path)
    wanted, known = dict(ours), dict(theirs)
    shared = [step for step, _ in ours if step in known]
    merged: list[Any] = []
    done: set[str] = set()

    def take(step: str, live_item: Any, config_item: Any) -> None:
        merged.append(_merge(node.items or ANYTHING, live_item, config_item, (*path, step)))
        if shared and shared[0] == step:
            shared.pop(0)

    left = right = 0
    while left < len(theirs) or right < len(ours):
        step = theirs[left][0] if left < len(theirs) else ""
        if left < len(theirs) and right < len(ours):
            if step == ours[right][0]:
                take(step, theirs[left][1], ours[right][1])
                done.add(step)
                left, right = left + 1, right + 1
                continue
            if step in wanted and shared and shared[0] != step:
                left += 1  # both know it, but it is not its turn
                continue
        if left < len(theirs):
            if step not in wanted:
                merged.append(theirs[left][1])
                left += 1
                continue
            if step in done:
                left += 1
        if right < len(ours):
            step = ours[right][0]
            done.add(step)
            take(step, known.get(step, MISSING), ours[right][1])
            right += 1
    return merged


def remove(root: Node, obj: Obj, paths: FieldSet) -> Obj:
    """`obj` without these fields. What they leave empty stays, empty: somebody owns it, or it would be among them."""
    left: Obj = _remove(root, obj, Trie.of(paths), ())
    return left


def _remove(node: Node, value: Any, gone: Trie, path: Path) -> Any:
    kind = relation(node, value)
    if not gone.children or not value or kind is Relation.LEAF:
        return value
    if kind is Relation.LIST:
        return [
            _remove(node.items or ANYTHING, item, gone.children.get(step, _NOTHING), (*path, step))
            for step, item in elements(node, value, path)
            if not gone.children.get(step, _NOTHING).member
        ]
    return {
        name: _remove(
            node.child(name) or ANYTHING, child, gone.children.get(field(name), _NOTHING), (*path, field(name))
        )
        for name, child in value.items()
        if not gone.children.get(field(name), _NOTHING).member
    }


_NOTHING = Trie()
