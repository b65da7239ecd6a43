"""OpenKruise's own webhooks as the judge: which Rollouts are let in, and in what words others are refused.

The golden was recorded from the running managers of 0.5.0 and 0.6.2 (decision 25). Where they differ, the later one
counts, unless it crashed. Where ours differs from both, the case names the row of differences.md, or `limits`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.testing.world import World
from graylane.webhooks.rollouts import validate_rollout

ROOT = Path(__file__).parents[3]
ADMITTED, CRASHED, LIMITS = "admitted", "crashed", "limits"
CASES: list[dict[str, Any]] = yaml.load(
    (ROOT / "tests" / "golden" / "openkruise" / "admission.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)


def answer(obj: dict[str, Any]) -> str:
    request = {"uid": "r", "operation": "CREATE", "namespace": "shop", "object": obj}
    response = validate_rollout(request, World().view())
    return response.error.message if response.error else ADMITTED


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_what_is_admitted_there_is_admitted_here_and_refused_in_their_words(case: dict[str, Any]) -> None:
    ours, first, latest = answer(case["object"]), case["0.5.0"], case["0.6.2"]
    theirs = first if latest == CRASHED else latest
    if "because" in case:
        assert ours != ADMITTED
        assert theirs == ADMITTED or theirs not in ours, "the same again: take `because` away"
    elif theirs == ADMITTED:
        assert ours == ADMITTED
    else:
        assert any(words in ours for words in (first, latest))


def test_every_reason_is_a_row_of_the_document() -> None:
    text = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (.*?) \|", text, re.MULTILINE)) | {LIMITS}
    assert {case["because"] for case in CASES if "because" in case} - rows == set()


def test_what_is_refused_for_our_limits_says_so() -> None:
    refused = [answer(case["object"]) for case in CASES if case.get("because") == LIMITS]
    assert [text for text in refused if "not supported by Graylane yet" not in text and "need" not in text] == []
