"""Lines on a named pipe: as they come, through writers that come and go."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from graylane.errors import UserError
from graylane.mesh.ledger.pipe import Pipe
from graylane.testing.waiting import eventually


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
async def pipe(tmp_path: Path, lines: list[str]) -> Pipe:
    return Pipe(tmp_path / "envoy" / "ledger", lines.extend)


def writer(tmp_path: Path) -> int:
    return os.open(tmp_path / "envoy" / "ledger", os.O_WRONLY)


async def test_half_a_line_waits_for_its_other_half(tmp_path: Path, pipe: Pipe, lines: list[str]) -> None:
    pipe.start()
    end = writer(tmp_path)
    os.write(end, b"one\ntw")
    await eventually(lambda: lines == ["one"], 30, "the first line")
    os.write(end, b"o\n\xff\n")
    await eventually(lambda: lines == ["one", "two", "\ufffd"], 30, "all lines")
    os.close(end)
    pipe.stop()


async def test_writers_go_and_come_and_so_do_readers(tmp_path: Path, pipe: Pipe, lines: list[str]) -> None:
    pipe.start()
    os.close(writer(tmp_path))
    end = writer(tmp_path)
    pipe.stop()
    with pytest.raises(BrokenPipeError):
        os.write(end, b"told to nobody\n")
    pipe.start()
    os.write(end, b"told again\n")
    await eventually(lambda: lines == ["told again"], 30, "the line after")
    os.close(end)
    pipe.stop()


async def test_what_cannot_be_taken_does_not_end_the_reading(tmp_path: Path) -> None:
    found: list[str] = []

    def take(lines: list[str]) -> None:
        found.extend(lines)
        raise KeyError(lines[0])

    pipe = Pipe(tmp_path / "envoy" / "ledger", take)
    pipe.start()
    end = writer(tmp_path)
    await asyncio.to_thread(os.write, end, b"x" * 100_000 + b"\none\n")
    await eventually(lambda: found[-1:] == ["one"], 30, "the line after one that is too long")
    os.write(end, b"two\n")
    await eventually(lambda: found[-1:] == ["two"], 30, "the line after an error")
    os.close(end)
    pipe.stop()


def test_an_old_file_in_its_place_goes_and_a_directory_is_told(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "ledger"
    path.write_text("from another time")

    async def started() -> None:
        pipe = Pipe(path, lines.extend)
        pipe.start()
        assert path.is_fifo()
        assert path.stat().st_mode & 0o777 == 0o600
        pipe.stop()
        with pytest.raises(UserError, match="--ledger=off"):
            Pipe(tmp_path, lines.extend).start()

    asyncio.run(started())
    assert lines == []
