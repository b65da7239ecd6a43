"""What changed between two states of an object, field by field, as its schema sees fields.

Pure. In: a schema `Node`, the old and the new object. Out: the sets of added, modified and removed fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graylane.cluster.apiserver.patch.fieldset import EMPTY, FieldSet, Path
from graylane.cluster.apiserver.patch.fieldset import field as field_step
from graylane.cluster.apiserver.patch.places import Relation, child_of, elements, relation
from graylane.cluster.apiserver.schema.node import Node
from graylane.model.meta import Obj


class _Missing:
    """Not there at all; null is there."""


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Comparison:
    added: FieldSet
    modified: FieldSet
    removed: FieldSet


@dataclass(frozen=True, slots=True)
class _Found:
    ignored: FieldSet
    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def compare(root: Node, old: Obj, new: Obj, ignored: FieldSet = EMPTY) -> Comparison:
    """Nothing at or below `ignored` is looked at."""
    found = _Found(ignored)
    _compare(root, old, new, (), found)
    return Comparison(frozenset(found.added), frozenset(found.modified), frozenset(found.removed))


def _compare(node: Node, old: Any, new: Any, path: Path, found: _Found) -> None:
    kind = _common_relation(node, old, new)
    if kind is Relation.LEAF or (_is_empty(old) and _is_empty(new)):
        _compare_leaf(old, new, path, found)
        return
    before, after = _parts(node, kind, old, path), _parts(node, kind, new, path)
    for part in _unequal(before, after):
        where = (*path, field_step(part) if kind is Relation.MAP else part)
        if where not in found.ignored:
            was, now = before.get(part, MISSING), after.get(part, MISSING)
            _compare(child_of(node, where[-1]), was, now, where, found)
    if old is MISSING:
        found.added.add(path)
    elif new is MISSING:
        found.removed.add(path)


def _unequal(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Most of an object does not change, and comparing whole values is fast."""
    gone = [part for part in before if part not in after]
    return gone + [part for part, now in after.items() if not _is_same(before.get(part, MISSING), now)]


def _is_same(was: Any, now: Any) -> bool:
    return was is now or (was == now and type(was) is type(now))


def _common_relation(node: Node, old: Any, new: Any) -> Relation:
    """How the parts are owned; a change of type is a change of the whole."""
    if old is MISSING or old is None:
        return relation(node, new)
    if new is MISSING or new is None:
        return relation(node, old)
    before, after = relation(node, old), relation(node, new)
    return before if before is after else Relation.LEAF


def _is_empty(value: Any) -> bool:
    return value is MISSING or value is None or value in ({}, [])


def _compare_leaf(old: Any, new: Any, path: Path, found: _Found) -> None:
    if old is MISSING:
        found.added.add(path)
    elif new is MISSING:
        found.removed.add(path)
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        found.modified.add(path)


def _parts(node: Node, kind: Relation, value: Any, path: Path) -> Mapping[str, Any]:
    """Fields by name, elements by step. Those with the same keys, which only old objects may have, count together."""
    if value is MISSING or value is None:
        return {}
    return value if kind is Relation.MAP else dict(elements(node, value, path))
