"""Takes our additions out of an object that others may have edited meanwhile.

Pure. In: the original, what we wrote, what is there now. Out: what is there now, without ours (`unapply`); and the JSON
patch between two values (`difference`), which tells users what was added.

Lists are the difficulty: a rule of ours must be recognised wherever it stands now, also after an edit, and a rule of
the user's must never be taken for ours. So list items have an identity: the name they carry, or where they lead.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import orjson

from graylane.model.meta import dig

_ABSENT: Any = object()
_RULES = (("route", "match"), ("backendRefs", "matches"))  # where Istio's and Gateway API's rules lead, and when
_ALIKE = 0.3  # of all leaves of two items, the part they share; below it they are different things


def unapply(original: Any, written: Any, live: Any) -> Any:
    """`live` without what `written` added to or changed in `original`; everybody else's changes stay.

    A value that we changed and somebody then changed again is theirs. An item that we added is ours also after an edit.
    """
    if live == written:
        return original
    ours = additions(original, written)
    return _merge(ours.strip(written), original, ours.strip(live))


# -- what is ours


@dataclass(frozen=True, slots=True)
class Additions:
    """What we added to lists, by identity. Items without one are left to the merge, which knows them when unedited."""

    identities: frozenset[Hashable]

    def strip(self, value: Any) -> Any:
        """`value` without them, at any depth. An item all of whose, say, routes are ours is ours as a whole."""
        if isinstance(value, dict):
            return {name: self.strip(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.strip(item) for item in value if not self._owns(item)]
        return value

    def _owns(self, item: Any) -> bool:
        if not isinstance(item, dict):
            return False
        inner_lists = [inner for inner in item.values() if isinstance(inner, list) and inner]
        return identity(item) in self.identities or any(all(map(self._owns, inner)) for inner in inner_lists)


def additions(original: Any, written: Any) -> Additions:
    """The items of `written` that stand in no list of `original`, unless it has others of the same identity."""
    added, present = map(identity, added_items(original, written)), map(identity, _items(original))
    return Additions(frozenset(added) - frozenset(present) - {None})


def identity(item: Any) -> Hashable:
    """What makes an item one thing before and after an edit: its name, or where it leads; None when nothing does."""
    if not isinstance(item, dict):
        return None
    if isinstance(name := item.get("name"), str):
        return "name", name
    if isinstance(item.get("destination"), dict):
        return "destination", _text(item["destination"])
    if isinstance(routes := item.get("route"), list) and routes:
        return "route", frozenset(
            _text(route.get("destination") if isinstance(route, dict) else route) for route in routes
        )
    if isinstance(backends := item.get("backendRefs"), list) and backends:  # Gateway API
        return "backends", frozenset(_text(dig(backend, "name")) for backend in backends)
    return None


def added_items(original: Any, written: Any) -> list[Any]:
    """The items of all lists in `written` that no item of `original` became."""
    return list(_added(original, written))


def _added(original: Any, written: Any) -> Iterator[Any]:
    if isinstance(written, dict):
        fields = original if isinstance(original, dict) else {}
        for name, inner in written.items():
            yield from _added(fields.get(name), inner)
    elif isinstance(written, list):
        items = original if isinstance(original, list) else []
        pairs = {new: old for old, new in align(items, written).items()}
        for index, item in enumerate(written):
            if index in pairs:
                yield from _added(items[pairs[index]], item)
            else:
                yield item


def _items(value: Any) -> Iterator[Any]:
    """All items of all lists inside `value`."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _items(inner)
    elif isinstance(value, list):
        for item in value:
            yield item
            yield from _items(item)


# -- pairing list items


def align(left: list[Any], right: list[Any]) -> dict[int, int]:
    """Index in `left` → index in `right` of the same thing: equal items first, then the most alike."""
    texts = [_text(item) for item in left], [_text(item) for item in right]
    pairs: dict[int, int] = {}
    for block in SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks():
        pairs |= {block.a + offset: block.b + offset for offset in range(block.size)}
    taken = set(pairs.values())
    candidates = [
        (-alike, abs(i - j), i, j)
        for i, one in enumerate(left)
        for j, other in enumerate(right)
        if i not in pairs and j not in taken and (alike := _likeness(one, other)) >= _ALIKE
    ]
    for _, _, i, j in sorted(candidates):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return pairs


def _likeness(one: Any, other: Any) -> float:
    """How much two items look like one thing before and after an edit; only objects ever do, and never by two names."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return 0.0
    names = one.get("name"), other.get("name")
    if names[0] != names[1] and all(isinstance(name, str) for name in names):
        return 0.0
    left, right = set(_leaves(one)), set(_leaves(other))
    if not left or not right:
        return 0.0
    common = len(left & right)
    shared = (common / len(left | right) + common / min(len(left), len(right))) / 2
    same = identity(one) is not None and identity(one) == identity(other)
    # Two rules of one condition are one rule: a split added to it changes all its leaves but this.
    return shared + same + any(_same_rule(one, other, *fields) for fields in _RULES) / 2


def _same_rule(one: dict[str, Any], other: dict[str, Any], targets: str, condition: str) -> bool:
    return targets in one and targets in other and one.get(condition) == other.get(condition)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, f"{path}/-")
    else:
        yield path, repr(value)


# -- three-way merge


def _merge(base: Any, mine: Any, theirs: Any) -> Any:
    if theirs == base:
        return mine
    if mine in (base, theirs):
        return theirs
    if isinstance(base, dict) and isinstance(mine, dict) and isinstance(theirs, dict):
        return _merge_objects(base, mine, theirs)
    if isinstance(base, list) and isinstance(mine, list) and isinstance(theirs, list):
        return _merge_lists(base, mine, theirs)
    return theirs


def _merge_objects(base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys((*theirs, *mine))
    merged = {
        name: _merge(base.get(name, _ABSENT), mine.get(name, _ABSENT), theirs.get(name, _ABSENT)) for name in names
    }
    return {name: value for name, value in merged.items() if value is not _ABSENT}


def _merge_lists(base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any]:
    """Their order and items; what we had changed in an item is undone; an item that we had removed is back."""
    to_mine = align(base, mine)
    from_theirs = {there: here for here, there in align(base, theirs).items()}
    merged: list[tuple[int, Any]] = []  # with the item's place in `mine`, -1 for theirs alone
    for index, item in enumerate(theirs):
        here = from_theirs.get(index)
        if here is None:
            merged.append((-1, item))
        elif here in to_mine:
            place = to_mine[here]
            merged.append((place, _merge(base[here], mine[place], item)))
        elif item != base[here]:
            merged.append((-1, item))
    for place in sorted(set(range(len(mine))) - set(to_mine.values())):
        before = [at for at, (known, _) in enumerate(merged) if 0 <= known < place]
        merged.insert(before[-1] + 1 if before else 0, (place, mine[place]))
    return [item for _, item in merged]


# -- difference


def difference(old: Any, new: Any, path: str = "") -> list[dict[str, Any]]:
    """A JSON patch (RFC 6902) that makes `new` of `old`, naming whole added items rather than shifted indices."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return _object_difference(old, new, path)
    if isinstance(old, list) and isinstance(new, list):
        return _list_difference(old, new, path)
    return [{"op": "replace", "path": path, "value": new}]


def _object_difference(old: dict[str, Any], new: dict[str, Any], path: str) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = []
    for name in old:
        if name not in new:
            operations.append({"op": "remove", "path": f"{path}/{_escape(name)}"})
    for name, value in new.items():
        where = f"{path}/{_escape(name)}"
        if name in old:
            operations += difference(old[name], value, where)
        else:
            operations.append({"op": "add", "path": where, "value": value})
    return operations


def _list_difference(old: list[Any], new: list[Any], path: str) -> list[dict[str, Any]]:
    pairs = align(old, new)
    places = [pairs[index] for index in sorted(pairs)]
    if places != sorted(places):
        return [{"op": "replace", "path": path, "value": new}]
    # Backwards, so that no removal shifts the next one; then forwards, when every item before has its final place.
    removed = [index for index in reversed(range(len(old))) if index not in pairs]
    operations: list[dict[str, Any]] = [{"op": "remove", "path": f"{path}/{index}"} for index in removed]
    origin = {there: here for here, there in pairs.items()}
    for index, item in enumerate(new):
        if index in origin:
            operations += difference(old[origin[index]], item, f"{path}/{index}")
        else:
            operations.append({"op": "add", "path": f"{path}/{index}", "value": item})
    return operations


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
