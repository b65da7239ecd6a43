"""Tells at the end of a run how much the proofs went through: figures that tests `record_property` as `proof: NAME`."""

from __future__ import annotations

from collections import Counter
from typing import Any

_MARK = "proof: "


def pytest_terminal_summary(terminalreporter: Any) -> None:
    figures: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name.startswith(_MARK):
                figures[name.removeprefix(_MARK)] += value
    for name, total in sorted(figures.items()):
        terminalreporter.write_line(f"proof: {total:,} {name}")
