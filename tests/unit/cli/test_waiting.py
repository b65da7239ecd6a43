"""`eventually`: the first truthy value, or a complaint that says what was last seen."""

from __future__ import annotations

import pytest

from graylane.testing.waiting import eventually


async def test_it_returns_the_first_truthy_value_of_a_plain_or_async_function() -> None:
    values = iter([0, "", 7])
    assert await eventually(lambda: next(values), 1) == 7

    async def ready() -> str:
        return "yes"

    assert await eventually(ready, 1) == "yes"


async def test_a_failed_assertion_inside_means_not_yet_and_is_told_at_the_deadline() -> None:
    def never() -> bool:
        raise AssertionError("two pods, not three")

    with pytest.raises(AssertionError, match=r"not within 0.02 s: three pods; last seen: .*two pods, not three"):
        await eventually(never, 0.02, "three pods")


async def test_other_errors_end_the_wait_unless_they_are_named() -> None:
    def broken() -> bool:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        await eventually(broken, 1)
    with pytest.raises(AssertionError, match="bug"):
        await eventually(broken, 0.02, ignore=(ValueError,))
