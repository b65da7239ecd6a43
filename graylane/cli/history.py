"""`graylane history`: the versions of released Deployments, when they were released, by which approvals, how it ended.

Shell. In: Rollouts (all, when none is named). Out: a table for each, or one document.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graylane.cli.options import Context, Format, Kubeconfig, Namespace, Output, Scope


def command(
    rollouts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROLLOUT",
            help="NAME or rollout/NAME, also of a deleted one; default: all.",
            show_default=False,
        ),
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
) -> None:
    """Show past and present releases; the revisions are those that `graylane undo` takes."""
    from graylane.cli.connect import run_async

    run_async(_show(tuple(rollouts or ()), Scope(kubeconfig, context, namespace), output))


async def _show(names: tuple[str, ...], scope: Scope, output: Format) -> None:
    import asyncio

    from graylane.chain.history import history, of_deleted
    from graylane.cli.connect import connect
    from graylane.cli.history_text import Shown, document, lines
    from graylane.cli.naming import no_rollout
    from graylane.cli.output import dump, emit
    from graylane.cli.releasing import parse_name
    from graylane.model.kinds import DEPLOYMENT, EVENT, REPLICA_SET, ROLLOUT
    from graylane.model.meta import dig, name_of

    async with connect(scope) as (client, namespace):
        kinds = (ROLLOUT, DEPLOYMENT, REPLICA_SET, EVENT)
        rollouts, *rest = await asyncio.gather(*(client.list(kind, namespace) for kind in kinds))
        deployments, sets, events = (each.items for each in rest)
    present = {name_of(item): item for item in rollouts.items}
    by_name = {name_of(item): item for item in deployments}
    shown = []
    for name in map(parse_name, names or present):
        if (rollout := present.get(name)) is not None:
            workload = str(dig(rollout, "spec", "objectRef", "workloadRef", "name", default=""))
            shown.append(Shown(name, workload, history(rollout, by_name.get(workload), sets, events)))
        elif (gone := of_deleted(name, deployments, sets, events)) is not None:
            shown.append(Shown(name, *gone, deleted=True))
        else:
            raise no_rollout(name, namespace, present)
    if output is not Format.TEXT:
        print(dump([document(item) for item in shown], output), flush=True)
    elif not shown:
        emit([f"No Rollout in namespace {namespace}."])
    else:
        emit([line for item in shown for line in ["", *lines(item)]][1:])
