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
        typer.Argument(metavar="ROLLOUT", help="NAME or rollout/NAME; default: all.", show_default=False),
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

    from graylane.chain.history import history
    from graylane.cli.connect import connect
    from graylane.cli.history_text import document, lines
    from graylane.cli.naming import rollout_named
    from graylane.cli.output import dump, emit
    from graylane.cli.releasing import parse_name
    from graylane.model.kinds import DEPLOYMENT, EVENT, REPLICA_SET, ROLLOUT
    from graylane.model.meta import dig, name_of

    async with connect(scope) as (client, namespace):
        wanted = [parse_name(name) for name in names]
        if wanted:
            found = [await rollout_named(client, name, namespace) for name in wanted]
        else:
            found = (await client.list(ROLLOUT, namespace)).items
        kinds = (DEPLOYMENT, REPLICA_SET, EVENT)
        deployments, sets, events = await asyncio.gather(*(client.list(kind, namespace) for kind in kinds))
    by_name = {name_of(item): item for item in deployments.items}
    shown = []
    for rollout in found:
        workload = str(dig(rollout, "spec", "objectRef", "workloadRef", "name", default=""))
        entries = history(rollout, by_name.get(workload), sets.items, events.items)
        shown.append((name_of(rollout), f"deployment/{workload}", entries))
    if output is not Format.TEXT:
        print(dump([document(*item) for item in shown], output), flush=True)
    elif not shown:
        emit([f"No Rollout in namespace {namespace}."])
    else:
        emit([line for item in shown for line in ["", *lines(*item)]][1:])
