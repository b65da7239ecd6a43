"""`graylane abort`: take releases back.

Shell. In: Rollouts. Out: one line each, or the object, and what happens next. Routes go first, so no dyed request meets
a missing pod.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graylane.cli.options import Changed, Context, Kubeconfig, Namespace, Rollouts, Scope, Shape

_NEXT = "routes are restored first, then the stable template; then the canary pods go (follow: graylane status -w)"


def command(
    rollouts: Rollouts,
    revision: Annotated[str, typer.Option(metavar="HASH", help="Only if this revision is being released.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Return when everything is taken back.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long --wait waits for each release.")] = 300,
    output: Changed = Shape.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
) -> None:
    """Abort releases: restore routes and the stable template, remove the canary."""
    from graylane.cli.connect import run_async
    from graylane.cli.release_verbs import Wish, carry_out
    from graylane.cli.releasing import abort

    wish = Wish(abort, tuple(rollouts), revision, afterwards=_NEXT)
    run_async(carry_out(wish, Scope(kubeconfig, context, namespace), timeout if wait else None, output))
