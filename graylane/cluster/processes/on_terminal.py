"""Makes the terminal on stdin the process's own, then becomes the command.

Shell. In: the command as arguments; a session of its own, with a terminal as stdin. Out: the command, for which Ctrl-C
and job control work. Run as a script by `child.py`, with the standard library alone: the step belongs between fork and
exec, where code of ours would be unsafe beside threads.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios


def main(words: list[str]) -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would hand that on
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        sys.exit(f'exec: "{words[0]}": {error.strerror}')


if __name__ == "__main__":
    main(sys.argv[1:])
