"""The JSONPath of printer columns: fields, indexes, `[*]` and filters such as `[?(@.type=="Ready")]`.

Pure. In: a path such as `.status.conditions[?(@.type=="Ready")].status`. Out: a function from an object to the values
found, possibly none. Anything else of JSONPath is refused with the path and the part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from graylane.errors import UserError

Step = Callable[[Any], Iterable[Any]]

_STEP = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]\\*])+) | \['(?P<quoted>[^']*)'\] | \["(?P<double>[^"]*)"\]
      | \[(?P<index>-?\d+)\] | (?P<all>\[\*\]|\.\*) | \[\?\((?P<filter>.*?)\)\]""",
    re.VERBOSE,
)
_FILTER = re.compile(
    r"""\s*@(?P<path>(?:\.|\[).+?)\s*(?:(?P<op>==|!=|>=|<=|>|<)\s*(?P<value>"[^"]*"|'[^']*'|-?[\d.]+|true|false))?\s*"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


@lru_cache(maxsize=1024)
def parse(path: str) -> Callable[[Any], list[Any]]:
    """Values at `path`, in order. Absent fields give no value."""
    steps = tuple(_steps(path))

    def find(obj: Any) -> list[Any]:
        values = [obj]
        for step in steps:
            values = [found for value in values for found in step(value)]
        return values

    return find


def _steps(path: str) -> Iterator[Step]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    here = 0
    while here < len(text):
        match = _STEP.match(text, here)
        if match is None:
            raise UserError(f"JSONPath {path!r}: {text[here:]!r} is none of .field, [n], [*] and [?(@.x==y)]")
        yield _step(match)
        here = match.end()


def _step(match: re.Match[str]) -> Step:
    if match["filter"] is not None:
        return _filter(match["filter"])
    if match["all"]:
        return lambda value: value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if match["index"] is not None:
        return _index(int(match["index"]))
    name = match["field"] or match["quoted"] or match["double"] or ""
    return _field(re.sub(r"\\(.)", r"\1", name))


def _field(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _index(index: int) -> Step:
    def step(value: Any) -> Iterable[Any]:
        return (value[index],) if isinstance(value, list) and -len(value) <= index < len(value) else ()

    return step


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise UserError(f"JSONPath filter {text!r}: only @.field, and comparisons of it with a literal, are known")
    find = parse(match["path"])
    operator, literal = match["op"], match["value"]

    def holds(item: Any) -> bool:
        values = find(item)
        return any(_compare(operator, value, literal) for value in values) if operator else bool(values)

    return lambda value: [item for item in value if holds(item)] if isinstance(value, list) else ()


def _compare(operator: str, value: Any, literal: str) -> bool:
    try:
        return _COMPARE[operator](value, _literal(literal))
    except TypeError:
        return operator == "!="  # values of different types are never equal and never ordered


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    return float(text) if "." in text else int(text)
