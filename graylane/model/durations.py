"""Durations as Istio's objects write them: Go's `1h30m`, `100ms`, `2.5s`.

Pure. In: text. Out: seconds, or None where the text is not a duration. Protobuf's own JSON knows only `…s`.
"""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def seconds(text: str) -> float | None:
    """`seconds("1m30s") == 90.0`; None for anything Go's `time.ParseDuration` refuses."""
    if text in ("0", "0s"):
        return 0.0
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)
