"""Fill in missing fields without touching the input: the few verbs that the tables of defaults are written with.

Pure. In: an object and what it should have. Out: the same object when it has it already, else a copy that has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graylane.model.meta import Obj

Fill = Callable[[Obj], Obj]


def put(obj: Obj, name: str, value: Any, *, over: bool = False) -> Obj:
    """`obj[name] = value` when it is missing or null; always, when `over`."""
    present = obj.get(name)
    if (present is not None and not over) or (over and present == value):
        return obj
    return {**obj, name: value}


def put_all(obj: Obj, values: Obj) -> Obj:
    missing = {name: value for name, value in values.items() if obj.get(name) is None}
    return {**obj, **missing} if missing else obj


def given(values: Obj) -> Fill:
    """A fill that puts these values wherever they are missing."""
    return lambda obj: put_all(obj, values)


def at(obj: Obj, name: str, fill: Callable[[Any], Any]) -> Obj:
    """Fill what is under `name`, if anything is there."""
    present = obj.get(name)
    if present is None:
        return obj
    filled = fill(present)
    return obj if filled is present else {**obj, name: filled}


def sub(obj: Obj, name: str, fill: Fill) -> Obj:
    """Fill the object under `name`, which comes into being if it is not there."""
    present = obj.get(name)
    filled = fill(present or {})
    return obj if filled is present else {**obj, name: filled}


def is_reachable(spec: Obj) -> bool:
    """Whether a Service can be reached from outside the cluster."""
    kind = spec.get("type")
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def each(fill: Fill) -> Callable[[list[Any]], list[Any]]:
    """A fill for every object in a list."""

    def fill_all(items: list[Any]) -> list[Any]:
        filled = [fill(item) if isinstance(item, dict) else item for item in items]
        return filled if any(a is not b for a, b in zip(filled, items, strict=True)) else items

    return fill_all
