"""The README's scenario, typed line by line into a shell, until each line shows what the README says it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from graylane.testing import places
from graylane.testing.waiting import eventually

from .rig import BIN

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

README = Path(__file__).parents[2] / "README.md"
# The README uses the default ports, which a test must not; all else is typed as it stands.
SHELL = """
set -e
export PATH={bin}:$PATH
graylane() {{
  if [ "$1" = up ]; then command graylane "$@" --node-ip={node_ip} --api-port=0 --gateway-port=0
  else command graylane "$@"; fi
}}
"""


@dataclass(frozen=True)
class Line:
    """One command and what stands below it."""

    command: str
    shows: tuple[str, ...]


def lines() -> list[Line]:
    """The commands from "by hand" to the pause; what follows are alternatives."""
    text = README.read_text().partition("## The scenario by hand")[2].partition("Let it through")[0]
    found: list[Line] = []
    for line in (line[4:] for line in text.splitlines() if line.startswith("    ")):
        if line.startswith("$ "):
            found.append(Line(line[2:], ()))
        elif found and line.strip():
            found[-1] = Line(found[-1].command, (*found[-1].shows, line))
    return found


class Shell:
    """A bash that stays open, so that variables live on from line to line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._variables: list[str] = []
        self._head = SHELL.format(bin=BIN, node_ip=places.own_node())

    def type(self, command: str) -> str:
        """Runs one line with the variables set so far; a line that sets one is run once and its value kept."""
        variable = re.match(r"(?:export )?([A-Z_]+)=", command)
        tail = f'\nprintf %s "${variable[1]}"' if variable else ""
        done = subprocess.run(
            ["bash", "-c", "\n".join([self._head, *self._variables, command + tail])],
            cwd=README.parent,
            env={"HOME": str(self._folder), "PATH": "/usr/bin:/bin", "XDG_STATE_HOME": str(self._folder)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        if variable:
            self._variables.append(f"export {variable[1]}={shlex.quote(done.stdout)}")
        return done.stdout


@pytest.fixture
def shell() -> Iterator[Shell]:
    with tempfile.TemporaryDirectory(prefix="gl-") as name:
        shell = Shell(Path(name))
        try:
            yield shell
        finally:
            shell.type("graylane down --purge")


async def test_the_readme_is_true(shell: Shell) -> None:
    typed = lines()
    assert len(typed) > 14
    for line in typed:
        await eventually(lambda line=line: shows(shell, line), 60, f"$ {line.command}")  # type: ignore[misc]
    assert "approved" in shell.type("graylane approve rollouts-a rollouts-b --wait")


def shows(shell: Shell, line: Line) -> bool:
    """Types the line; its output must begin as the README says, where that says anything."""
    wanted = [_shape(text) for text in line.shows if text != "…"]
    seen = [_shape(text) for text in shell.type(line.command).splitlines() if text]
    assert seen[: len(wanted)] == wanted
    return True


def _shape(text: str) -> str:
    """What a line says, without the addresses, ports and ages that differ from run to run."""
    return re.sub(r"waiting \d+\w*", "waiting AGE", re.sub(r"127\.[\d.:]+", "IP", text)).strip()
