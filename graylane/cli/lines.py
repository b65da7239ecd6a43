"""Which line of a manifest a finding is about.

Pure. In: the object as YAML's parser saw it, and what is said about it. Out: a line, counted from 1. What gives the
line away is a field's path in the message, a rule's number or name, or a value that is quoted; else it is the object's
first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

_PATH = re.compile(r"\b(?:spec|metadata)(?:\.[A-Za-z_][\w/-]*|\[\w*\])+")
_RULE = re.compile(r"\brule (\S+)(?: match (\S+))?")
_SAID = tuple(
    re.compile(text)
    for text in (r"'([^']+)'", r"\[([^\]]+)\]", r"\b(?:host|name|port) ([\w.*-]+)", r"[\w./-]+=([\w.-]+)")
)
_PARTS = re.compile(r"[+:,/ ]")


def line_of(root: yaml.Node, message: str) -> int:
    for path in (*_PATH.findall(message), *_rules(root, message), *_values(root, message)):
        line = _line_at(root, path)
        if line is not None:
            return line
    return _first(root)


def _first(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _line_at(node: yaml.Node, path: str) -> int | None:
    """Of the deepest part of the path that there is; None where not even its second part is."""
    line, depth = None, 0
    while path:
        found = _step(node, path)
        if found is None:
            break
        here, node, path = found
        depth += 1
        line = here
    return line if depth > 1 else None


def _step(node: yaml.Node, path: str) -> tuple[int, yaml.Node, str] | None:
    """The line, the node and the rest of the path one level below. A key may itself have dots in it."""
    path = path.removeprefix(".")
    if isinstance(node, yaml.SequenceNode) and path.startswith("["):
        index, _, rest = path[1:].partition("]")
        number = int(index) if index.isdigit() else 0
        return (_first(node.value[number]), node.value[number], rest) if number < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    fitting = [(key, value) for key, value in node.value if _begins(path, str(key.value))]
    if not fitting:
        return None
    key, value = max(fitting, key=lambda pair: len(str(pair[0].value)))
    return _first(key), value, path[len(str(key.value)) :]


def _begins(path: str, key: str) -> bool:
    return path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[")


def _rules(root: yaml.Node, message: str) -> Iterator[str]:
    """`rule #1 match #0` and `rule again`, as paths."""
    found = _RULE.search(message)
    if found is None:
        return
    rules = "spec.http" if _line_at(root, "spec.http") is not None else "spec.rules"
    rule = _indexed(root, rules, found[1])
    yield from _indexed(root, f"{rule}.match", found[2]).splitlines() if found[2] else ()
    yield rule


def _indexed(root: yaml.Node, path: str, name: str) -> str:
    if name.startswith("#"):
        return f"{path}[{name[1:]}]"
    named = (where for where, text in _leaves(root, "") if text == name and where.startswith(f"{path}["))
    return next((where.removesuffix(".name") for where in named if where.endswith(".name")), path)


def _values(root: yaml.Node, message: str) -> Iterator[str]:
    """Where a text that the message repeats, or the last part of it that occurs, is written."""
    leaves = list(_leaves(root, ""))
    for said in (text for form in _SAID for text in form.findall(message)):
        for text in (said, *reversed(_PARTS.split(said))):
            yield from (path for path, value in leaves if value == text and path.startswith("spec."))


def _leaves(node: yaml.Node, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, f"{path}.{key.value}".removeprefix("."))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _leaves(value, f"{path}[{index}]")
    else:
        yield path, str(node.value)
