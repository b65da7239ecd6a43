"""The few verbs that validation rules are written with.

Pure. In: an object, a field, its path. Out: field errors, lazily.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from graylane.cluster.apiserver.schema.fielderror import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.model.meta import Obj, dig
from graylane.model.selectors import LabelSelector

Errors = Iterator[FieldError]
Rule = Callable[[Any, str], Errors]
Sentences = Callable[[Any], Iterable[str]]


def spelled(value: Any, path: str, syntax_of: Sentences) -> list[FieldError]:
    """`value` has this syntax."""
    sentences = syntax_of(value)
    return [invalid(path, value, sentence) for sentence in sentences] if sentences else []


def needed(obj: Obj, name: str, path: str, syntax_of: Sentences | None = None) -> Errors:
    """A field that must be there, and not empty, and spelled so."""
    value = obj.get(name)
    if value in (None, "", [], {}):
        yield required(join(path, name))
    elif syntax_of:
        yield from spelled(value, join(path, name), syntax_of)


def given(obj: Obj, name: str, path: str, syntax_of: Sentences) -> Errors:
    """A field that, if present, is spelled so."""
    if obj.get(name) is not None:
        yield from spelled(obj[name], join(path, name), syntax_of)


def one_of(obj: Obj, name: str, path: str, choices: tuple[str, ...]) -> Errors:
    """A field that must be one of a few words."""
    value = obj.get(name)
    if value in (None, ""):
        yield required(join(path, name))
    elif value not in choices:
        yield not_supported(join(path, name), value, choices)


def every(obj: Obj, name: str, path: str, rule: Rule) -> Errors:
    """A rule for each item of a list."""
    for index, item in enumerate(obj.get(name) or ()):
        yield from rule(item, f"{join(path, name)}[{index}]")


def join(path: str, name: str) -> str:
    """`path` is empty at the root."""
    return f"{path}.{name}" if path else name


def unique(obj: Obj, name: str, path: str, key: str) -> Errors:
    """No two items of a list share this key; absent keys do not count."""
    seen: set[Any] = set()
    for index, item in enumerate(obj.get(name) or ()):
        value = item.get(key)
        if value in seen:
            yield duplicate(f"{join(path, name)}[{index}].{key}", value)
        if value:
            seen.add(value)


def unchanged(new: Obj, old: Obj | None, *steps: str) -> Errors:
    """A field that keeps its first value for ever."""
    if old is not None and dig(new, *steps) != dig(old, *steps):
        yield invalid(".".join(steps), dig(new, *steps), "field is immutable")


def labels(found: Obj | None, path: str) -> Errors:
    for key, value in (found or {}).items():
        yield from spelled(key, path, syntax.label_key)
        yield from spelled(value, path, syntax.label_value)


def selector(found: Obj, path: str) -> Errors:
    """A label selector's keys, values and operators."""
    yield from labels(found.get("matchLabels"), f"{path}.matchLabels")
    yield from every(found, "matchExpressions", path, _requirement)


def _requirement(requirement: Obj, path: str) -> Errors:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{path}.values", detail)
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from spelled(requirement.get("key") or "", f"{path}.key", syntax.label_key)
    for index, value in enumerate(values):
        yield from spelled(value, f"{path}.values[{index}]", syntax.label_value)


def matches(found: Obj, template_labels: Obj | None) -> bool:
    return LabelSelector.of(found).matches(template_labels or {})
