"""How custom kinds are printed: the name, then what the definition's `additionalPrinterColumns` say.

Pure. In: those columns. Out: a `Printer`. A value of another type than the column's is left empty, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson

from graylane.cluster.apiserver.schema.printers import jsonpath
from graylane.cluster.apiserver.schema.printers.columns import NAME, Column, Printer, since
from graylane.model.meta import Obj, name_of

Convert = Callable[[Any, datetime], Any]

_AGE: Obj = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def custom_printer(columns: Iterable[Obj] | None) -> Printer:
    specs = list(columns or ()) or [_AGE]
    cells = [_cell(spec) for spec in specs]
    return Printer(
        columns=(NAME, *(_column(spec) for spec in specs)),
        row=lambda obj, now: [name_of(obj), *(cell(obj, now) for cell in cells)],
    )


def _column(spec: Obj) -> Column:
    return Column(
        name=spec["name"],
        type=spec["type"],
        priority=spec.get("priority") or 0,
        format=spec.get("format") or "",
        description=spec.get("description") or "",
    )


def _cell(spec: Obj) -> Callable[[Obj, datetime], Any]:
    find = jsonpath.parse(spec["jsonPath"])
    convert: Convert = _CONVERSIONS.get(spec["type"], _nothing)

    def cell(obj: Obj, now: datetime) -> Any:
        values = find(obj)
        return convert(values[0], now) if values and values[0] is not None else None

    return cell


def _string(value: Any, now: datetime) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _integer(value: Any, now: datetime) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(value: Any, now: datetime) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any, now: datetime) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return since(value, now)
    except ValueError:
        return "<invalid>"


def _nothing(value: Any, now: datetime) -> None:
    return None


_CONVERSIONS: dict[str, Convert] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}
