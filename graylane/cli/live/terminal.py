"""The terminal in the mode that a live screen needs, and back in its own however we end.

Shell. In: nothing. Out: keys as they come, a call for each change of size, lines drawn in place. Ctrl-C, an error, a
hang-up and SIGTERM lead through the same way out; Ctrl-Z gives the terminal back until we are brought to the front
again. Only SIGKILL cannot be answered; `reset` mends what it leaves.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graylane.cli.live.keys import split

_ENTER = "\x1b[?1049h\x1b[?25l"  # a screen of its own, without the cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class Terminal:
    """`keys` yields what was pressed, "" where stdin has ended or there is no keyboard to listen to."""

    def __init__(self, resized: Callable[[], None]) -> None:
        self.keys: asyncio.Queue[str] = asyncio.Queue()
        self._resized = resized
        self._input = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._before: Any = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def has_keys(self) -> bool:
        return self._input >= 0

    @property
    def size(self) -> os.terminal_size:
        return shutil.get_terminal_size((80, 24))

    def draw(self, lines: Sequence[str]) -> None:
        """Each line in its place, so that what stays the same does not flicker."""
        text = _HOME + "\n".join(line + _REST_OF_LINE for line in lines) + _REST_OF_SCREEN
        sys.stdout.write(text.replace("\n", "\r\n"))
        sys.stdout.flush()

    @contextlib.contextmanager
    def mine(self) -> Iterator[None]:
        """The mode, for as long as the block runs."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        handlers: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGWINCH: self._resized,
            signal.SIGTSTP: self._stop,
            signal.SIGCONT: self._go_on,
        }
        ended: list[signal.Signals] = []

        def end(number: signal.Signals) -> None:
            ended.append(number)
            if task is not None:
                task.cancel()

        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end, number)
        self._take()
        if self.has_keys:
            loop.add_reader(self._input, self._read)
        try:
            yield
        finally:
            if self.has_keys:
                loop.remove_reader(self._input)
            self._give_back()
            for number in (*handlers, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
            if ended:  # die of what we were told to die of, so that who sent it sees that
                signal.signal(ended[0], signal.SIG_DFL)
                os.kill(os.getpid(), ended[0])

    def _take(self) -> None:
        if self.has_keys:
            self._before = termios.tcgetattr(self._input)
            tty.setcbreak(self._input)
        with contextlib.suppress(OSError):
            sys.stdout.write(_ENTER)
            sys.stdout.flush()

    def _give_back(self) -> None:
        if self._before is not None:
            with contextlib.suppress(termios.error):  # the terminal itself may be gone
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
            self._before = None
        with contextlib.suppress(OSError):
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()

    def _stop(self) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        if self._before is None:
            self._take()
        self._resized()

    def _read(self) -> None:
        try:
            read = os.read(self._input, 1024)
        except OSError:
            read = b""
        if not read:
            asyncio.get_running_loop().remove_reader(self._input)
            self.keys.put_nowait("")
            return
        for key in split(self._decode.decode(read)):
            self.keys.put_nowait(key)
