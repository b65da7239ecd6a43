"""`graylane undo`: go back to an earlier version, from any state of a release.

Shell. In: Rollouts. Out: one line each, or the Deployment. All are checked before one is changed. In a release its
canary is taken back; at rest the earlier version is released like any other, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from graylane.cli.options import Changed, Context, Kubeconfig, Namespace, Rollouts, Scope, Shape

if TYPE_CHECKING:
    from graylane.cli.undoing import Undo
    from graylane.client import ApiClient
    from graylane.model.meta import Obj

_TRIES = 5


def command(
    rollouts: Rollouts,
    to_revision: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="As `graylane history` numbers them; default: the stable version, at rest the one before.",
            show_default=False,
        ),
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")] = False,
    output: Changed = Shape.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
) -> None:
    """Go back to an earlier version: take a running release back, or release the version before."""
    from graylane.cli.connect import run_async

    run_async(_undo_all(tuple(rollouts), to_revision, dry_run, Scope(kubeconfig, context, namespace), output))


async def _undo_all(names: tuple[str, ...], to_revision: int, dry_run: bool, scope: Scope, shape: Shape) -> None:
    from graylane.cli.connect import connect
    from graylane.cli.output import Objects, progress
    from graylane.cli.releasing import parse_name

    async with connect(scope) as (client, namespace):
        wanted = [parse_name(name) for name in names]
        undos = [await _read(client, name, namespace, to_revision) for name in wanted]
        hints: dict[str, None] = {}
        shown = Objects(shape, "deployment.apps")
        for name, undo in zip(wanted, undos, strict=True):
            done, deployment = undo, undo.rehearsed()
            if not dry_run:
                done, deployment = await _write(client, name, namespace, to_revision, undo)
            shown.show(deployment, done.says + (" (dry run)" if dry_run else ""))
            hints |= {done.afterwards: None} if done.afterwards else {}
        for hint in hints:
            progress(hint)


async def _read(client: ApiClient, name: str, namespace: str, to_revision: int) -> Undo:
    from graylane.cli.naming import rollout_named
    from graylane.cli.undoing import undo
    from graylane.model.kinds import DEPLOYMENT, REPLICA_SET
    from graylane.model.meta import dig

    rollout = await rollout_named(client, name, namespace)
    workload = str(dig(rollout, "spec", "objectRef", "workloadRef", "name", default=""))
    deployment = await client.get(DEPLOYMENT, workload, namespace)
    sets = await client.list(REPLICA_SET, namespace)
    return undo(rollout, deployment, sets.items, to_revision)


async def _write(client: ApiClient, name: str, namespace: str, to_revision: int, undo: Undo) -> tuple[Undo, Obj]:
    """Tried again when somebody else wrote meanwhile, as long as it still leads to the same revision."""
    from graylane.cli.exits import Refused
    from graylane.errors import Conflict
    from graylane.model.kinds import DEPLOYMENT

    decided = undo.revision
    for _ in range(_TRIES):
        if undo.patch is None:
            return undo, undo.present
        try:
            return undo, await client.patch(DEPLOYMENT, undo.deployment, namespace, undo.patch)
        except Conflict:
            undo = await _read(client, name, namespace, to_revision)
            if undo.revision != decided:
                raise Refused(
                    f'deployment "{undo.deployment}" changed meanwhile; look again and decide again'
                ) from None
    raise Conflict(f'deployment "{undo.deployment}" changes too fast to be patched; try again')
