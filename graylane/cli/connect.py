"""From the common options to a client.

Shell. In: `Scope`. Out: an open `ApiClient` and the namespace to work in. An embedded cluster that is running is found
without being named, because whoever typed `graylane up` a moment ago means that one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import typer

from graylane.cli import lean  # noqa: F401  (before the client, which imports aiohttp)
from graylane.cli.datadir import DataDir, default_data
from graylane.cli.exits import Exit
from graylane.cli.options import Scope
from graylane.client import ApiClient, in_cluster, load_kubeconfig
from graylane.client.config import ApiConfig

T = TypeVar("T")


def find_config(scope: Scope) -> ApiConfig:
    """--kubeconfig, else $KUBECONFIG, else a running embedded cluster, else the pod's account, else ~/.kube/config."""
    if scope.kubeconfig is None and not os.environ.get("KUBECONFIG") and scope.context is None:
        if running := DataDir(default_data()).running():
            return load_kubeconfig(Path(running.kubeconfig))
        if account := in_cluster():
            return account
    return load_kubeconfig(scope.kubeconfig, scope.context)


@asynccontextmanager
async def connect(scope: Scope) -> AsyncIterator[tuple[ApiClient, str]]:
    """A client and the namespace: the option's, else the context's."""
    config = find_config(scope)
    async with ApiClient(config) as client:
        yield client, scope.namespace or config.namespace


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Runs one verb to its end; Ctrl-C ends it without a trace."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
