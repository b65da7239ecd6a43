"""JSON to Lua tables and back, without losing anything on the way.

Pure. In: a JSON value and a `Tables` (the Lua state's table functions). Out: tables, and the JSON value they stand for.
Lua has one number type, one empty table and no null; what it cannot hold is remembered here and put back:

* arrays and objects are marked, so `[]` and `{}` stay what they were, also when a script empties them;
* a null in an object is hidden from the script and restored, a null in an array is `json.null` (positions must hold);
* whole floats and integers beyond 2^53 get their exact original back, found by value and, where two share
  one, by place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

_EXACT = 2**53  # beyond it a double skips integers
_DEEPEST = 200
_INT64 = 2**63

Path = tuple[str | int, ...]


class Tables(Protocol):
    """What the Lua state offers for building and reading tables."""

    null: Any

    def array(self) -> Any: ...

    def object(self) -> Any: ...

    def hide_null(self, table: Any, key: str) -> None: ...

    def hidden_nulls(self, table: Any) -> Iterable[str]: ...

    def classify(self, value: Any) -> tuple[str, Any]:
        """("array", length), ("object", None), ("empty", None), ("null", None) or ("error", why)."""
        ...

    def is_table(self, value: Any) -> bool: ...


class NotJson(ValueError):
    """A value that JSON cannot say, with the path where it stands."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{format_path(path)}: {why}")


@dataclass(slots=True)
class Codec:
    """Converts for one Lua state. `to_lua` learns, `from_lua` remembers; use one per script run."""

    tables: Tables
    _numbers: dict[float, list[tuple[Path, int | float]]] = field(default_factory=dict)
    _empty_objects: set[Path] = field(default_factory=set)
    _has_nulls: bool = False

    def to_lua(self, value: Any, path: Path = ()) -> Any:
        """The Lua value for `value`. Raises `NotJson` for what neither JSON nor a double can hold."""
        if isinstance(value, dict):
            return self._object_to_lua(value, path)
        if isinstance(value, list):
            return self._array_to_lua(value, path)
        if isinstance(value, bool | str):
            return value
        if isinstance(value, int | float):
            return self._number_to_lua(value, path)
        if value is None:
            return None
        raise NotJson(path, f"{type(value).__name__} is not JSON")

    def from_lua(self, value: Any, path: Path = ()) -> Any:
        """The JSON value for `value`; keys come out sorted. Raises `NotJson`."""
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, int | float):
            return self._number_from_lua(value, path)
        if not self.tables.is_table(value):
            raise NotJson(path, "a function or userdata cannot become JSON")
        return self._table_from_lua(value, path)

    # -- to Lua

    def _object_to_lua(self, value: dict[str, Any], path: Path) -> Any:
        table = self.tables.object()
        if not value:
            self._empty_objects.add(path)
        for key, inner in value.items():
            if inner is None:
                self.tables.hide_null(table, key)
                self._has_nulls = True
            else:
                table[key] = self.to_lua(inner, (*path, key))
        return table

    def _array_to_lua(self, value: list[Any], path: Path) -> Any:
        table = self.tables.array()
        for index, inner in enumerate(value):
            table[index + 1] = self.tables.null if inner is None else self.to_lua(inner, (*path, index))
        return table

    def _number_to_lua(self, value: int | float, path: Path) -> float:
        try:
            number = float(value)
        except OverflowError:
            raise NotJson(path, "the integer is too large for Lua") from None
        if not math.isfinite(number):
            raise NotJson(path, "NaN and infinity are not JSON")
        if abs(number) >= _EXACT or (isinstance(value, float) and number.is_integer()):
            self._numbers.setdefault(number, []).append((path, value))
        return number

    # -- from Lua

    def _table_from_lua(self, table: Any, path: Path) -> Any:
        if len(path) > _DEEPEST:
            raise NotJson(path[:3], f"nested deeper than {_DEEPEST} levels, or the table contains itself")
        kind, detail = self.tables.classify(table)
        if kind == "object":
            return self._object_from_lua(table, path)
        if kind == "array":
            return [self.from_lua(table[index + 1], (*path, index)) for index in range(int(detail or 0))]
        if kind == "null":
            return None
        if kind == "empty":
            return self._unmarked_empty(path)
        raise NotJson(path, str(detail))

    def _object_from_lua(self, table: Any, path: Path) -> dict[str, Any]:
        result = {str(key): self.from_lua(inner, (*path, str(key))) for key, inner in table.items()}
        if self._has_nulls:
            result = dict.fromkeys(self.tables.hidden_nulls(table)) | result
        return dict(sorted(result.items()))

    def _unmarked_empty(self, path: Path) -> list[Any] | dict[str, Any]:
        """A `{}` the script wrote: what stood at its place before decides, else `[]` as OpenKruise has it."""
        return {} if path in self._empty_objects else []

    def _number_from_lua(self, value: int | float, path: Path) -> int | float:
        number = float(value)
        if not math.isfinite(number):
            raise NotJson(path, "NaN and infinity are not JSON")
        candidates = self._numbers.get(number, [])
        for place, original in candidates:
            if place == path:
                return original
        if abs(number) >= _EXACT and candidates:
            return candidates[0][1]
        if number.is_integer() and abs(number) < _INT64:
            return int(number)
        return number


def format_path(path: Path) -> str:
    """`spec.http[0].route`, as Kubernetes writes field paths; `the result` for the whole."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the result"
