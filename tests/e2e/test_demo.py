"""`graylane demo`: the scenario end to end, once, with every row held and nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .rig import GRAYLANE

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as a real temporary directory is: a path with a Unix socket in it has no more than a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="gl-") as name:
        yield Path(name)


@pytest.mark.timeout(240)
def test_every_row_of_the_scenario_holds_and_nothing_is_left_behind(folder: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [*GRAYLANE, "demo"], env=environment, capture_output=True, text=True, timeout=220, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "12 of 12 rows held" in done.stdout
    assert re.search(r"0 failed +0 of \d{3,} requests +yes", done.stdout)
    assert re.search(r"0 misrouted +0 of \d{3,} +yes", done.stdout)
    assert "+++ VirtualService/vs-mocka after" in done.stdout
    assert "\x1b[" not in done.stdout
    table = done.stdout.partition("All checks")[2]
    assert max(map(len, table.splitlines())) <= 80
    assert list(folder.iterdir()) == []
    assert str(folder) not in _all_command_lines()


def _all_command_lines() -> str:
    texts = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)
