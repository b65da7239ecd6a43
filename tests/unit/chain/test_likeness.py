"""What is offered to somebody who mistyped a name."""

from __future__ import annotations

import pytest

from graylane.chain.likeness import like, meant

PODS = ["mocka-base-5d4f9-x2x", "mocka-base-7c9b1-abc", "mockb-base-1a2b3-zzz"]


@pytest.mark.parametrize(
    ("typed", "known", "told"),
    [
        ("rollout-a", ["rollouts-a", "billing"], "; did you mean rollouts-a?"),
        ("mocka", PODS, f"; did you mean {PODS[0]} or {PODS[1]}?"),
        ("mokca-base", PODS, f"; did you mean {PODS[0]}, {PODS[1]} or {PODS[2]}?"),
        ("zzz", ["a", "b", "c", "d", "e"], "; there are a, b, c and 2 more"),
        ("zzz", ["only"], "; there is only"),
        ("zzz", [], ""),
    ],
)
def test_names_like_it_are_offered_else_what_there_is(typed: str, known: list[str], told: str) -> None:
    assert meant(typed, known) == told


def test_a_name_is_not_taken_for_one_it_has_little_of() -> None:
    assert like("www.example.com", ["mocka", "mockb.default", "kubernetes"]) == []
