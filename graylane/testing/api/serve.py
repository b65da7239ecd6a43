"""Run one API server as a process of its own, for tests that need to kill it or point kubectl at it.

Shell. In: a directory on the command line, a port, `--plain` for HTTP. Out: `ready URL` on stdout once
`<dir>/kubeconfig` can be used.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.errors import UserError
from graylane.kit import garbage

ADMIN = User("admin", ("system:masters",))
TOKEN = "conformance"


def config(directory: Path, pki_dir: Path, host: str = "127.0.0.1", port: int = 0) -> ApiServerConfig:
    pair = pki.Authority(pki_dir, datetime.now(UTC)).server("apiserver", [host, "localhost"])
    return ApiServerConfig(
        data_dir=directory / "api",
        host=host,
        port=port,
        certificate=pair.certificate,
        key=pair.key,
        tokens={TOKEN: ADMIN, "nobody": User("nobody")},
    )


def write_kubeconfig(directory: Path, server: ApiServer, authority: pki.Authority) -> Path:
    path = directory / "kubeconfig"
    pki.write_kubeconfig(path, server=server.url, ca=authority.bundle, token=TOKEN)
    return path


async def main(directory: Path, port: int, *, plain: bool) -> None:
    garbage.is_being_built()
    settings = config(directory, directory / "pki", port=port)
    server = ApiServer(replace(settings, certificate=None) if plain else settings)
    await server.start()
    write_kubeconfig(directory, server, pki.Authority(directory / "pki", datetime.now(UTC)))
    garbage.is_built()
    print("ready", server.url, flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    try:
        words = [word for word in sys.argv[1:] if word != "--plain"]
        uvloop.run(main(Path(words[0]), int(words[1]) if len(words) > 1 else 0, plain="--plain" in sys.argv))
    except UserError as error:
        sys.exit(str(error))
