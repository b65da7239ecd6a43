"""Reads container logs the way `kubectl logs` asks for them.

Shell. In: a log file, `LogOptions`, and whether its container still runs. Out: chunks of text, following the file while
more may come. Understands the lines `logfiles` writes, or any container runtime.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from graylane.errors import BadRequest
from graylane.model.meta import parse_time

_PIECE = 64 * 1024
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`v1.PodLogOptions`, as far as it says which lines to show."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], now: datetime) -> LogOptions:
        """From a request's query. Raises `BadRequest` naming the parameter."""
        if "sinceSeconds" in query and "sinceTime" in query:
            raise BadRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
        seconds = _number(query, "sinceSeconds", least=1)
        return cls(
            follow=_flag(query, "follow"),
            previous=_flag(query, "previous"),
            timestamps=_flag(query, "timestamps"),
            tail_lines=_number(query, "tailLines", least=0),
            since=_instant(query, "sinceTime") if seconds is None else now - timedelta(seconds=seconds),
            limit_bytes=_number(query, "limitBytes", least=1),
        )


async def read_log(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """What `path` holds, as `options` want it; with `follow`, until `running` says no and all is read."""
    left = options.limit_bytes
    async for lines in _batches(path, options, running):
        text = b"".join(_shown(lines, options))
        if left is not None:
            text = text[:left]
            left -= len(text)
        if text:
            yield text
        if left == 0:
            return


def last_words(path: Path, lines: int, size: int) -> str:
    """The end of a log: at most so many lines, of these at most so many bytes."""
    with path.open("rb") as file:
        file.seek(_start_of_tail(file, lines))
        text = b"".join(_shown(file.read().splitlines(), LogOptions()))
    return text[-size:].decode(errors="replace")


async def _batches(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[list[bytes]]:
    with path.open("rb") as first:
        file: BinaryIO = first
        if options.tail_lines is not None:
            file.seek(_start_of_tail(file, options.tail_lines))
        rest = b""
        while True:
            # Both are asked before reading: nothing is added to a file after it was rotated away or its writer ended.
            rotated, ended = _rotated(path, file), not running()
            while data := file.read(_PIECE):
                *lines, rest = (rest + data).split(b"\n")
                yield lines
            if rotated:
                file.close()
                file = path.open("rb")
            elif ended or not options.follow:
                return
            else:
                await asyncio.sleep(_LOOK_EVERY)


def _rotated(path: Path, file: BinaryIO) -> bool:
    """Whether `path` is another file by now; an absent one (the pod is gone) is not."""
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _start_of_tail(file: BinaryIO, count: int) -> int:
    """The offset of the last `count` lines, found from the end."""
    position = file.seek(0, 2)
    if count == 0:
        return position
    wanted = count + 1  # the newline before the first wanted line, too: the file's last byte is one
    while position > 0:
        size = min(_PIECE, position)
        position -= size
        file.seek(position)
        piece = file.read(size)
        found = piece.count(b"\n")
        if found >= wanted:
            for _ in range(found - wanted + 1):
                cut = piece.index(b"\n") + 1
                position, piece = position + cut, piece[cut:]
            return position
        wanted -= found
    return 0


def _shown(lines: Iterable[bytes], options: LogOptions) -> Iterator[bytes]:
    """Each stored line as the user sees it; P marks a line that goes on in the next one."""
    for line in lines:
        stamp, _, rest = line.partition(b" ")
        _, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if options.since is not None and parse_time(stamp.decode()[:26] + "Z") < options.since:
            continue
        end = b"" if tag == b"P" else b"\n"
        yield (stamp + b" " + text if options.timestamps else text) + end


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")


def _number(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = query.get(name)
    if text is None or text == "":
        return None
    if not text.lstrip("-").isdigit() or int(text) < least:
        raise BadRequest(f"{name}: {text!r} must be a whole number, at least {least}")
    return int(text)


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    try:
        return parse_time(text) if text else None
    except ValueError:
        raise BadRequest(f"{name}: {text!r} is not an RFC 3339 time") from None
