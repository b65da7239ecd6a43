"""Texts that tell conditions apart: for each combination of conditions that can hold together, one that has it.

Pure. In: the conditions that occur on one header, query parameter, method or path. Out: candidate texts, simplest
first. Exact and prefix conditions are covered completely; of a regular expression a few texts it matches stand for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from graylane.chain.match import How, Text
from graylane.errors import UserError
from graylane.model import re2

OTHER = "other"
_MANY = 3


def candidates(texts: Sequence[Text], *, path: bool = False) -> Iterator[str]:
    """Texts worth trying; which of them differ is seen by asking the conditions."""
    yield "/" if path else OTHER
    regexes = [sample for text in texts if text.how is How.REGEX for sample in matching(text.value)]
    plain = [text.value for text in texts if text.how in (How.EXACT, How.PREFIX)]
    for value in plain:
        yield from _around(value, path=path)
    for sample in regexes:
        yield sample
        yield sample + "x"
    for text in texts:
        if text.how is How.PREFIX:
            yield from (text.value + sample for sample in (*regexes, *plain))
    if path:
        yield f"/{OTHER}"


def _around(value: str, *, path: bool) -> Iterator[str]:
    yield value
    if path:
        yield value.rstrip("/") + f"/{OTHER}"
    yield value + "x"
    yield value[:-1]
    yield value.swapcase()


def matching(pattern: str) -> list[str]:
    """A few texts that the whole of `pattern` matches; none where Python could not match it."""
    try:
        tree, whole = _parser.parse(re2.translate(pattern)), re2.compile_pattern(pattern)
    except UserError:
        return []
    found = (_written(tree, choice) for choice in range(_MANY))
    return [text for text in dict.fromkeys(found) if whole.fullmatch(text)]


def _written(tree: Any, choice: int) -> str:
    return "".join(_step(str(name), value, choice) for name, value in tree)


def _step(name: str, value: Any, choice: int) -> str:
    """One element of a parsed expression; `choice` takes the first, second … alternative where there are several."""
    if name == "LITERAL":
        return chr(value)
    if name == "ANY":
        return "x"
    if name == "NOT_LITERAL":
        return "x" if chr(value) != "x" else "y"
    if name == "IN":
        return _one_of(value, choice)
    if name == "BRANCH":
        return _written(value[1][choice % len(value[1])], choice)
    if name == "SUBPATTERN":
        return _written(value[-1], choice)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, body = value
        return _written(body, choice) * min(int(most), max(int(least), 1 if choice else int(least)))
    return ""  # anchors take no text


_CLASSES = {"CATEGORY_DIGIT": "7", "CATEGORY_WORD": "w", "CATEGORY_SPACE": " "}


def _one_of(members: Any, choice: int) -> str:
    if str(members[0][0]) == "NEGATE":
        taken = re.compile("|".join(re.escape(_member(name, value)) for name, value in members[1:]) or r"(?!)")
        return next((text for text in "x7-/_ " if not taken.fullmatch(text)), "~")
    name, value = members[choice % len(members)]
    return _member(name, value)


def _member(name: Any, value: Any) -> str:
    if str(name) == "RANGE":
        return chr(value[0])
    if str(name) == "CATEGORY":
        return _CLASSES.get(str(value), "-")
    return chr(value)
