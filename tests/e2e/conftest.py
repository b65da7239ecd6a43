"""Fixtures that several files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .rig import Up, started
from .town import shared_town, town

__all__ = ["shared_town", "town", "up"]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """An empty cluster; files that want another have a fixture of that name."""
    with started(tmp_path / "data") as rig:
        yield rig
