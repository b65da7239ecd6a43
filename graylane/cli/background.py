"""Starts `graylane up` in the background and hears from it over a pipe until it is ready.

Shell. In: a data directory and options of `up`. Out: its `Running` record, or its own error with its own exit code. The
pipe carries one JSON object per line: progress, then ready or failed; its end without either means that it died.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import IO, Any, Protocol

from graylane.cli.datadir import DataDir, Running
from graylane.cli.exits import Exit, StartFailed
from graylane.cli.processes import Process
from graylane.errors import UserError


class Reporter(Protocol):
    """Who an `up` tells about its start."""

    def progress(self, message: str) -> None: ...
    def ready(self, running: Running) -> None: ...


@dataclass(frozen=True, slots=True)
class PipeReporter:
    """The background process' side of the pipe."""

    pipe: IO[str]

    def progress(self, message: str) -> None:
        self._send({"progress": message})

    def ready(self, running: Running) -> None:
        self._send({"ready": asdict(running)})
        self.pipe.close()

    def failed(self, message: str, code: int) -> None:
        self._send({"failed": message, "code": code})
        self.pipe.close()

    def _send(self, message: dict[str, Any]) -> None:
        """A parent that has gone away does not stop the cluster from starting."""
        try:
            print(json.dumps(message), file=self.pipe, flush=True)
        except (BrokenPipeError, ValueError):
            return


def start(data: DataDir, arguments: list[str], tell: Callable[[str], None], lifeline: int | None = None) -> Running:
    """Returns once the cluster is ready. With a `lifeline` (a pipe's read end), it stops when that pipe closes."""
    data.make()
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "graylane.cli", "up", "--data", str(data.path), *arguments]
    command += ["--report-fd", str(writer)]
    inherited = [writer]
    if lifeline is not None:
        command += ["--lifeline-fd", str(lifeline)]
        inherited.append(lifeline)
    with data.log.open("ab") as log, os.fdopen(reader) as messages:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=inherited
        )
        os.close(writer)
        return _listen(messages, data, child, tell)


def _listen(messages: IO[str], data: DataDir, child: subprocess.Popen[bytes], tell: Callable[[str], None]) -> Running:
    for line in messages:
        message = json.loads(line)
        if "progress" in message:
            tell(message["progress"])
        elif "ready" in message:
            return Running(**message["ready"])
        else:
            child.wait()
            raise StartFailed(message["failed"], int(message["code"]))
    code = child.wait()
    raise StartFailed(f"the cluster died while starting (exit {code}); its last words are in {data.log}", Exit.DEFECT)


def stop(process: Process, timeout: float, number: int) -> None:
    """Ask it to stop and wait; raises `UserError` when it is still there afterwards."""
    import signal

    process.signal(signal.Signals(number))
    if not process.wait(timeout):
        raise UserError(f"process {process.pid} did not stop within {timeout:g} s; end it with `kill -9 {process.pid}`")
