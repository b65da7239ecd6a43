"""The process that runs scripts: reads a request, answers it, waits for the next.

Shell. In: frames on standard input (4 bytes length, then JSON `{source, obj}`). Out: frames with `{data}` or
`{error: {line, message}}` on a private copy of standard output; the line reached so far in a shared page. It ends when
standard input does, so no worker survives its parent, even one that was killed.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

from graylane.trafficrouting.lua.sandbox import Sandbox, ScriptFailed

LENGTH = struct.Struct("!I")
LINE = struct.Struct("=I")
_HEADROOM_BYTES = 256 * 1024 * 1024
CPU_SECONDS = 1.2
_LARGEST_RESULT_BYTES = 16 * 1024 * 1024
_OPEN_FILES = 32


def main(progress_fd: int) -> None:
    """Serve until end of input."""
    page = mmap.mmap(progress_fd, mmap.PAGESIZE)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    _lock_down()
    _send(answers, {"ready": True})
    while (request := _receive(requests)) is not None:
        LINE.pack_into(page, 0, 0)
        _allow_cpu(CPU_SECONDS)
        _send(answers, _answer(request, page))
        _allow_cpu(0)


def _answer(request: dict[str, Any], page: mmap.mmap) -> dict[str, Any]:
    def publish(line: int) -> None:
        LINE.pack_into(page, 0, int(line))

    try:
        return {"data": Sandbox(publish).run(request["source"], request["obj"])}
    except ScriptFailed as error:
        return {"error": {"line": error.line, "message": error.message}}
    except (MemoryError, RecursionError) as error:
        return {"error": {"line": 0, "message": f"the script's result is too large ({type(error).__name__})"}}


def _lock_down() -> None:
    """What a script that broke out of Lua would still run into."""
    _limit(resource.RLIMIT_AS, _address_space() + _HEADROOM_BYTES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _allow_cpu(seconds: float) -> None:
    """When they are used up the kernel ends this process, wherever in C it is and whether or not its parent lives.

    Processor time, since a script that is slow because the machine is busy has done nothing wrong. 0 is no limit.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[0]) * mmap.PAGESIZE
    except OSError:  # not Linux: allow for what a Python process maps
        return 1024 * 1024 * 1024


def _receive(stream: BinaryIO) -> dict[str, Any] | None:
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    body = stream.read(LENGTH.unpack(header)[0])
    request: dict[str, Any] = json.loads(body)
    return request


def _send(stream: BinaryIO, answer: dict[str, Any]) -> None:
    body = json.dumps(answer, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(body) > _LARGEST_RESULT_BYTES:
        body = b'{"error":{"line":0,"message":"the script\'s result is larger than 16 MiB"}}'
    frame = memoryview(LENGTH.pack(len(body)) + body)
    while frame:
        frame = frame[stream.write(frame) or 0 :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
