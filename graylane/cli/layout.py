"""How lines are laid out on a screen of some width, and how durations and rates are told in few letters.

Pure. In: cells, parts, words, numbers. Out: lines and short texts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import timedelta

WIDTH = 80


def table(rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Columns as wide as their content; when that is more than the screen, the widest gives way."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return ["  ".join(_fit(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def packed(parts: Sequence[str], width: int) -> list[str]:
    """Parts beside each other, as many as a line holds; what follows is indented."""
    found: list[str] = []
    for part in parts:
        if found and len(found[-1]) + 2 + len(part) <= width:
            found[-1] += f"  {part}"
        else:
            found += wrap(("  " if found else "") + part, "    " if found else "  ", width)
    return found


def wrap(text: str, indent: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)


def rate(per_second: float) -> str:
    """`0.07`, `4.1`, `41`, `1.2k`."""
    if per_second >= 1000:
        return f"{per_second / 1000:.1f}k"
    if per_second >= 10 or not per_second:
        return f"{per_second:.0f}"
    return f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2f}"


def duration(passed: timedelta) -> str:
    """`42s`, `3m12s`, `2h05m`, `3d4h`; what a reader needs, no more."""
    seconds = max(0, int(passed.total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02}m"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h"
