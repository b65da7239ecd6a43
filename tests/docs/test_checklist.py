"""Every row of the checklist of OpenKruise's observable behaviour is claimed by a test that carries its number.

A test named `test_row_41_…`, `test_rows_3_and_4_…` or `test_rows_59_to_61_…` claims these rows; `improve` in its name
says that ours is deliberately better there. The checklist itself is kept with the project's notes on OpenKruise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
NAME = re.compile(r"def test_rows?_(\d+[a-z]?(?:_(?:and|to)_\d+[a-z]?)*)_(improve_)?")
ROWS = [*map(str, range(1, 102)), "56a", "56b", "85a", "85b", "85c", "96a"]
IMPROVE = frozenset(
    (
        *("5", "19", "22", "23", "33", "38", "42", "52", "55", "56a", "56b", "64", "67", "68", "69", "71", "75", "76"),
        *("79", "81", "82", "84", "85", "85a", "85b", "85c", "87", "92", "96a", "101"),
    )
)


def claims() -> Iterator[tuple[str, bool, str]]:
    """Row, whether the name says `improve`, file."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for rows, improves in NAME.findall(path.read_text(encoding="utf-8")):
            yield from ((row, bool(improves), path.name) for row in _rows(rows))


def _rows(text: str) -> list[str]:
    first, _, last = text.partition("_to_")
    if last:
        return [str(number) for number in range(int(first), int(last) + 1)]
    return text.split("_and_")


def test_every_row_is_claimed() -> None:
    assert [row for row in ROWS if row not in {claimed for claimed, _, _ in claims()}] == []


def test_no_row_is_claimed_that_is_not_there() -> None:
    assert {row for row, _, _ in claims()} - set(ROWS) == set()


def test_rows_that_are_better_than_openkruise_say_so() -> None:
    said = {row for row, improves, _ in claims() if improves}
    assert IMPROVE - said == set()
