"""Durations in buckets: few of them, and percentiles that are at most one bucket too high."""

from __future__ import annotations

import pytest

from graylane.chain.latency import bucket_of, percentile, together


@pytest.mark.parametrize("seconds", [0.0001, 0.00042, 0.003, 0.0312, 0.25, 1.0, 99.0])
def test_a_percentile_is_never_too_low_and_at_most_one_bucket_too_high(seconds: float) -> None:
    found = percentile({bucket_of(seconds): 7}, 0.99)
    assert found is not None
    assert seconds <= found <= seconds * 1.15


def test_whatever_no_bucket_holds_is_in_the_outermost_ones() -> None:
    assert bucket_of(0.0) == 0
    assert bucket_of(1e9) == bucket_of(110.0) == 99


def test_one_slow_request_of_a_hundred_is_not_the_ninety_ninth() -> None:
    fast, slow = bucket_of(0.01), bucket_of(1.0)
    assert percentile({fast: 99, slow: 1}, 0.99) == percentile({fast: 1}, 0.99)
    assert percentile({fast: 98, slow: 2}, 0.99) == percentile({slow: 1}, 0.99)


def test_counts_of_several_add_up_and_none_have_no_percentile() -> None:
    assert together([{1: 2, 3: 1}, {3: 4}]) == {1: 2, 3: 5}
    assert percentile({}, 0.99) is None
