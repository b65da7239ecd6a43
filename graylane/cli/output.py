"""Where words go: results on stdout, progress on stderr; colour only on a terminal.

Shell. In: lines and values. Out: text. `NO_COLOR` and pipes switch colour off; the words are the same either way.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from graylane.cli.options import Format, Shape
from graylane.model.meta import Obj, name_of

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_WORDS = {  # words of the status view that carry a judgement
    "confirmed": "green",
    "Healthy": "green",
    "succeeded": "green",
    "canary": "cyan",
    "asked": "yellow",
    "StepPaused": "yellow",
    "503": "red",
    "404": "red",
    "next:": "bold",
    "release": "bold",
    "waiting": "yellow",
    "live": "green",
    "errors": "red",
    "leaks": "bold",
    "▲": "yellow",
    "!": "red",
}


def coloured(stream: TextIO) -> bool:
    """Whether `stream` is a terminal whose user did not ask for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, name: str, *, on: bool) -> str:
    return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if on and text else text


def highlight(line: str, *, on: bool) -> str:
    """A line of the status view with its judging words coloured."""
    if not on:
        return line
    return " ".join(style(word, _WORDS[word], on=True) if word in _WORDS else word for word in line.split(" "))


def progress(message: str) -> None:
    """One step of something that takes a while, on stderr."""
    print(style(message, "dim", on=coloured(sys.stderr)), file=sys.stderr, flush=True)


def emit(lines: Iterable[str]) -> None:
    on = coloured(sys.stdout)
    print("\n".join(highlight(line, on=on) for line in lines), flush=True)


def dump(value: Any, form: Format) -> str:
    """JSON or YAML of a plain value, in the order it was built."""
    if form is Format.JSON:
        return json.dumps(value, indent=2, ensure_ascii=False)
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()


class Objects:
    """Objects that were changed, printed one after the other as kubectl does: JSON as it is, YAML parted by `---`."""

    def __init__(self, shape: Shape, kind: str) -> None:
        self._shape = shape
        self._kind = kind  # as kubectl names it: `deployment.apps`
        self._several = False

    def show(self, obj: Obj, says: str) -> None:
        """`says` is the line for people."""
        if self._shape is Shape.YAML and self._several:
            print("---")
        self._several = True
        print(self._text(obj, says), flush=True)

    def _text(self, obj: Obj, says: str) -> str:
        if self._shape is Shape.TEXT:
            return says
        if self._shape is Shape.NAME:
            return f"{self._kind}/{name_of(obj)}"
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        return dump({**obj, "metadata": metadata}, Format(self._shape))


def dump_line(value: Any) -> str:
    """JSON on one line, for streams."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
