"""Stories as tables: what happens, and what the world then looks like.

A story's text is its own expectation. When a row differs, the whole actual table is shown in the same format, so that
updating a story is copy and paste, and a review shows a change of behaviour as a changed row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Row = tuple[str, ...]


def tell(story: str, act: Callable[[str], None], columns: dict[str, Callable[[], object]]) -> None:
    """Perform every row's first cell with `act` and compare the others with what `columns` say then."""
    head, *rows = [_cells(line) for line in story.strip().splitlines()]
    names = head[1:]
    actual: list[Row] = [tuple(head)]
    for row in rows:
        act(row[0])
        actual.append((row[0], *(str(columns[name]()) for name in names)))
    expected = [tuple(row) for row in (head, *rows)]
    assert actual == expected, f"the story now reads:\n\n{_drawn(actual)}\n"


def _cells(line: str) -> list[str]:
    what, _, seen = line.partition("‖")
    return [what.strip(), *(cell.strip() for cell in seen.split("|"))]


def _drawn(rows: Sequence[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Row, widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    return f"{padded[0]} ‖ {' | '.join(padded[1:])}".rstrip()
