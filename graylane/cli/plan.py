"""`graylane plan`: every step's effect on every object, and a proof of its routes, before anything runs.

Shell. In: manifests, and the cluster they are meant for, if it can be reached. Out: a moment for each step, as diffs;
`CheckFailed` when a promise would be broken or a release would not come to its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graylane.cli.options import Context, Format, Kubeconfig, Namespace, Output, Scope

if TYPE_CHECKING:
    from graylane.cli.manifests import Manifest
    from graylane.cli.planning.before import Before
    from graylane.cli.planning.moments import Moment

_ALONE = "no cluster can be reached, so the manifests are taken for what runs: "


def command(
    files: Annotated[
        list[Path], typer.Option("--filename", "-f", metavar="DIR|FILE", help="Manifests; - reads them from stdin.")
    ],
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask any cluster.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
) -> None:
    """Show what releasing these manifests would change, step by step, and whether routes keep their promises."""
    from graylane.cli.connect import run_async

    run_async(_plan(files, offline, Scope(kubeconfig, context, namespace), output))


async def _plan(files: list[Path], offline: bool, scope: Scope, output: Format) -> None:
    from graylane.cli.manifests import read
    from graylane.cli.output import dump, emit
    from graylane.cli.planning.rehearsal import Rehearsal
    from graylane.cli.planning.text import document, lines
    from graylane.trafficrouting.lua.engine import LuaPool

    before = await _before(read(files), offline, scope)
    async with LuaPool(1) as pool:
        rehearsal = Rehearsal(before, pool)
        moments = await rehearsal.moments()
    if output is Format.TEXT:
        emit(lines(moments, rehearsal.supposed, before.namespace))
    else:
        print(dump(document(moments, rehearsal.supposed), output), flush=True)
    _judge(moments)


async def _before(manifests: list[Manifest], offline: bool, scope: Scope) -> Before:
    from graylane.cli.connect import connect
    from graylane.cli.output import progress
    from graylane.cli.planning.before import of_cluster, of_manifests
    from graylane.errors import Unavailable, UserError

    if not offline:
        try:
            async with connect(scope) as (client, namespace):
                return await of_cluster(client, namespace, manifests)
        except (Unavailable, UserError) as error:
            if scope.kubeconfig is not None or scope.context is not None or _is_about(manifests, error):
                raise
            progress(_ALONE + str(error))
    return await of_manifests(scope.namespace or "default", manifests)


def _is_about(manifests: list[Manifest], error: Exception) -> bool:
    """Whether a manifest is to blame, and not the missing cluster."""
    return any(str(error).startswith(manifest.place) for manifest in manifests)


def _judge(moments: list[Moment]) -> None:
    from graylane.cli.exits import CheckFailed

    last = moments[-1]
    if last.left:
        says = "; ".join(f"{name}: {last.waits[name]}" for name in last.left)
        raise CheckFailed(f"the release would not come to its end: {says}")
    broken = [moment.title for moment in moments for proof in moment.proofs if not proof.holds]
    if broken:
        raise CheckFailed(f"routes would break a promise at: {'; '.join(dict.fromkeys(broken))}")
