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

    sys.exit(run(sys.argv[1:]))
