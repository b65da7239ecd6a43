"""The command line: one file per verb, imported only when it is typed.

Shell. In: `sys.argv`. Out: text on stdout, progress on stderr, an exit code of `exits.Exit`.
"""

from __future__ import annotations


def main() -> None:
    """The `graylane` command."""
    import gc
    import sys

    # Imports make a hundred thousand objects that stay; looking through them for garbage took a tenth of a verb's time.
    gc.set_threshold(100_000)
    from graylane.cli.root import run

    _leave(run(sys.argv[1:]))


def _leave(code: int) -> None:
    """At once: to take the interpreter down object by object took a quarter of a verb's time. Nothing is left open."""
    import contextlib
    import os
    import sys

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)
