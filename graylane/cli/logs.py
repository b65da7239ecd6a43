"""Where log lines go: everything into the data directory, warnings as single lines to the terminal as well.

Shell. In: a file, whether somebody watches. Out: logging is set up. A line is its sentence and the key–values it came
with; traces go into the file only, unless --debug was given.
"""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

DEBUG = "GRAYLANE_DEBUG"
_MEGABYTE = 2**20
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def debugging() -> bool:
    return bool(os.environ.get(DEBUG))


def set_up(log: Path, *, terminal: bool) -> None:
    """Ten megabytes and one older file of the same size are kept."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = RotatingFileHandler(log, maxBytes=10 * _MEGABYTE, backupCount=1)
    file.setFormatter(Sentence("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [file]
    if terminal:
        screen = logging.StreamHandler()
        screen.setLevel(logging.DEBUG if debugging() else logging.WARNING)
        screen.setFormatter(Sentence("graylane: %(message)s") if debugging() else OneLine("graylane: %(message)s"))
        handlers.append(screen)
    logging.basicConfig(level=logging.DEBUG if debugging() else logging.INFO, handlers=handlers, force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class Sentence(logging.Formatter):
    """The sentence, then the values that were given with it as `extra`."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in extra.items())


class OneLine(Sentence):
    """For people at a terminal: the error instead of its trace."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        line = self.formatMessage(record) + (f": {type(error).__name__}: {error}" if error else "")
        return " ".join(line.split())
