"""Which field of an object Envoy complains about, and what it says, without what only Envoy's authors want to know.

Pure. In: the complaint about a resource, the object that asked for it. Out: a field's path, "" where it cannot be told,
and one line. Envoy knows nothing of objects; what gives a field away is that its value, or its name, is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from graylane.model.meta import Obj

_HEAD = re.compile(r"Error adding/updating (?:listener|cluster)\(s\) ")
_NAME = re.compile(r"(?:^|\n)[^\s:]+_\d+(?:@[^\s:]+)?: |(?:^|, )outbound\|[^\s:]+: ")
_CONSTRAINT = re.compile(r"Proto constraint validation failed \((.*?)\)\s*(?:\n|$)", re.DOTALL)
# Begins a message shown in full, in one of several ways, by chance. Of a large one the end, which says why, is cut off.
_DUMP = re.compile(r"goo\.gle/debug\w*\s*")
_CUT_OFF = "a value is not allowed"
_FIELD = re.compile(r"(?:^|\.)(\w+)(?:\[\d+\])?: ")
_LUA = re.compile(r'\[string "(?P<start>.+?)(?:\.\.\.)?"\]:(?P<line>\d+): ')
_SCRIPT = re.compile(r"(?P<patch>spec\.configPatches\[\d+\]):(?P<line>\d+): ")
_CODE = ("inlineCode", "inline_code", "inlineString", "inline_string")
_SHORTEST = 3


def complaint(why: str, name: str = "") -> str:
    """Envoy names every listener and cluster that has a fault: what it says of `name`, or of the first."""
    own = re.search(rf"(?:^|[\s,]){re.escape(name)}: ", why) if name else None
    text = _NAME.split(why[own.end() :] if own else _HEAD.sub("", why, count=1))
    first = next((part for part in text if part.strip()), why)
    found = _CONSTRAINT.search(first)
    if found is None and _DUMP.match(first):
        return _CUT_OFF
    said = found[1].rpartition(" | caused by ")[2] if found else first
    return " ".join(_DUMP.sub("", said).split())


def field_of(obj: Obj, said: str) -> str:
    """`spec.http[0].match[0].headers.user.regex` for what `complaint` gave."""
    leaves = list(_leaves(obj.get("spec"), "spec"))
    return (
        _of_script(leaves, said)
        or _of_lua(leaves, said)
        or _quoted(leaves, said)
        or _of_regex(leaves, said)
        or _named(leaves, said)
    )


Leaves = list[tuple[str, Any]]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _leaves(below, f"{path}[{index}]")
    else:
        yield path, value


def _of_lua(leaves: Leaves, said: str) -> str:
    found = _LUA.search(said)
    paths = [path for path, value in leaves if found and str(value).startswith(found["start"])]
    return f"{paths[0]} line {found['line']}" if found and len(paths) == 1 else ""


def _of_script(leaves: Leaves, said: str) -> str:
    """A script that is watched runs by the name of its patch."""
    found = _SCRIPT.search(said)
    if found is None:
        return ""
    within = (path for path, _ in leaves if path.startswith(f"{found['patch']}."))
    paths = [path for path in within if path.rpartition(".")[2] in _CODE]
    return f"{paths[0] if len(paths) == 1 else found['patch']} line {found['line']}"


def _quoted(leaves: Leaves, said: str) -> str:
    """The longest value that is repeated in the complaint, in quotes or at its end."""
    texts = [(path, str(value)) for path, value in leaves if isinstance(value, str)]
    fitting = [(path, text) for path, text in texts if len(text) >= _SHORTEST and _repeats(said, text)]
    return max(fitting, key=lambda each: len(each[1]))[0] if fitting else ""


def _repeats(said: str, text: str) -> bool:
    return f"'{text}'" in said or said.endswith(f": {text}")


def _of_regex(leaves: Leaves, said: str) -> str:
    """RE2 quotes only the part of an expression that it does not know."""
    part = said.rpartition(": ")[2]
    regexes = [path for path, value in leaves if path.endswith(".regex") and part and part in str(value)]
    return regexes[0] if len(regexes) == 1 else ""


def _named(leaves: Leaves, said: str) -> str:
    """A message of the schema's check begins with the field's own name."""
    found = _FIELD.search(said)
    wanted = _plain(found[1]) if found else ""
    paths = [path for path, _ in leaves if wanted and _plain(path.rpartition(".")[2].partition("[")[0]) == wanted]
    return paths[0] if len(paths) == 1 else ""


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
