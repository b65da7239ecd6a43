"""The holder: what it holds outlives whoever started it, and is taken over with its end, its notes and its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from graylane.cluster.processes import holding, sessions, wire
from graylane.cluster.processes.child import Exit, Launch
from graylane.cluster.processes.holding import Keeping, Process
from graylane.cluster.processes.table import ProcessTable
from graylane.errors import UserError
from graylane.testing.waiting import eventually

ENV = {"PATH": os.environ["PATH"]}

# Holds one process for each script, says its own, the holder's and their pids, and waits to be killed.
PARENT = """
    import asyncio, os, sys
    from pathlib import Path
    from graylane.cluster.processes.child import Launch
    from graylane.cluster.processes.holding import Keeping
    from graylane.cluster.processes.table import ProcessTable

    async def main(directory, patience, *scripts):
        table = ProcessTable(Path(directory), patience=float(patience))
        found, _ = table.open()
        held = []
        for number, script in enumerate(scripts):
            launch = Launch(("sh", "-c", script), {"PATH": os.environ["PATH"]}, Path("/"))
            keeping = Keeping(f"c{number}", Path(directory) / "logs" / f"c{number}.log", {"n": number})
            held.append(table.hold(launch, "u", keeping))
        print(table._link.pid, *(each.pid for each in [*found, *held]), flush=True)
        await asyncio.sleep(600)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    for process in PARENTS:
        kill(process)
    PARENTS.clear()
    for directory in tmp_path.glob(f"**/{wire.SOCKET}"):
        holding.end(directory.parent)


PARENTS: list[subprocess.Popen[str]] = []


def parent(directory: Path, *scripts: str, patience: float = 60) -> tuple[subprocess.Popen[str], list[int]]:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(directory), str(patience), *scripts]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    PARENTS.append(process)
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


def shell(script: str) -> Launch:
    return Launch(("sh", "-c", script), ENV, Path("/"))


async def gone(pid: int) -> None:
    """Waits for it; a zombie whom nobody has buried yet has ended."""
    await eventually(lambda: sessions.stat(pid) is None, 30, f"process {pid} is gone")


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def texts(log: Path) -> list[str]:
    return [line.split(" ", 3)[3] for line in log.read_text().splitlines()]


@contextlib.asynccontextmanager
async def taken_over(directory: Path, setting: str = "") -> AsyncIterator[tuple[ProcessTable, list[Process]]]:
    table = ProcessTable(directory, setting)
    try:
        yield table, table.open()[0]
    finally:
        table.close()


COUNTING = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"


async def test_what_is_held_goes_on_and_its_log_has_no_gap(tmp_path: Path) -> None:
    process, (holder, counting) = parent(tmp_path, COUNTING)
    log = tmp_path / "logs" / "c0.log"
    await eventually(lambda: log.exists() and len(texts(log)) > 5)
    kill(process)
    seen = len(texts(log))
    await eventually(lambda: len(texts(log)) > seen + 20)
    async with taken_over(tmp_path) as (_, (held,)):
        assert (held.id, held.pid, held.notes) == ("c0", counting, {"n": 0})
        seen = len(texts(log))
        await eventually(lambda: len(texts(log)) > seen + 5)
        assert await held.stop(5) == Exit(143, 15)
    await gone(holder)
    numbers = texts(log)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


async def test_how_it_ended_meanwhile_is_known(tmp_path: Path) -> None:
    go = tmp_path / "go"
    process, (_, waiting, clean) = parent(tmp_path, f"until [ -e {go} ]; do sleep 0.01; done; exit 7", "exit 0")
    kill(process)
    go.touch()
    await gone(waiting)
    await gone(clean)
    await eventually(lambda: all(each["gone"] for each in looked(tmp_path)))
    async with taken_over(tmp_path) as (_, held):
        assert [each.exited.result() for each in held] == [Exit(7), Exit(0)]
        assert all(each.gone.done() and each.ended_at > 1e9 for each in held)
        held[0].forget()
        assert [each["id"] for each in await asyncio.to_thread(looked, tmp_path)] == ["c1"]


def looked(directory: Path) -> list[wire.Message]:
    found = holding.look(directory)
    assert found is not None
    return list(found["held"])


async def test_killed_in_the_middle_of_taking_over_and_again_it_is_still_held(tmp_path: Path) -> None:
    process, (holder, held) = parent(tmp_path, "exec sleep 600")
    for _ in range(3):
        kill(process)
        process, found = parent(tmp_path)
        assert found == [holder, held]
    kill(process)
    async with taken_over(tmp_path):
        pass
    await gone(held)
    await gone(holder)


async def test_without_anybody_who_claims_it_all_ends(tmp_path: Path) -> None:
    process, (holder, held) = parent(tmp_path, "sleep 600 & wait", patience=0.3)
    kill(process)
    await gone(held)
    await gone(holder)
    assert not (tmp_path / wire.SOCKET).exists()


async def test_where_the_directory_was_deleted_nobody_is_waited_for(tmp_path: Path) -> None:
    process, (holder, held) = parent(tmp_path / "data", "exec sleep 600")
    kill(process)
    shutil.rmtree(tmp_path / "data")
    await gone(held)
    await gone(holder)


async def test_what_only_served_a_client_ends_with_us(tmp_path: Path) -> None:
    also = "found.append(table.start(Launch(('sleep', '600'), os.environ, Path('/')), 'u', print))"
    script = PARENT.replace("print(table", f"{also}; print(table")
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), "60", "exec sleep 600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    PARENTS.append(process)
    assert process.stdout is not None
    holder, exec_session, held = map(int, process.stdout.readline().split())
    kill(process)
    await gone(exec_session)
    os.kill(held, 0)
    assert await asyncio.to_thread(holding.end, tmp_path) == 1
    await gone(held)
    await gone(holder)


async def test_a_holder_that_is_killed_ends_what_it_held_and_is_replaced(tmp_path: Path) -> None:
    async with taken_over(tmp_path) as (table, _):
        held = hold(table, tmp_path, "a", "sleep 600 & echo $!; wait")
        log = tmp_path / "a.log"
        await eventually(lambda: log.exists() and texts(log))
        (grandchild,) = map(int, texts(log))
        assert table._link is not None
        os.kill(table._link.pid, signal.SIGKILL)
        assert await asyncio.wait_for(held.exited, 30) == Exit(137, 9)
        await gone(held.pid)
        await gone(grandchild)
        again = hold(table, tmp_path, "b", "exit 4")
        assert await asyncio.wait_for(again.exited, 30) == Exit(4)


async def test_when_both_are_killed_the_next_start_sweeps(tmp_path: Path) -> None:
    process, (holder, held) = parent(tmp_path, "sleep 600 & wait")
    os.kill(holder, signal.SIGSTOP)
    kill(process)
    os.kill(holder, signal.SIGKILL)
    os.kill(held, 0)
    async with taken_over(tmp_path) as (_, found):
        assert found == []
        await gone(held)


async def test_when_both_are_killed_down_ends_what_goes_on_and_clears_up(tmp_path: Path) -> None:
    process, (holder, held) = parent(tmp_path, "sleep 600 & wait")
    os.kill(holder, signal.SIGSTOP)
    kill(process)
    os.kill(holder, signal.SIGKILL)
    os.kill(held, 0)
    await gone(holder)
    holding.leave_word(tmp_path, ["touch", str(tmp_path / "cleared")])
    assert await asyncio.to_thread(holding.end, tmp_path) == 1
    await gone(held)
    (tmp_path / "cleared").unlink()
    assert await asyncio.to_thread(holding.end, tmp_path) == 0
    assert not (tmp_path / "cleared").exists()


async def test_orphans_of_one_holder_are_ended_and_what_another_holds_is_not(tmp_path: Path) -> None:
    killed, (holder, orphan) = parent(tmp_path / "processes" / "a", "exec sleep 600")
    other, (_, held) = parent(tmp_path / "processes" / "b", "exec sleep 600")
    os.kill(holder, signal.SIGSTOP)
    kill(killed)
    kill(other)
    os.kill(holder, signal.SIGKILL)
    await gone(holder)
    await asyncio.to_thread(holding.end_orphans, tmp_path)
    await gone(orphan)
    os.kill(held, 0)


async def test_who_left_the_group_and_writes_on_does_not_keep_the_holder_busy(tmp_path: Path) -> None:
    async with taken_over(tmp_path) as (table, _):
        held = hold(table, tmp_path, "a", "setsid yes & sleep 0.5")
        assert await asyncio.wait_for(held.exited, 10) == Exit(0)
        await asyncio.wait_for(held.gone, 10)


async def test_what_is_held_for_another_setting_or_by_another_version_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, (holder, held) = parent(tmp_path, "exec sleep 600")
    kill(process)
    async with taken_over(tmp_path, "another") as (_, found):
        assert found == []
        await gone(holder)
        await gone(held)
    process, (holder, held) = parent(tmp_path, "exec sleep 600")
    kill(process)
    monkeypatch.setattr(holding, "VERSION", wire.VERSION + 1)
    async with taken_over(tmp_path) as (_, found):
        assert found == []
        await gone(holder)
        await gone(held)


async def test_two_cannot_claim_one_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, (_, held) = parent(tmp_path, "exec sleep 600")
    with monkeypatch.context() as impatient:
        impatient.setattr(holding, "_ANSWER_WITHIN", 0.2)
        with pytest.raises(UserError, match="another one's"):
            ProcessTable(tmp_path).open()
    assert await asyncio.to_thread(holding.end, tmp_path) is None
    os.kill(held, 0)
    kill(process)
    async with taken_over(tmp_path) as (_, found):
        assert [each.pid for each in found] == [held]


async def test_a_stop_that_was_under_way_is_brought_to_its_end(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    table.open()
    deaf = hold(table, tmp_path, "deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    await eventually(lambda: (tmp_path / "deaf.log").exists() and texts(tmp_path / "deaf.log"))
    stopping = asyncio.create_task(deaf.stop(0.3))
    await asyncio.sleep(0)
    abandon(table)
    stopping.cancel()
    await eventually(lambda: all(each["gone"] for each in looked(tmp_path)))
    async with taken_over(tmp_path) as (_, (found,)):
        assert (found.stopping, found.exited.result()) == (True, Exit(137, 9))


def abandon(table: ProcessTable) -> None:
    """As if we were killed."""
    assert table._link is not None
    table._link.close()


async def test_input_and_output_of_what_is_held_after_a_hand_over(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    table.open()
    launch = Launch(("cat",), ENV, Path("/"), stdin=True)
    cat = table.hold(launch, "u", Keeping("cat", tmp_path / "cat.log", {}))
    await cat.inlet.feed(b"one\n")
    await eventually(lambda: (tmp_path / "cat.log").exists() and texts(tmp_path / "cat.log") == ["one"])
    abandon(table)
    cat.inlet.close()
    heard = bytearray()
    async with taken_over(tmp_path) as (_, (found,)):
        found.output = lambda stream, data: heard.extend(data)
        found.listen(True)
        await found.inlet.feed(b"two\n")
        await eventually(lambda: bytes(heard) == b"two\n")
        await found.inlet.end()
        assert await asyncio.wait_for(found.exited, 30) == Exit(0)
    assert texts(tmp_path / "cat.log") == ["one", "two"]


async def test_a_directory_with_a_long_path_has_a_holder_too(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    process, (_, held) = parent(directory, "exec sleep 600")
    kill(process)
    async with taken_over(directory) as (_, found):
        assert [each.pid for each in found] == [held]


def hold(table: ProcessTable, directory: Path, name: str, script: str) -> Process:
    return table.hold(shell(script), "u", Keeping(name, directory / f"{name}.log", {}))


async def test_a_claim_lasts_as_long_as_what_is_held(tmp_path: Path) -> None:
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    claim.bind(("127.0.0.1", 0))
    address = claim.getsockname()
    table = ProcessTable(tmp_path, claim=claim)
    table.open()
    hold(table, tmp_path, "a", "exec sleep 600")
    abandon(table)
    claim.close()

    def free() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, contextlib.suppress(OSError):
            other.bind(address)
            return True
        return False

    assert not free()
    async with taken_over(tmp_path) as (again, _):
        assert not free()
    assert again._claim is not None
    again._claim.close()
    assert free()
