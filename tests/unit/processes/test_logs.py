"""Container logs: written as Kubernetes lays them out, read as `kubectl logs` asks."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graylane.cluster.processes import logfiles
from graylane.cluster.processes.logfiles import LogWriter
from graylane.cluster.processes.logreading import LogOptions, last_words, read_log
from graylane.errors import BadRequest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def shown(path: Path, *, running: bool = False, **query: str) -> str:
    chunks = [chunk async for chunk in read_log(path, LogOptions.of(query, NOW), lambda: running)]
    return b"".join(chunks).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "pod" / "main" / "0.log"


def written(log: Path, *pieces: str) -> None:
    writer = LogWriter(log)
    for piece in pieces:
        writer.write("stdout", piece.encode())
    writer.close()


async def test_lines_come_back_as_they_were(log: Path) -> None:
    written(log, "one\ntw", "o\n", "unfinished")
    assert await shown(log) == "one\ntwo\nunfinished\n"


def test_lines_are_stamped_as_a_container_runtime_stamps_them(log: Path) -> None:
    written(log, "one\ntwo\n")
    for line in log.read_text().splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F \w+", line)


async def test_very_long_lines_are_stored_in_parts_and_shown_whole(log: Path) -> None:
    text = "x" * 50_000
    written(log, text, text + "\nend\n")
    assert await shown(log) == f"{text}{text}\nend\n"


async def test_last_words_are_the_end_of_what_was_said_so_far(log: Path) -> None:
    writer = LogWriter(log)
    writer.write("stdout", b"one\ntwo\nunfin")
    writer.flush()
    assert last_words(log, 2, 100) == "two\nunfin"
    assert last_words(log, 80, 5) == "unfin"
    writer.write("stdout", b"ished\n")
    writer.close()
    assert await shown(log) == "one\ntwo\nunfinished\n"


@pytest.mark.parametrize(("count", "expected"), [(0, ""), (1, "999\n"), (2, "998\n999\n"), (5000, None)])
async def test_the_tail_is_found_from_the_end(log: Path, count: int, expected: str | None) -> None:
    everything = "".join(f"{number}\n" for number in range(1000))
    written(log, everything)
    assert await shown(log, tailLines=str(count)) == (everything if expected is None else expected)


async def test_a_tail_may_start_far_back(log: Path) -> None:
    written(log, *(f"{number:0100}\n" for number in range(5000)))
    assert (await shown(log, tailLines="4000")).splitlines()[0] == f"{1000:0100}"


@pytest.fixture
def two_lines(log: Path) -> Path:
    log.parent.mkdir(parents=True)
    log.write_text("2025-12-31T23:59:00.000000001Z stdout F old\n2025-12-31T23:59:59.500000000Z stderr F new\n")
    return log


async def test_since_timestamps_and_limit(two_lines: Path) -> None:
    log = two_lines
    assert await shown(log, sinceSeconds="10") == "new\n"
    assert await shown(log, sinceTime="2025-12-31T23:59:30Z") == "new\n"
    assert await shown(log, timestamps="true", tailLines="1") == "2025-12-31T23:59:59.500000000Z new\n"
    assert await shown(log, limitBytes="5") == "old\nn"


@pytest.mark.parametrize(
    "query", [{"tailLines": "-1"}, {"tailLines": "x"}, {"sinceTime": "today"}, {"sinceTime": "", "sinceSeconds": "1"}]
)
def test_a_bad_option_is_refused_by_name(query: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=next(iter(query))):
        LogOptions.of(query, NOW)


async def test_following_shows_new_lines_over_a_rotation_and_ends_with_the_container(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfiles, "_ROTATE_AT", 200)
    writer, alive, seen = LogWriter(log), True, b""

    async def follow() -> None:
        nonlocal seen
        async for chunk in read_log(log, LogOptions.of({"follow": "true"}, NOW), lambda: alive):
            seen += chunk

    task = asyncio.create_task(follow())
    for number in range(40):
        writer.write("stdout", f"{number}\n".encode())
        if number % 4 == 0:
            await asyncio.sleep(0.12)  # slower than the reader looks, so that no rotation goes unseen
    alive = False
    writer.close()
    await asyncio.wait_for(task, 30)
    assert seen.decode().split() == [str(number) for number in range(40)]
    assert len(list(log.parent.iterdir())) <= 5


def test_only_this_instance_and_the_one_before_are_kept(tmp_path: Path) -> None:
    pod = logfiles.pod_directory(tmp_path, "default", "web", "u1")
    for restart in range(4):
        written(logfiles.instance_file(pod, "main", restart), "x\n")
    logfiles.forget_older(pod, "main", 3)
    assert [path.name for path in logfiles.instances(pod, "main")] == ["2.log", "3.log"]
    logfiles.forget_pod(pod)
    assert not pod.exists()
