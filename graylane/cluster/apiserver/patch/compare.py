"""What changed between two states of an object, field by field, as its schema sees fields.

Pure. In: a schema `Node`, the old and the new object. Out: the sets of added, modified and removed fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from graylane.cluster.apiserver.patch.fieldset import FieldSet, Path
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

    def without(self, ignored: FieldSet) -> Comparison:
        """Only the fields that are not at or below `ignored`."""
        return Comparison(*(_outside(paths, ignored) for paths in (self.added, self.modified, self.removed)))


def _outside(paths: FieldSet, ignored: FieldSet) -> FieldSet:
    return frozenset(path for path in paths if not any(path[: len(start)] == start for start in ignored))


@dataclass(slots=True)
class _Found:
    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def compare(root: Node, old: Obj, new: Obj) -> Comparison:
    found = _Found()
    _compare(root, old, new, (), found)
    return Comparison(frozenset(found.added), frozenset(found.modified), frozenset(found.removed))


def _compare(node: Node, old: Any, new: Any, path: Path, found: _Found) -> None:
    kind = _common_relation(node, old, new)
    if kind is Relation.LEAF or (_is_empty(old) and _is_empty(new)):
        _compare_leaf(old, new, path, found)
        return
    before, after = _parts(node, kind, old, path), _parts(node, kind, new, path)
    for step in before | after:
        was, now = before.get(step, MISSING), after.get(step, MISSING)
        if was is now or (was == now and type(was) is type(now)):
            continue  # most of an object does not change, and comparing whole values is fast
        _compare(child_of(node, step), was, now, (*path, step), found)
    if old is MISSING:
        found.added.add(path)
    elif new is MISSING:
        found.removed.add(path)


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


def _parts(node: Node, kind: Relation, value: Any, path: Path) -> dict[str, Any]:
    """The parts by name. Elements with the same keys, which only old objects may have, count together."""
    if value is MISSING or value is None:
        return {}
    if kind is Relation.MAP:
        return {field_step(name): child for name, child in value.items()}
    return dict(elements(node, value, path))
