"""`graylane resume`: let held releases go on (`spec.strategy.paused`).

Shell. In: Rollouts. Out: one line each.
"""

from __future__ import annotations

from graylane.cli.options import Context, Kubeconfig, Namespace, Rollouts, Scope


def command(
    rollouts: Rollouts, kubeconfig: Kubeconfig = None, context: Context = None, namespace: Namespace = ""
) -> None:
    """Let releases that `pause` holds go on."""
    from graylane.cli.connect import run_async
    from graylane.cli.release_verbs import Wish, carry_out
    from graylane.cli.releasing import resume

    run_async(carry_out(Wish(resume, tuple(rollouts)), Scope(kubeconfig, context, namespace)))
