"""RE2's patterns, read with Python's `re`."""

from __future__ import annotations

import pytest

from graylane.errors import UserError
from graylane.model import re2


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^a$", "a\n", False),
        ("^[[:alpha:]]+$", "abc", True),
        (r"^\Qa.b\E$", "axb", False),
        ("[a[]", "[", True),
        ("[]x]", "]", True),
        (r"^\d+$", "١", False),
        (r"a\z", "a", True),
        ("^[[:^alpha:]]$", "1", True),
        ("^[[:^alpha:]]$", "a", False),
        ("^x(?i)y$", "xY", True),
        ("^x(?i)y$", "XY", False),
        ("^(?:a(?i)b|c)d$", "Cd", True),
        ("^(?:a(?i)b|c)d$", "CD", False),
        ("(?i)^a|b$", "B", True),
        ("(?U)^a+$", "aa", True),
        ("^(?<n>a)(?P<m>b)$", "ab", True),
        (r"^\x{61}[\x{62}]$", "ab", True),
        ("^a{,2}$", "a{,2}", True),
        ("^a{2}$", "aa", True),
    ],
)
def test_patterns_mean_what_they_mean_in_re2(pattern: str, text: str, matches: bool) -> None:
    assert bool(re2.compile_pattern(pattern).search(text)) is matches


LACKING = (
    "(?=a) (?<!a)b (a)\\1 ( (?P=x) a{1001} a++ a{2}+ (?>a) (?#a)b (?(1)a|b) (?a)b (?x)b \\Z \\u0041 \\G [[:no:]] [\\Z]"
)


@pytest.mark.parametrize("pattern", LACKING.split())
def test_patterns_that_re2_lacks_are_refused(pattern: str) -> None:
    with pytest.raises(UserError):
        re2.compile_pattern(pattern)


def test_a_class_of_unicode_is_no_fault_of_the_pattern() -> None:
    with pytest.raises(re2.NotInPython):
        re2.compile_pattern(r"\pL+")
