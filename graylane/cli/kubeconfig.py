"""`graylane kubeconfig`: print the path of the embedded cluster's kubeconfig.

Shell. In: the data directory. Out: one line on stdout, made for `export KUBECONFIG=$(graylane kubeconfig)`.
"""

from __future__ import annotations

from graylane.cli.options import Data


def command(data: Data = None) -> None:
    """Print the path of the running embedded cluster's kubeconfig."""
    from graylane.cli.datadir import DataDir, default_data
    from graylane.errors import UserError

    place = DataDir((data or default_data()).absolute())
    running = place.running()
    if running is None:
        raise UserError(f"no cluster runs in {place.path}; start one with `graylane up`, or name its --data")
    print(running.kubeconfig)
