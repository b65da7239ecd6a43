"""`graylane down`: stop the embedded cluster, or what a killed one left; no process stays, with --purge no data either.

Shell. In: the data directory. Out: a line saying what was stopped.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graylane.cli.options import Data

_PATIENCE_SECONDS = 30.0


def command(
    data: Data = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete the cluster's objects, logs and certificates.")
    ] = False,
) -> None:
    """Stop the embedded cluster, pods and Envoy included; --purge deletes its data."""
    import signal

    from graylane.cli.background import stop
    from graylane.cli.datadir import DataDir, default_data
    from graylane.cluster.processes import holding

    place = DataDir((data or default_data()).absolute())
    process = place.holder()
    if process is not None:
        stop(process, _PATIENCE_SECONDS, signal.SIGTERM)
        print(f"stopped the cluster in {place.path}")
    elif ended := holding.end_left(place.path):
        print(f"ended the {ended} processes that a killed cluster left running in {place.path}")
    else:
        print(f"no cluster runs in {place.path}")
    if purge and place.path.exists():
        left = place.purge()
        print(f"deleted the cluster's data in {place.path}" + (f"; not ours: {', '.join(left)}" if left else ""))
