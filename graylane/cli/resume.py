"""`graylane resume`: let held releases go on (`spec.strategy.paused`).

Shell. In: Rollouts. Out: one line each, or the object.
"""

from __future__ import annotations

from graylane.cli.options import Changed, Context, Kubeconfig, Namespace, Rollouts, Scope, Shape


def command(
    rollouts: Rollouts,
    output: Changed = Shape.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
) -> None:
    """Let releases that `pause` holds go on."""
    from graylane.cli.connect import run_async
    from graylane.cli.release_verbs import Wish, carry_out
    from graylane.cli.releasing import resume

    wish = Wish(resume, tuple(rollouts))
    run_async(carry_out(wish, Scope(kubeconfig, context, namespace), shape=output))
