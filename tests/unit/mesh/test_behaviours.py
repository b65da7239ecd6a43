"""Every behaviour of Istio on the list has a test, and the list names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| (\d+) \| .+ \| (?:`(tests/[\w/]+\.py)`: )?`(test_\w+)` \|$", re.MULTILINE)
HOME = "tests/e2e/test_mesh_routing.py"
LAST = 124


def rows() -> list[tuple[int, str, str]]:
    found = ROW.findall((ROOT / "docs" / "istio-behaviours.md").read_text())
    return [(int(number), file or HOME, test) for number, file, test in found]


def test_every_behaviour_is_claimed_by_a_test() -> None:
    assert {number for number, _, _ in rows()} >= set(range(1, LAST + 1))


def test_the_tests_that_claim_one_exist() -> None:
    missing = [(file, test) for _, file, test in rows() if f"def {test}(" not in (ROOT / file).read_text()]
    assert not missing


def test_a_match_is_tried_for_every_behaviour_that_says_so() -> None:
    """Those that one parametrised test claims are ids of its parameters."""
    text = (ROOT / HOME).read_text()
    claimed = {number for number, _, test in rows() if test == "test_a_match_decides"}
    assert claimed <= {int(number) for number in re.findall(r'^    \(?\s*"(\d+) ', text, re.MULTILINE)}


def test_a_number_in_a_tests_name_is_that_of_a_behaviour_it_claims() -> None:
    for number, _, test in rows():
        named = re.match(r"test_(\d+)(?:_(to|and)_(\d+))?_", test)
        if named:
            low, high = int(named[1]), int(named[3] or named[1])
            assert number in (range(low, high + 1) if named[2] != "and" else (low, high)), test
