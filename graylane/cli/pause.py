"""`graylane pause`: hold releases where they are (`spec.strategy.paused`).

Shell. In: Rollouts. Out: one line each.
"""

from __future__ import annotations

from graylane.cli.options import Context, Kubeconfig, Namespace, Rollouts, Scope


def command(
    rollouts: Rollouts, kubeconfig: Kubeconfig = None, context: Context = None, namespace: Namespace = ""
) -> None:
    """Hold releases where they are; `resume` lets them go on."""
    from graylane.cli.connect import run_async
    from graylane.cli.release_verbs import Wish, carry_out
    from graylane.cli.releasing import pause

    run_async(carry_out(Wish(pause, tuple(rollouts)), Scope(kubeconfig, context, namespace)))
