"""All processes of one supervisor: started here, guarded, recorded, and ended together.

Shell. In: `Launch`es with the uid of the pod they belong to. Out: `Child`ren. The guardian (a small process of its own)
kills them when we die; the records let the next start sweep what even the guardian could not reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from graylane.cluster.processes import guardian
from graylane.cluster.processes.child import Child, Exit, Launch
from graylane.cluster.processes.records import Record, Records
from graylane.cluster.processes.stdio import Output


@dataclass(frozen=True, slots=True)
class Ran:
    """A short command's result; `exit` is None when it was killed at its timeout."""

    exit: Exit | None
    output: str


class ProcessTable:
    """Use `open()` before the first `start` and `close()` at the end."""

    def __init__(self, directory: Path) -> None:
        self._records = Records(directory)
        self._children: set[Child] = set()
        self._guardian: subprocess.Popen[bytes] | None = None

    def open(self) -> list[Record]:
        """Kill what an earlier run left behind (returned, for the log) and set up the guardian."""
        swept = self._records.sweep()
        self._ensure_guardian()
        return swept

    def start(self, launch: Launch, owner: str, on_output: Output) -> Child:
        """A new child. Raises OSError when it cannot be executed."""
        self._ensure_guardian()
        child = Child(launch, on_output)
        self._children.add(child)
        self._tell(f"+{child.pid}\n")
        self._records.add(child.pid, owner)
        child.gone.add_done_callback(lambda _: self._forget(child))
        return child

    async def run(self, launch: Launch, owner: str, timeout_seconds: float) -> Ran:
        """Run a short command (an exec probe or hook) to its end; at most 10 KiB of its output are kept."""
        output = bytearray()
        child = self.start(launch, owner, lambda _, data: output.extend(data[: 10240 - len(output)]))
        done, _ = await asyncio.wait([child.exited], timeout=timeout_seconds)
        if not done:
            child.kill()
            await child.exited
        return Ran(child.exited.result() if done else None, output.decode(errors="replace").strip())

    def close(self) -> None:
        """Kill whatever still runs; the guardian ends by itself at the end of its input."""
        for child in list(self._children):
            child.kill()
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            self._guardian.wait()
            self._guardian = None

    def _forget(self, child: Child) -> None:
        self._children.discard(child)
        self._tell(f"-{child.pid}\n")
        self._records.remove(child.pid)

    def _ensure_guardian(self) -> None:
        """Start it, or start it again should it have been killed: then it learns of every living child anew."""
        if self._guardian is not None and self._guardian.poll() is None:
            return
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(guardian.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # or whoever reads ours would wait for the guardian's end as well
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for child in self._children:
            self._tell(f"+{child.pid}\n")

    def _tell(self, line: str) -> None:
        if self._guardian is None or self._guardian.stdin is None or self._guardian.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.write(line.encode())
            self._guardian.stdin.flush()
