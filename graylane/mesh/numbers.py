"""Numbers as objects write them, kept to what a field of Envoy's can hold.

Pure. In: a number. Out: the nearest one from 0 to 2³² − 1. What is out of all reason is admission's to refuse and
Envoy's to complain about; here it only must not stop everything else.
"""

from __future__ import annotations

from typing import Any

MOST = (1 << 32) - 1


def natural(value: Any) -> int:
    return min(max(int(value), 0), MOST)
