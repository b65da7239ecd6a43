"""Sets of fields: who owns what. Their algebra, and how they are written in `metadata.managedFields`.

Pure. In: paths such as `("f:spec", 'k:{"name":"web"}', "f:image")`, each step spelled as in `fieldsV1`. Out: sets.
A set is a plain `frozenset`, so union, difference and intersection are Python's own; only the conversions live here.

    f:NAME      a field of an object          k:{KEYS}  an element of a list, by its keys
    v:VALUE     a member of a set of values   "."       the place itself, beside what is inside it

The order of the text is the order in which structured-merge-diff writes them: itself, fields, keys, values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from graylane.model.meta import Obj

Path = tuple[str, ...]
FieldSet = frozenset[Path]
EMPTY: FieldSet = frozenset()
SELF = "."


class Trie:
    """A set arranged for walking down an object; `member` says whether this very place is in the set."""

    __slots__ = ("children", "member")

    def __init__(self) -> None:
        self.member = False
        self.children: dict[str, Trie] = {}

    @staticmethod
    def of(paths: Iterable[Path]) -> Trie:
        root = Trie()
        for path in paths:
            here = root
            for step in path:
                here = here.children.setdefault(step, Trie())
            here.member = True
        return root


def encode(paths: FieldSet) -> Obj:
    """`fieldsV1`: leaves are `{}`, and a place with something inside says `.` when it is owned itself."""
    return _encode(Trie.of(paths))


def _encode(trie: Trie) -> Obj:
    out: Obj = {SELF: {}} if trie.member and trie.children else {}
    return out | {step: _encode(trie.children[step]) for step in sorted(trie.children)}


def in_order(paths: Iterable[Path]) -> list[Path]:
    """As structured-merge-diff walks a set: what is owned at a level comes before what is further down."""
    return sorted(paths, key=lambda path: [(step is not path[-1], step) for step in path])


def decode(fields: Any) -> FieldSet:
    """The set in a `fieldsV1`; anything that is none owns nothing."""
    return frozenset(_decode(fields, ())) if isinstance(fields, dict) else EMPTY


def _decode(fields: Obj, path: Path) -> Iterator[Path]:
    for step, inner in fields.items():
        if step == SELF:
            yield path
        elif not inner:
            yield (*path, step)
        else:
            yield from _decode(inner, (*path, step))


def field(name: str) -> str:
    return f"f:{name}"


def fields(names: Iterable[str]) -> list[str]:
    return [f"f:{name}" for name in names]


def keyed(keys: Obj) -> str:
    return f"k:{orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()}"


def valued(value: Any) -> str:
    return f"v:{orjson.dumps(value).decode()}"


def under(paths: FieldSet, prefixes: Iterable[Path]) -> FieldSet:
    """The members at or below any of the prefixes."""
    starts = tuple(prefixes)
    return frozenset(path for path in paths if any(path[: len(start)] == start for start in starts))


def text(path: Path) -> str:
    """`.spec.containers[name="web"].image`, as conflicts name a field."""
    return "".join(_step_text(step) for step in path)


def _step_text(step: str) -> str:
    kind, rest = step[0], step[2:]
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys = orjson.loads(rest)
        return f"[{','.join(f'{name}={orjson.dumps(value).decode()}' for name, value in keys.items())}]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"
