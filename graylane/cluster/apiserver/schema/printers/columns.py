"""What every printer is made of: columns, ages, and the small formats that several kinds share.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.durations import human_duration
from graylane.model.meta import Obj, dig, name_of, parse_time

Row = Callable[[Obj, datetime], list[Any]]
NONE = "<none>"
UNKNOWN = "<unknown>"


@dataclass(frozen=True, slots=True)
class Column:
    """One `TableColumnDefinition`."""

    name: str
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""

    def definition(self) -> Obj:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    columns: tuple[Column, ...]
    row: Row


NAME = Column("Name", format="name", description="Name, unique among objects of this kind in its namespace.")
AGE = Column("Age", description="Time since the object was created.")


def columns(*specs: str) -> tuple[Column, ...]:
    """`Name` and `Age` are the shared ones; `integer:Ready` has a type; a trailing `+` means wide only."""
    return tuple(_column(spec) for spec in specs)


def _column(spec: str) -> Column:
    if spec in ("Name", "Age"):
        return NAME if spec == "Name" else AGE
    kind, _, name = spec.rpartition(":")
    return Column(name.rstrip("+"), type=kind or "string", priority=1 if name.endswith("+") else 0)


def age(obj: Obj, now: datetime) -> str:
    return since(dig(obj, "metadata", "creationTimestamp"), now)


def since(stamp: str | None, now: datetime) -> str:
    """How long ago, as kubectl writes it."""
    return human_duration(now - parse_time(stamp)) if stamp else UNKNOWN


def count(value: Any) -> int:
    """The number of entries of a list or map that may be absent."""
    return len(value) if value else 0


def labels_text(labels: Obj | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Obj | None) -> str:
    """A label selector as Kubernetes writes it, by key; an empty one is `<none>`."""
    parts = [(key, f"{key}={value}") for key, value in ((selector or {}).get("matchLabels") or {}).items()]
    parts += [(entry["key"], _requirement(entry)) for entry in (selector or {}).get("matchExpressions") or ()]
    return ",".join(text for _, text in sorted(parts)) or NONE


def _requirement(entry: Obj) -> str:
    key: str = entry["key"]
    values = ",".join(sorted(entry.get("values") or ()))
    forms = {"Exists": key, "DoesNotExist": f"!{key}", "In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})"}
    return forms.get(entry.get("operator", ""), key)


def containers(template_spec: Obj | None) -> tuple[str, str]:
    """Names and images of a pod spec's containers, each joined by commas."""
    found: Sequence[Obj] = (template_spec or {}).get("containers") or ()
    return (
        ",".join(str(container.get("name", "")) for container in found),
        ",".join(str(container.get("image", "")) for container in found),
    )


def limited(items: Iterable[str], limit: int, joint: str = ",") -> str:
    """The first few of a long list: `a,b,c + 2 more...`."""
    every = list(items)
    text = joint.join(every[:limit])
    return f"{text} + {len(every) - limit} more..." if len(every) > limit else text


def name_and_age(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), age(obj, now)]
