"""Children: their end is noticed at once, their groups end with them, and none outlives its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graylane.cluster.processes.child import Exit, Launch
from graylane.cluster.processes.records import Records
from graylane.cluster.processes.table import ProcessTable
from graylane.testing.waiting import eventually

ENV = {"PATH": os.environ["PATH"]}


def shell(script: str) -> Launch:
    return Launch(("sh", "-c", script), ENV, Path("/"))


def gone(pid: int, within: float = 30.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[ProcessTable]:
    processes = ProcessTable(tmp_path / "processes")
    processes.open()
    yield processes
    processes.close()


async def test_the_exit_and_all_output_are_there_as_soon_as_it_ends(table: ProcessTable) -> None:
    seen: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def keep(stream: str, data: bytes) -> None:
        seen[stream] += data

    child = table.start(shell("echo out; echo err >&2; seq 20000; exit 3"), "u", keep)
    assert await asyncio.wait_for(child.exited, 30) == Exit(3)
    assert seen["stderr"] == b"err\n"
    assert seen["stdout"].endswith(b"\n20000\n")


async def test_a_killed_process_is_told_as_a_container_runtime_tells_it(table: ProcessTable) -> None:
    child = table.start(shell("exec sleep 60"), "u", lambda *_: None)
    os.kill(child.pid, signal.SIGKILL)
    assert await asyncio.wait_for(child.exited, 30) == Exit(137, 9)


async def test_when_the_leader_dies_its_group_dies(table: ProcessTable) -> None:
    said = asyncio.get_running_loop().create_future()
    child = table.start(shell("sleep 60 & echo $!; wait"), "u", lambda _, data: said.set_result(int(data)))
    grandchild = await asyncio.wait_for(said, 30)
    os.kill(child.pid, signal.SIGKILL)
    await asyncio.wait_for(child.exited, 30)
    assert gone(grandchild)


async def test_a_stop_lets_the_whole_group_finish_then_kills(table: ProcessTable) -> None:
    seen = bytearray()
    polite = "(trap 'sleep 0.2; echo finished; exit 0' TERM; echo up; while :; do sleep 0.01; done) & wait"
    child = table.start(shell(polite), "u", lambda _, data: seen.extend(data))
    await eventually(lambda: b"up" in seen)
    await child.stop(30)
    await eventually(lambda: b"finished" in seen)


async def test_a_stop_kills_what_does_not_finish_in_time(table: ProcessTable) -> None:
    seen = bytearray()
    deaf = "trap '' TERM; echo up; while :; do sleep 1; done"
    stubborn = table.start(shell(deaf), "u", lambda _, data: seen.extend(data))
    await eventually(lambda: b"up" in seen)
    assert await asyncio.wait_for(stubborn.stop(0.2), 30) == Exit(137, 9)


async def test_a_command_that_does_not_exist_is_an_os_error(table: ProcessTable) -> None:
    with pytest.raises(FileNotFoundError):
        table.start(Launch(("no-such-program",), ENV, Path("/")), "u", lambda *_: None)


async def test_short_commands_give_their_output_or_run_out_of_time(table: ProcessTable) -> None:
    ran = await table.run(shell("echo hello; exit 1"), "u", 30)
    assert (ran.exit, ran.output) == (Exit(1), "hello")
    assert (await table.run(shell("sleep 60"), "u", 0.1)).exit is None


async def test_records_vanish_with_their_processes(table: ProcessTable, tmp_path: Path) -> None:
    child = table.start(shell("exec sleep 60"), "u", lambda *_: None)
    assert [path.name for path in (tmp_path / "processes").glob("*.json")] == [f"{child.pid}.json"]
    await child.stop(0)
    await asyncio.sleep(0)
    assert list((tmp_path / "processes").glob("*.json")) == []


PARENT = """
    import asyncio, os, sys
    from pathlib import Path
    from graylane.cluster.processes.child import Launch
    from graylane.cluster.processes.table import ProcessTable

    async def main():
        table = ProcessTable(Path(sys.argv[1]))
        table.open()
        launch = Launch(("sh", "-c", "sleep 600 & echo $!; wait"), dict(os.environ), Path("/"))
        said = asyncio.get_running_loop().create_future()
        child = table.start(launch, "u", lambda _, data: said.done() or said.set_result(int(data)))
        grandchild = await said
        print(child.pid, grandchild, table._link.pid, flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


def parent(directory: Path) -> tuple[subprocess.Popen[str], list[int]]:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


def test_kill_9_of_the_supervisor_leaves_no_process(tmp_path: Path) -> None:
    process, pids = parent(tmp_path)
    process.kill()
    process.communicate()
    assert all(gone(pid) for pid in pids)


def test_what_survives_even_the_holder_is_swept_at_the_next_start(tmp_path: Path) -> None:
    process, (child, grandchild, holder) = parent(tmp_path)
    os.kill(holder, signal.SIGSTOP)  # cannot act, as if it were killed at the same instant
    process.kill()
    process.wait()
    os.kill(holder, signal.SIGKILL)
    os.kill(child, 0)
    os.kill(child, signal.SIGKILL)  # the leader too: its group must still be found
    swept = Records(tmp_path).sweep()
    assert [record.owner for record in swept] == ["u"]
    assert gone(grandchild)
    assert Records(tmp_path).sweep() == []


def test_a_record_of_another_process_with_the_same_pid_kills_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / f"{bystander.pid}.json").write_text(
            f'{{"group": {bystander.pid}, "started": "another boot 1", "owner": "u"}}'
        )
        assert Records(tmp_path).sweep() == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
