"""An Envoy that serves nobody and asks nobody, only to hear what it says against a configuration.

Shell. In: a bootstrap file, or resources to be added to ours. Out: its complaint, "" for none. One try takes about
50 ms.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from graylane.cluster.envoy.binary import find_envoy, validation
from graylane.cluster.envoy.bootstrap import Bootstrap, bootstrap_document

_PATIENCE_SECONDS = 20
_PREFIX = "error initializing configuration"
_OURS = json.dumps(bootstrap_document(Bootstrap("trial", "127.0.0.1", 1, "/dev/null")))


class Trial:
    """`directory` is for what the Envoy on trial reads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __call__(self, addition: bytes) -> str:
        """`addition` is a serialized Bootstrap with what is to be tried."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix="trial-", suffix=".pb") as file:
            file.write(addition)
            file.flush()
            return await complaint((*validation(find_envoy(), Path(file.name)), "--config-yaml", _OURS))


async def complaint(command: tuple[str, ...]) -> str:
    """All that Envoy says against what it was started with."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=nothing, stderr=pipe)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        return f"Envoy did not say within {_PATIENCE_SECONDS} s whether it would start with it"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not process.returncode:
        return ""
    text = said.decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {process.returncode}"
    return text.partition(_PREFIX)[2].partition("': ")[2].strip() or last
