"""An Envoy that an earlier run has left: what it was started with, and whether it may go on.

Pure, but for `left`, which asks the holder. In: notes made at its start, what we would start now. Out: why it may not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graylane.cluster.processes import holding


@dataclass(frozen=True, slots=True)
class Start:
    """All that one start of Envoy was about. `run` counts them; `started` is ISO 8601."""

    run: int
    started: str
    image: str
    argv: tuple[str, ...]
    bootstrap: str
    xds_port: int
    node_ip: str
    gateway_port: int

    def notes(self) -> dict[str, Any]:
        return asdict(self)


def start_of(notes: dict[str, Any]) -> Start | None:
    """None for notes of other fields than ours."""
    try:
        return Start(**{**notes, "argv": tuple(notes["argv"])})
    except (KeyError, TypeError):
        return None


UNFIT: tuple[tuple[Callable[[Start, Start], bool], str], ...] = (  # first row that applies wins; else it goes on
    (lambda old, new: old.image != new.image, "another Envoy is installed now"),
    (lambda old, new: old.argv != new.argv, "it would be started in another way now"),
    (lambda old, new: old.bootstrap != new.bootstrap, "its bootstrap is another one now"),
)


def unfit(old: Start | None, new: Start) -> str:
    """Why a running Envoy must be replaced; "" where it goes on."""
    if old is None:
        return "how it was started is not known"
    return next((because for when, because in UNFIT if when(old, new)), "")


def holder_of(data_dir: Path) -> Path:
    """Where the holder of Envoy is found."""
    return data_dir / "processes" / "envoy"


def left(data_dir: Path) -> Start | None:
    """The Envoy that runs in this data directory although nobody supervises it; None when there is none."""
    found = holding.look(holder_of(data_dir))
    running = [each for each in (found or {}).get("held", ()) if each["exit"] is None]
    return start_of(running[-1]["notes"]) if running else None
