"""How long what passes is left unsaid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from graylane.kit.patience import LONGEST, MOMENT, Patience
from graylane.model.meta import Key

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Key("shop", "web")


def test_one_by_itself_is_told_after_a_moment_however_often_it_is_looked_at() -> None:
    patience = Patience()
    for seconds in range(3):
        now = NOW + timedelta(seconds=seconds)
        assert patience.until(ONE, now) == NOW + MOMENT
        patience.note(ONE, now, unsaid=True)


def test_what_was_told_begins_anew() -> None:
    patience = Patience()
    patience.note(ONE, NOW, unsaid=True)
    patience.note(ONE, NOW, unsaid=False)
    later = NOW + timedelta(minutes=1)
    assert patience.until(ONE, later) == later + MOMENT


def test_among_many_a_moment_is_longer_but_never_endless() -> None:
    patience = Patience()
    for number in range(100):
        patience.note(Key("shop", f"s{number}"), NOW, unsaid=True)
    assert patience.until(ONE, NOW) == NOW + timedelta(seconds=12)
    for number in range(10_000):
        patience.note(Key("shop", f"s{number}"), NOW, unsaid=True)
    assert patience.until(ONE, NOW) == NOW + LONGEST
