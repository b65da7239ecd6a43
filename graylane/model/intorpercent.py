"""Kubernetes' int-or-percent: `3`, `"25%"`.

Pure. In: the value and the total it is a part of. Out: a count.
"""

from __future__ import annotations

import re

from graylane.errors import Invalid

_PERCENT = re.compile(r"(\d+)%")


def resolve(value: int | str, total: int, *, round_up: bool) -> int:
    """`resolve("25%", 10, round_up=True) == 3`; plain ints come back as they are; other text raises `Invalid`."""
    if isinstance(value, int):
        return value
    percent = percent_of(value)
    if percent is None:
        raise Invalid(f'invalid value "{value}": a number of pods or a percentage such as "25%" is expected')
    scaled = percent * total
    return -(-scaled // 100) if round_up else scaled // 100


def percent_of(value: int | str) -> int | None:
    """`25` for `"25%"`; None for anything that is not a percentage."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None
