"""A verb on a terminal of its own, as a person has it: a pty that controls its session, with a size.

Shell. In: a command line. Out: what is on the screen; keys, sizes and signals go in. `ends` checks that the terminal
was given back as it was.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from typing import Any

from graylane.testing.waiting import eventually

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DRAWN = "\x1b[H"
_SECONDS = 30


Environment = Mapping[str, str]


class Terminal:
    """`screen` is what was drawn last, without codes; `before` are the settings that must be there again at the end."""

    def __init__(
        self, *arguments: str, columns: int = 80, rows: int = 40, env: Mapping[str, str] | None = None
    ) -> None:
        self._ours, self._theirs = os.openpty()
        self.resize(columns, rows, tell=False)
        self.before = self.settings()
        self.output = ""
        command = [sys.executable, "-m", "graylane.cli", *arguments]
        self.process = subprocess.Popen(
            [
                "sh",
                "-c",
                'exec "$@" <"$0"',
                os.ttyname(self._theirs),
                *command,
            ],  # opened by a session's leader, it is his
            stdout=self._theirs,
            stderr=self._theirs,
            env={**(env or os.environ), "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "", "LINES": ""},
            start_new_session=True,
        )
        os.set_blocking(self._ours, False)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def settings(self) -> Any:
        return termios.tcgetattr(self._theirs)

    @property
    def screen(self) -> str:
        return _CODES.sub("", self.output.rpartition(_DRAWN)[2]).replace("\r", "")

    @property
    def left(self) -> str:
        """What stays on the terminal's own screen."""
        return _CODES.sub("", self.output.rpartition("\x1b[?1049l")[2]).replace("\r", "")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.send(signal.SIGWINCH)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def shows(self, text: str) -> None:
        await eventually(lambda: text in self.screen, _SECONDS, f"{text!r} on the screen")

    async def ends(self) -> int:
        """Its exit code; negative for the signal that it died of. The terminal is as it was."""
        await eventually(lambda: self.process.poll() is not None, _SECONDS, "its end")
        await asyncio.sleep(0)
        self._read()
        assert self.settings() == self.before, "the terminal's settings were not put back"
        assert self.output.count("\x1b[?1049h") == self.output.count("\x1b[?1049l"), "the screen was not given back"
        assert self.output.count("\x1b[?25l") == self.output.count("\x1b[?25h"), "the cursor stayed hidden"
        return self.process.returncode

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for each in (self._ours, self._theirs):
            os.close(each)

    def _read(self) -> None:
        try:
            while read := os.read(self._ours, 65536):
                self.output += read.decode(errors="replace")
        except (BlockingIOError, OSError):
            return
