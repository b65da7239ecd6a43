"""Runs Lua scripts in worker processes that can be killed.

Shell. In: a `Script` and the global `obj`. Out: the object the script returned, or `LuaError` with script and line.
A hook inside Lua stops most runaways; one catastrophic `string.find` stays inside C for hours, where no hook or thread
reaches it. So scripts run in processes: the kernel ends one that overstays, and it is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import signal
import sys
import tempfile
from typing import Any

from graylane.trafficrouting.lua.script import LuaError, Script
from graylane.trafficrouting.lua.worker import CPU_SECONDS, LENGTH, LINE

__all__ = ["LuaError", "LuaPool", "Script"]

_ANSWER_SECONDS = 20.0  # only somebody who stopped the worker, or the machine, makes it take so long
_START_SECONDS = 20.0


class LuaPool:
    """A few workers, each serving one script at a time. Use as a context manager, or `start` and `stop`."""

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._slots: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._workers: set[_Worker] = set()

    async def start(self) -> None:
        """Returns when all workers are ready."""
        for worker in await asyncio.gather(*(self._spawn() for _ in range(self._size))):
            self._slots.put_nowait(worker)

    async def stop(self) -> None:
        """Kill all workers and wait until they are gone."""
        await asyncio.gather(*(worker.kill() for worker in list(self._workers)))
        self._workers.clear()

    async def __aenter__(self) -> LuaPool:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run(self, script: Script, obj: dict[str, Any]) -> dict[str, Any]:
        """The script's result for `obj`, for at most `CPU_SECONDS` of a free worker's time. Raises `LuaError`.

        A worker that somebody killed, or that ended before it came to the script, says nothing about the script:
        another is asked, once. Nobody would ask again later, since a script that failed is its author's to mend.
        """
        try:
            return await self._run(script, obj)
        except _Lost:
            pass
        try:
            return await self._run(script, obj)
        except _Lost as lost:
            raise LuaError(script.name, lost.line, _DIED if lost.begun else _NOT_STARTED) from None

    async def _run(self, script: Script, obj: dict[str, Any]) -> dict[str, Any]:
        """Raises `_Lost` when the worker ended and the script is not known to be why."""
        worker = await self._slots.get()
        healthy = False
        try:
            if worker is None:
                worker = await self._spawn()
            answer = await worker.ask({"source": script.source, "obj": obj})
            healthy = True
        except TimeoutError:
            raise LuaError(script.name, worker.line() if worker else 0, _SILENT) from None
        except (EOFError, ConnectionError):
            line, code = (worker.line(), await worker.ended()) if worker else (0, 0)
            if code == -signal.SIGPROF:
                raise LuaError(script.name, line, _TOO_SLOW) from None
            if line == 0 or code == -signal.SIGKILL:
                raise _Lost(line) from None
            raise LuaError(script.name, line, _DIED) from None
        finally:
            # Also when cancelled: a worker in the middle of a script takes no other. Its successor starts on demand.
            if not healthy and worker is not None:
                await asyncio.shield(self._dismiss(worker))
            self._slots.put_nowait(worker if healthy else None)
        return _unwrap(script, answer)

    async def _spawn(self) -> _Worker:
        worker = await _Worker.start()
        self._workers.add(worker)
        return worker

    async def _dismiss(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        await worker.kill()


_TOO_SLOW = f"the script did not finish within {CPU_SECONDS} s of processor time and was stopped"
_SILENT = f"the script's process did not answer within {_ANSWER_SECONDS:g} s and was stopped"
_NOT_STARTED = "processes for the script end before they come to it"
_DIED = "the script ended its worker process, by using too much memory"


class _Lost(Exception):
    """A worker is gone; `line` is 0 when the script had not begun."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line

    @property
    def begun(self) -> bool:
        return self.line > 0


def _unwrap(script: Script, answer: dict[str, Any]) -> dict[str, Any]:
    if error := answer.get("error"):
        raise LuaError(script.name, int(error["line"]), str(error["message"]))
    data: dict[str, Any] = answer["data"]
    return data


class _Worker:
    """One process and the pipe to it. `worker.py` tells the protocol."""

    def __init__(self, process: asyncio.subprocess.Process, page: mmap.mmap) -> None:
        self._process = process
        self._page = page
        self._ended = False

    @classmethod
    async def start(cls) -> _Worker:
        with tempfile.TemporaryFile() as file:
            file.truncate(mmap.PAGESIZE)
            page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "graylane.trafficrouting.lua.worker", str(file.fileno())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(file.fileno(),),
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for us; we end our workers ourselves
            )
        worker = cls(process, page)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await worker._receive()
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises TimeoutError, EOFError or ConnectionError; the worker is of no use after any of them."""
        stdin = self._process.stdin
        assert stdin is not None
        body = json.dumps(request, separators=(",", ":")).encode("utf-8", "surrogatepass")
        async with asyncio.timeout(_ANSWER_SECONDS):
            stdin.write(LENGTH.pack(len(body)) + body)
            await stdin.drain()
            return await self._receive()

    def line(self) -> int:
        """The last line the script is known to have reached."""
        number: int = LINE.unpack_from(self._page)[0]
        return number

    async def ended(self) -> int:
        """With what a worker ended that gives no answer; 0 when only its pipe is known to be closed."""
        return await self._process.wait() if self._ended else 0

    async def kill(self) -> None:
        """Returns when the process is gone. One that ended by itself is not signalled: its pid may be another's now."""
        with contextlib.suppress(ProcessLookupError):
            if not self._ended:
                self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _receive(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            header = await stdout.readexactly(LENGTH.size)
            body = await stdout.readexactly(LENGTH.unpack(header)[0])
        except EOFError:
            self._ended = True
            raise
        answer: dict[str, Any] = json.loads(body)
        return answer


def _environment() -> dict[str, str]:
    """Nothing of ours: no kubeconfig path, no token. Python's own variables are needed to find this package."""
    kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}
