"""Stdin and terminals: fed as fast as they are read, and nothing a terminal's shell started outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graylane.cluster.processes.child import Child, Exit, Launch
from graylane.cluster.processes.table import ProcessTable
from graylane.testing.waiting import eventually

ENV = {"PATH": os.environ["PATH"], "PS1": "$ "}
DEADLINE = 30.0


class Screen:
    """What a child has written, and a way to wait for it."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, stream: str, data: bytes) -> None:
        self.text += data

    async def shows(self, text: str) -> str:
        async def look() -> bool:
            return text.encode() in self.text

        _: bool = await eventually(look, DEADLINE, f"{text!r} on the screen")
        return self.text.decode()


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[ProcessTable]:
    processes = ProcessTable(tmp_path / "processes")
    processes.open()
    yield processes
    processes.close()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def launch(*words: str, terminal: bool = False) -> Launch:
    return Launch(words, ENV, Path("/"), stdin=True, terminal=terminal)


def gone(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


async def ended(child: Child) -> Exit:
    return await asyncio.wait_for(child.exited, DEADLINE)


async def test_more_input_than_a_pipe_holds_arrives_whole_and_its_end_is_seen(
    table: ProcessTable, screen: Screen
) -> None:
    child = table.start(launch("wc", "-c"), "u", screen.write)
    await asyncio.wait_for(child.inlet.feed(b"x" * 1_000_000), DEADLINE)
    await child.inlet.end()
    assert await ended(child) == Exit(0)
    assert screen.text.split() == [b"1000000"]


async def test_input_waits_for_a_process_that_does_not_read_and_is_dropped_at_its_end(
    table: ProcessTable, screen: Screen
) -> None:
    child = table.start(launch("sleep", "600"), "u", screen.write)
    feeding = asyncio.create_task(child.inlet.feed(b"x" * 1_000_000))
    done, _ = await asyncio.wait([feeding], timeout=0.1)
    assert not done
    child.kill()
    await asyncio.wait_for(feeding, DEADLINE)


async def test_held_output_stops_the_writer_and_none_is_lost(table: ProcessTable, screen: Screen) -> None:
    child = table.start(launch("sh", "-c", "seq 100000; echo end"), "u", screen.write)
    child.outlet.hold(True)
    done, _ = await asyncio.wait([child.exited], timeout=0.2)
    assert not done
    child.outlet.hold(False)
    await ended(child)
    assert screen.text.decode().split() == [*map(str, range(1, 100001)), "end"]


async def test_a_command_on_a_terminal_sees_one_with_its_size_and_its_keys(table: ProcessTable, screen: Screen) -> None:
    script = "trap 'echo interrupted; exit 5' INT; tty; read line; stty size; while true; do sleep 0.1; done"
    child = table.start(launch("sh", "-c", script, terminal=True), "u", screen.write)
    await screen.shows("/dev/")
    child.inlet.resize(33, 111)
    await child.inlet.feed(b"\n")
    await screen.shows("33 111")
    await child.inlet.feed(b"\x03")  # Ctrl-C
    await screen.shows("interrupted")
    assert await ended(child) == Exit(5)


async def test_the_end_of_input_ends_what_reads_from_a_terminal(table: ProcessTable, screen: Screen) -> None:
    child = table.start(launch("cat", terminal=True), "u", screen.write)
    await child.inlet.feed(b"hello\n")
    await screen.shows("hello\r\nhello\r\n")
    await child.inlet.end()
    assert await ended(child) == Exit(0)


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program"])
async def test_a_missing_program_is_told_at_the_start_with_a_terminal_too(table: ProcessTable, program: str) -> None:
    with pytest.raises(FileNotFoundError):
        table.start(launch(program, terminal=True), "u", lambda *_: None)


async def test_jobs_that_a_terminals_shell_put_into_groups_of_their_own_end_with_it(
    table: ProcessTable, screen: Screen
) -> None:
    child = table.start(launch("bash", "--norc", "-i", terminal=True), "u", screen.write)
    await child.inlet.feed(b"(trap '' HUP; exec sleep 600) & echo job=$!=\n")
    # The terminal shows the line as typed as well, perhaps twice: only the answer has a number in it.
    job = int((await eventually(lambda: re.search(rb"job=(\d+)=", screen.text), DEADLINE))[1])
    assert os.getpgid(job) != child.pid
    await child.stop(0.1, first=signal.SIGHUP)
    assert await eventually(lambda: gone(job), DEADLINE)


PARENT = """
    import asyncio, os, sys
    from pathlib import Path
    from graylane.cluster.processes.child import Launch
    from graylane.cluster.processes.table import ProcessTable

    async def main():
        table = ProcessTable(Path(sys.argv[1]))
        table.open()
        said = asyncio.get_running_loop().create_future()
        words = ("bash", "--norc", "-ic", "set -m; (trap '' HUP; exec sleep 600) & echo =$!=; wait")
        launch = Launch(words, dict(os.environ), Path("/"), terminal=True)
        text = bytearray()
        child = table.start(launch, "u", lambda _, data: text.extend(data))
        while text.count(b"=") < 2:
            await asyncio.sleep(0.01)
        print(child.pid, int(text.split(b"=")[1]), flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


async def test_kill_9_of_the_supervisor_leaves_no_job_of_a_terminals_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pids = [int(word) for word in (await process.stdout.readline()).split()]
    assert len({os.getpgid(pid) for pid in pids}) == 2
    process.kill()
    await process.communicate()
    assert await eventually(lambda: all(map(gone, pids)), DEADLINE)
