"""`graylane approve`: let paused releases go on.

Shell. In: Rollouts. Out: one line each, or the object. The approval is bound to the revision and step that were read,
or to those named with --revision and --step; a release that has moved on meanwhile is not approved.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graylane.cli.options import Changed, Context, Kubeconfig, Namespace, Rollouts, Scope, Shape


def command(
    rollouts: Rollouts,
    revision: Annotated[str, typer.Option(metavar="HASH", help="Only if this revision is being released.")] = "",
    step: Annotated[
        int, typer.Option(metavar="N", help="Only if the release is in this step.", show_default=False)
    ] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the releases have ended.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long --wait waits for each release.")] = 300,
    output: Changed = Shape.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
) -> None:
    """Approve the current step of paused releases, several at once."""
    from graylane.cli.connect import run_async
    from graylane.cli.release_verbs import Wish, carry_out
    from graylane.cli.releasing import approve

    wish = Wish(approve, tuple(rollouts), revision, step)
    run_async(carry_out(wish, Scope(kubeconfig, context, namespace), timeout if wait else None, output))
