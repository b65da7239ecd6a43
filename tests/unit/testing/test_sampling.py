"""What a sample may show is exact, and a sample that must not be is refused."""

import itertools
from fractions import Fraction
from math import comb

import pytest

from graylane.testing.sampling import CHANCE, everyone, likely, tries


def chance_of(counts: range, total: int, share: Fraction) -> Fraction:
    return sum((comb(total, each) * share**each * (1 - share) ** (total - each) for each in counts), Fraction(0))


@pytest.mark.parametrize(("total", "share"), [(200, Fraction(1, 2)), (400, Fraction(9, 10)), (60, Fraction(1, 5))])
def test_all_counts_but_the_improbable_ones_are_likely(total: int, share: Fraction) -> None:
    found = likely(total, float(share))
    outside = 1 - chance_of(found, total, share)
    assert outside <= CHANCE
    for end in (found[0], found[-1]):
        assert chance_of(range(end, end + 1), total, share) + outside > CHANCE / 2, "the range is no wider than it must"


def test_a_certain_share_has_one_count_and_large_samples_have_a_range() -> None:
    assert likely(400, 1) == range(400, 401)
    assert likely(400, 0) == range(1)
    assert 20_000 in likely(100_000, 0.2)


def test_after_so_many_tries_a_share_has_shown_itself() -> None:
    assert (1 - 0.01) ** tries(0.01) <= CHANCE < (1 - 0.01) ** (tries(0.01) - 1)


async def test_everyone_answers_or_somebody_is_named() -> None:
    turns = itertools.cycle("ab")

    async def ask() -> str:
        return next(turns)

    await everyone(ask, "ab")
    with pytest.raises(AssertionError, match="'b' answered"):
        await everyone(ask, "a")
    with pytest.raises(AssertionError, match=r"only .* answered"):
        await everyone(ask, "abc")
