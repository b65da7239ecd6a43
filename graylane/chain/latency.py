"""How long requests took, as counts in a fixed number of buckets that can be added up.

Pure. In: seconds. Out: bucket numbers, and percentiles of counts by bucket. A bucket ends 15 % above the one before it,
so a percentile is told at most that much too high: enough to see that one version is slower than the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

_FIRST, _GROWTH, _BUCKETS = 0.0001, 1.15, 100
_ENDS = tuple(_FIRST * _GROWTH**number for number in range(_BUCKETS))  # 0.1 ms … 102 s

Took = Mapping[int, int]
"""How many requests by bucket."""


def bucket_of(seconds: float) -> int:
    """The first bucket that ends at or after `seconds`; whatever takes longer than all of them is in the last."""
    return min(bisect_left(_ENDS, seconds), _BUCKETS - 1)


def together(each: Iterable[Took]) -> dict[int, int]:
    found: dict[int, int] = {}
    for took in each:
        for bucket, count in took.items():
            found[bucket] = found.get(bucket, 0) + count
    return found


def percentile(took: Took, share: float) -> float | None:
    """In seconds: what this share of the requests took at most. None of no requests."""
    wanted, passed = share * sum(took.values()), 0
    for bucket in sorted(took):
        passed += took[bucket]
        if passed >= wanted:
            return _ENDS[bucket]
    return None
