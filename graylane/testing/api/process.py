"""An API server in a process of its own, for tests that kill it, starve it or cut it off.

Shell. In: its directory, and a command to run it under. Out: the process and a `Rig`; nothing is left of it afterwards.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from graylane.testing.api.rig import Https, Rig
from graylane.testing.api.serve import TOKEN

SERVE = (sys.executable, "-m", "graylane.testing.api.serve")
STARTS_WITHIN = 30.0


@asynccontextmanager
async def serving(directory: Path, *under: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Rig]]:
    """`under` is a command that ends by running its arguments in the same process, like `env`."""
    process = await asyncio.create_subprocess_exec(*under, *SERVE, directory, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            url = (await process.stdout.readline()).split()[1].decode()
        inside = Path(f"/proc/{process.pid}/root") if under else Path("/")
        https = Https(url, (inside / directory.relative_to("/") / "pki" / "ca.crt").read_bytes())
        try:
            yield process, Rig(https, TOKEN, "https")
        finally:
            await https.close()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
