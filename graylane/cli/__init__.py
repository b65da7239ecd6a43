"""The command line: one file per verb, imported only when it is typed.

Shell. In: `sys.argv`. Out: text on stdout, progress on stderr, an exit code of `exits.Exit`.
"""

from __future__ import annotations


def main() -> None:
    """The `graylane` command."""
    import sys

    from graylane.cli.root import run

    sys.exit(run(sys.argv[1:]))
