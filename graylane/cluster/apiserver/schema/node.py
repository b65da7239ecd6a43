"""One place in an object's schema, and everything the API server needs to know about it.

Pure. In: nothing; `schemas.py` builds nodes for built-in kinds, `crd.py` for custom ones. Out: `Node`, the tree that
checking, pruning, defaulting, strategic merge and server-side apply all walk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graylane.cluster.apiserver.schema.fielderror import FieldError

Rule = Callable[[Any, str], list[FieldError]]


class _Absent:
    """The default of a field that has none; None cannot say it, because null is a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A schema position. `type` is a JSON type, "int-or-string", or "" for anything at all.

    Recursive kinds share `fields` by reference: a definition's mapping is filled after the node exists, so a node may
    be reachable from itself, but only through `fields`.
    """

    type: str = ""
    format: str = ""
    name: str = ""  # the Go struct, as decode errors name it
    definition: str = ""  # the OpenAPI component this comes from, "" when written inline
    fields: Mapping[str, Node] = field(default_factory=dict)
    extra: Node | None = None  # values of a map, under keys that `fields` does not name
    items: Node | None = None
    required: tuple[str, ...] = ()
    nullable: bool = False
    open: bool = False  # unknown fields are kept
    embedded: bool = False  # a whole object with apiVersion, kind and metadata inside another
    default: Any = ABSENT
    rules: tuple[Rule, ...] = ()
    list_type: str = "atomic"  # atomic | set | map
    list_keys: tuple[str, ...] = ()
    map_type: str = "granular"  # granular | atomic
    merge_key: str = ""
    patch_strategy: frozenset[str] = frozenset()  # of merge, replace, retainKeys

    def child(self, name: str) -> Node | None:
        """The schema of field `name`; None when the field is unknown here."""
        return self.fields.get(name) or self.extra


ANYTHING: Final = Node(open=True)
STRING: Final = Node(type="string")
