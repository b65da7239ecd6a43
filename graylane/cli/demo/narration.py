"""Tells the story: what is asked, what is seen, the diffs it caused, and the table of all checks.

Shell. In: steps, checks, diffs. Out: text on stdout, progress on stderr; colour on terminals only.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from graylane.cli.demo.checks import Check
from graylane.cli.output import coloured, progress, style

_WIDTH = 80
_DIFF_STYLES = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the closing table. `checks` is empty where the story did not get that far."""

    number: int
    title: str
    checks: tuple[Check, ...]

    @property
    def held(self) -> bool:
        return bool(self.checks) and all(check.held for check in self.checks)


class Narrator:
    """Writes to the terminal, or plainly into a pipe."""

    def __init__(self) -> None:
        self._colour = coloured(sys.stdout)

    def heading(self, number: int, of: int, title: str) -> None:
        text = f"── {number}/{of}  {title} "
        self._line(f"\n{self._style(text + '─' * max(0, _WIDTH - len(text)), 'bold')}")

    def asked(self, command: str) -> None:
        self._line(self._style(f"$ {command}", "blue"))

    def progress(self, message: str) -> None:
        progress(f"  … {message}")

    def diff(self, seconds: float, lines: Iterable[str]) -> None:
        self._line(self._style(f"  after {seconds:.2f} s", "dim"))
        for line in lines:
            name = next((style_ for start, style_ in _DIFF_STYLES.items() if line.startswith(start)), "")
            self._line("    " + (self._style(line, name) if name else line))

    def seen(self, check: Check) -> None:
        mark = self._style("✓", "green") if check.held else self._style("✗", "red")
        first, *rest = _wrap(f"{check.what}: {check.seen}", _WIDTH - 4)
        self._line(f"  {mark} {first}")
        for line in rest:
            self._line(f"    {line}")

    def say(self, text: str) -> None:
        self._line(text)

    def table(self, rows: Iterable[Row]) -> None:
        """Every check with its measured value; the last column says whether it held."""
        self._line("\n" + self._style("All checks", "bold"))
        self._line(self._style(_cells("#", "what must be seen", "measured", "held"), "dim"))
        for row in rows:
            for index, check in enumerate(row.checks or (Check(row.title, False, "not reached"),)):
                self._row(str(row.number) if index == 0 else "", check)

    def _row(self, number: str, check: Check) -> None:
        what, seen = _wrap(check.what, 33), _wrap(check.seen, 35)
        for index in range(max(len(what), len(seen))):
            verdict = ("yes" if check.held else "NO") if index == 0 else ""
            text = _cells(number if index == 0 else "", _at(what, index), _at(seen, index), verdict)
            self._line(text if check.held else self._style(text, "red"))

    def _style(self, text: str, name: str) -> str:
        return style(text, name, on=self._colour)

    def _line(self, text: str) -> None:
        print(text, flush=True)


def _cells(number: str, what: str, seen: str, verdict: str) -> str:
    return f"{number:>2}  {what:<33}  {seen:<35}  {verdict}".rstrip()


def _at(lines: list[str], index: int) -> str:
    return lines[index] if index < len(lines) else ""


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
