"""Conditions, owners and numbers as Kubernetes writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from graylane.errors import Invalid
from graylane.model.hashing import short_hash
from graylane.model.intorpercent import resolve
from graylane.model.meta import Condition, dig, parse_time, set_condition

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_condition_keeps_its_transition_time_until_its_status_flips() -> None:
    first = set_condition([], Condition("Ready", "False", "Starting"), NOON)
    same = set_condition(first, Condition("Ready", "False", "StillStarting"), NOON + timedelta(minutes=1))
    flipped = set_condition(same, Condition("Ready", "True"), NOON + timedelta(minutes=2))
    assert same[0]["lastTransitionTime"] == first[0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert parse_time(flipped[0]["lastTransitionTime"]) == NOON + timedelta(minutes=2)


def test_saying_the_same_again_changes_nothing() -> None:
    once = set_condition([], Condition("Ready", "True", "Up", "all is well"), NOON)
    assert set_condition(once, Condition("Ready", "True", "Up", "all is well"), NOON + timedelta(hours=1)) == once


def test_dig_goes_through_lists_and_stops_at_nulls() -> None:
    obj = {"spec": {"ports": [{"port": 80}], "selector": None}}
    assert dig(obj, "spec", "ports", 0, "port") == 80
    assert dig(obj, "spec", "ports", 1, "port", default=0) == 0
    assert dig(obj, "spec", "selector", "app", default="none") == "none"


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("100%", 7, True, 7)],
)
def test_int_or_percent_rounds_the_way_it_is_asked(value: int | str, total: int, up: bool, expected: int) -> None:
    assert resolve(value, total, round_up=up) == expected


def test_other_text_is_not_a_count() -> None:
    with pytest.raises(Invalid, match="a number of pods or a percentage"):
        resolve("many", 10, round_up=True)


def test_hashes_do_not_depend_on_key_order() -> None:
    assert short_hash({"a": 1, "b": [2]}) == short_hash({"b": [2], "a": 1})
    assert len(short_hash({}, 5)) == 5
