"""`graylane demo`: the scenario end to end on a fresh embedded cluster, narrated and checked.

Shell. In: options. Out: the story on stdout, a table of all checks, exit 0 only if every one of them held.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A fresh directory for its state; default: a temporary one.", show_default=False
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the cluster running; `down` ends it.")] = False,
) -> None:
    """Run the scenario end to end, narrated, with checks."""
    from graylane.cli.demo.runner import run

    raise typer.Exit(run(data, keep))
