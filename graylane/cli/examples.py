"""Finds the shipped examples, from a source tree and from an installed wheel.

Shell. In: a file's name. Out: its path. The wheel carries `examples/` inside the package.
"""

from __future__ import annotations

from pathlib import Path

import graylane
from graylane.errors import UserError

_PACKAGE = Path(graylane.__file__).parent
_PLACES = (_PACKAGE / "examples", _PACKAGE.parent / "examples")
SCENARIO = "end-to-end-canary"


def scenario() -> Path:
    """The folder of the end-to-end scenario's manifests."""
    for place in _PLACES:
        if (place / SCENARIO).is_dir():
            return place / SCENARIO
    raise UserError(f"the shipped examples are missing from {_PACKAGE}; reinstall graylane")


def example(name: str) -> Path:
    """One file by its name or the start of it, e.g. `05`."""
    found = sorted(scenario().glob(f"{name}*"))
    if not found:
        raise UserError(f"the shipped example {name} is missing from {scenario()}; reinstall graylane")
    return found[0]
