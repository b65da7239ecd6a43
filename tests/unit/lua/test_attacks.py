"""Whatever a script does, it ends within 1.5 s, the error names script and line, and the next script runs.

Seconds are those of the processor: those of the clock are the same where nobody else runs, and else tell of him.
"""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from graylane.testing.waiting import eventually
from graylane.trafficrouting.lua.engine import LuaError, LuaPool, Script

LIMIT_SECONDS = 1.5
NAME = "example.io/Thing/trafficRouting.lua"

ATTACKS = {
    "an endless loop": "\nwhile true do end",
    "an endless loop inside pcall": "\nwhile true do pcall(function() while true do end end) end",
    "an endless repeat without a body": "\nrepeat until false",
    "an endless chain of tail calls": "\nlocal function f() return f() end return f()",
    "unbounded recursion": "\nlocal function f() return 1 + f() end return f()",
    "recursion through C functions": "\nlocal function f() return string.gsub('x', 'x', f) end return f()",
    "an endless comparison in a sort": "\ntable.sort({3, 1, 2}, function() while true do end end)",
    "a loop in a coroutine": "\ncoroutine.wrap(function() while true do end end)()",
    "a catastrophic pattern": "\nlocal p = ('a?'):rep(28) .. ('a'):rep(28)\nlocal x = string.find(('a'):rep(28), p)",
    "a catastrophic substitution": "\nlocal x = string.gsub(('a'):rep(3000), ('.-'):rep(20) .. 'b', '')",
    "memory growth": "\nlocal t = {}\nwhile true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "memory growth swallowed by pcall": "K = {}\nwhile true do pcall(function() while 1 do K = {K, K} end end) end",
    "a string that doubles": "local s = 'x'\nwhile true do s = s .. s end",
    "a doubling string inside pcall": "\nwhile 1 do pcall(function() local s = 'x' while 1 do s = s .. s end end) end",
    "a huge string.rep": "\nlocal s = ('x'):rep(1e9)",
    "a huge substitution": "\nlocal s = ('x'):rep(1e6):gsub('x', ('y'):rep(1e5))",
    "leaving the process": "\nos.exit(0)",
    "running a command": "\nos.execute('true')",
    "reading a file": "\nlocal f = io.open('/etc/passwd')",
    "reading a file through dofile": "\ndofile('/etc/passwd')",
    "loading text as code": "\nloadstring('return 1')()",
    "loading a module": "\nrequire('os')",
    "the debug library": "\ndebug.getregistry()",
    "byte code": "\nstring.dump(function() end)",
    "the environment of a caller": "\ngetfenv(0)",
    "Python": "\npython.eval('1')",
    "Python through json.encode": "\nlocal x = json.encode.__globals__",
    "Python through an error": "\nlocal ok, e = pcall(json.encode, print)\nlocal x = e.__class__",
    "an error that is a table": "\nerror({code = 1})",
    "no result": "\nlocal x = 1",
    "a function as result": "\nreturn {spec = {f = print}}",
    "a result that contains itself": "\nlocal t = {} t.spec = t return t",
    "a huge result": "\nlocal t = {} for i = 1, 2e5 do t[i] = i end return {spec = {t, t, t, t, t, t, t, t, t}}",
    "broken text as result": "\nreturn {spec = {name = '\\255\\254'}}",
    "a result that is not a number": "\nreturn {spec = {weight = 0/0}}",
    "a syntax error": "\nlocal = 1",
}  # fmt: skip


ALLOWED = {
    *("_G", "_VERSION", "assert", "error", "getmetatable", "ipairs", "json", "math", "next", "obj", "pairs", "pcall"),
    *("print", "rawequal", "rawget", "rawset", "select", "setmetatable", "string", "table", "tonumber", "tostring"),
    *("type", "unpack", "xpcall"),
}


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[LuaPool]:
    async with LuaPool(size=1) as pool:
        yield pool


@pytest.mark.parametrize("attack", ATTACKS)
async def test_row_78_an_attack_ends_in_time_with_a_located_error_and_the_pool_works_on(
    pool: LuaPool, attack: str
) -> None:
    (worker,) = pids(pool)
    before = used(worker) + used_by_ended()
    with pytest.raises(LuaError) as caught:
        await pool.run(Script(NAME, ATTACKS[attack]), {"data": {"spec": {}}})
    assert used(worker) + used_by_ended() - before < LIMIT_SECONDS
    assert str(caught.value).startswith(NAME)
    assert caught.value.line > 0, str(caught.value)
    assert await pool.run(Script(NAME, "return obj.data"), {"data": {"spec": {"x": 1}}}) == {"spec": {"x": 1}}


async def test_a_stuck_script_does_not_hold_up_others() -> None:
    async with LuaPool(size=2) as pool:
        os.kill(pids(pool)[0], signal.SIGSTOP)
        runs = [asyncio.create_task(pool.run(Script(NAME, "return {a = 1}"), {})) for _ in range(6)]
        await eventually(lambda: sum(each.done() for each in runs) == 5)
        os.kill(pids(pool)[0], signal.SIGCONT)
        assert await asyncio.gather(*runs) == [{"a": 1}] * 6


async def test_a_cancelled_run_gives_its_place_back() -> None:
    async with LuaPool(size=1) as pool:
        endless = asyncio.create_task(pool.run(Script(NAME, "while true do end"), {}))
        await eventually(pool._slots.empty)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        assert await pool.run(Script(NAME, "return {a = 1}"), {}) == {"a": 1}


async def test_a_worker_that_was_killed_while_it_had_nothing_to_do_is_nobodys_fault() -> None:
    async with LuaPool(size=1) as pool:
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert await pool.run(Script(NAME, "return {a = 1}"), {}) == {"a": 1}


async def test_a_script_whose_worker_is_killed_before_it_begins_is_run_by_another() -> None:
    async with LuaPool(size=1) as pool:
        (first,) = pids(pool)
        os.kill(first, signal.SIGSTOP)
        run = asyncio.create_task(pool.run(Script(NAME, "return {a = 1}"), {}))
        await eventually(pool._slots.empty)
        os.kill(first, signal.SIGKILL)
        assert await run == {"a": 1}
        assert pids(pool) != [first]


async def test_a_script_whose_worker_is_killed_in_its_midst_is_judged_by_what_it_does_in_another() -> None:
    async with LuaPool(size=1) as pool:
        (worker,) = pool._workers
        run = asyncio.create_task(pool.run(Script(NAME, "\nwhile true do end"), {}))
        await eventually(lambda: worker.line() > 0)
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(LuaError, match="2: the script did not finish"):
            await run


async def test_a_pool_that_can_start_no_process_does_not_blame_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LuaPool(size=1) as pool:
        monkeypatch.setattr("graylane.trafficrouting.lua.engine.sys.executable", "/bin/false")
        os.kill(pids(pool)[0], signal.SIGKILL)
        with pytest.raises(LuaError, match="processes for the script end before they come to it"):
            await pool.run(Script(NAME, "return {a = 1}"), {})
        monkeypatch.undo()
        assert await pool.run(Script(NAME, "return {a = 1}"), {}) == {"a": 1}


async def test_every_run_starts_from_nothing(pool: LuaPool) -> None:
    await pool.run(Script(NAME, "leak = 1; string.find = nil; json.array = nil; return {a = 1}"), {})
    script = Script(NAME, "return {leak = leak == nil, find = string.find ~= nil, array = json.array ~= nil}")
    assert await pool.run(script, {}) == {"leak": True, "find": True, "array": True}


async def test_equal_input_gives_equal_output_even_with_random_numbers(pool: LuaPool) -> None:
    script = Script(NAME, "return {a = math.random(1e6)}")
    assert await pool.run(script, {}) == await pool.run(script, {})


async def test_a_script_sees_nothing_but_the_allow_list(pool: LuaPool) -> None:
    script = Script(NAME, "local n = {} for k in pairs(_G) do n[#n + 1] = k end table.sort(n) return {names = n}")
    result = await pool.run(script, {"data": {}})
    assert set(result["names"]) == ALLOWED


async def test_stop_leaves_no_process() -> None:
    pool = LuaPool(size=2)
    await pool.start()
    workers = pids(pool)
    await pool.stop()
    assert not [pid for pid in workers if _runs(pid)]


_PARENT = """
import asyncio, os
from graylane.testing.waiting import eventually
from graylane.trafficrouting.lua.engine import LuaPool, Script
async def main():
    pool = LuaPool(size=2)
    await pool.start()
    print(*(worker._process.pid for worker in pool._workers), flush=True)
    await pool.run(Script("stuck", SOURCE), {})
asyncio.run(main())
"""


@pytest.mark.parametrize("source", ["return {}", ATTACKS["an endless loop"], ATTACKS["a catastrophic pattern"]])
async def test_workers_follow_a_parent_that_was_killed(source: str) -> None:
    code = f"SOURCE = {source!r}\n{_PARENT}"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    workers = [int(word) for word in (await parent.stdout.readline()).split()]
    assert len(workers) == 2
    parent.kill()
    await parent.wait()
    await eventually(lambda: not [pid for pid in workers if _runs(pid)], timeout=60)


def pids(pool: LuaPool) -> list[int]:
    return [worker._process.pid for worker in pool._workers]


def used(pid: int) -> float:
    """The processor time that a living process has had, 0 for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_by_ended() -> float:
    """What processes of ours had that have ended."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _runs(pid: int) -> bool:
    """False also for a zombie that waits for a reaper."""
    try:
        os.kill(pid, 0)
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
