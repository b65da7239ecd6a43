"""`graylane status`: the chain, hop by hop, and what each release waits for.

Shell. In: Rollouts to look at (all, when none is named). Out: one screen, or one JSON or YAML document. With -w a live
screen with keys on a terminal, what changed in a pipe, one document for each change with -o (JSON: one to a line);
--until ends it, with 0 or with what befell a release as the exit code.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graylane.cli.options import Context, Format, Kubeconfig, Namespace, Output, Scope


def command(
    rollouts: Annotated[
        list[str] | None,
        typer.Argument(metavar="ROLLOUT", help="NAME or rollout/NAME; default: all.", show_default=False),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it: live, with keys, on a terminal.")] = False,
    until: Annotated[
        str,
        typer.Option(
            metavar="paused|done|step=N",
            help="Watch until all wait for approval, have ended, or came to a step; 10–13 if one failed.",
            show_default=False,
        ),
    ] = "",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long --until waits.")] = 300,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
) -> None:
    """Show who serves dyed and plain requests at each hop, and what the releases wait for."""
    from graylane.cli.connect import run_async
    from graylane.cli.following import Screen, follow, show
    from graylane.cli.goals import parse

    screen = Screen(tuple(rollouts or ()), output, parse(until) if until else None, timeout)
    scope = Scope(kubeconfig, context, namespace)
    run_async(follow(screen, scope) if watch or until else show(screen, scope))
