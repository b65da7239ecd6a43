"""Confirmation is yes, no or cannot tell, and never pretends to know."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graylane.trafficrouting.confirm import Answer, tells, verdict

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(seconds=3)


def reported(status: str, reason: str = "Acknowledged", observed: Any = 2, message: str = "1/2 up to date") -> Any:
    condition = {"type": "Reconciled", "status": status, "reason": reason, "message": message}
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": [condition]}}


@pytest.mark.parametrize(
    ("obj", "answer"),
    [
        (reported("True"), Answer.YES),
        (reported("True", observed="2"), Answer.YES),
        (reported("True", observed=1), Answer.LAGS),
        (reported("False", "WaitingForProxies"), Answer.LAGS),
        (reported("False", "RefusedByProxy"), Answer.REFUSED),
    ],
)
def test_a_mesh_that_reports_is_believed_whatever_the_time(obj: Any, answer: Answer) -> None:
    assert tells(obj)
    for seconds in (0, 60):
        assert verdict(obj, SINCE, GRACE, SINCE + timedelta(seconds=seconds)).answer is answer


def routed(*parents: tuple[str, int]) -> Any:
    """An HTTPRoute with what was said for each of its parents, and for which generation."""
    entries = [
        {"conditions": [{"type": "Reconciled", "status": status, "reason": "x", "observedGeneration": generation}]}
        for status, generation in parents
    ]
    return {"metadata": {"generation": 2}, "status": {"parents": [{"conditions": []}, *entries]}}


@pytest.mark.parametrize(
    ("obj", "answer"),
    [
        (routed(("True", 2)), Answer.YES),
        (routed(("True", 2), ("True", 1)), Answer.LAGS),
        (routed(("True", 2), ("False", 2)), Answer.LAGS),
        (routed(), Answer.WAITS),
    ],
)
def test_a_route_is_confirmed_when_it_is_at_all_of_its_parents(obj: Any, answer: Answer) -> None:
    assert verdict(obj, SINCE, GRACE, SINCE).answer is answer


def test_a_mesh_that_refuses_is_quoted() -> None:
    found = verdict(reported("False", "RefusedByProxy", message="duplicate domain"), SINCE, GRACE, SINCE)
    assert (found.may_go_on, found.words) == (False, "is not on all proxies: duplicate domain")


def test_where_nobody_says_time_decides_and_the_words_say_so() -> None:
    silent = {"metadata": {"generation": 2}, "status": {"conditions": []}}
    early, late = verdict(silent, SINCE, GRACE, SINCE), verdict(silent, SINCE, GRACE, SINCE + GRACE)
    assert not tells(silent)
    assert (early.answer, early.may_go_on, early.ask_at) == (Answer.WAITS, False, SINCE + GRACE)
    assert (late.answer, late.may_go_on, late.ask_at) == (Answer.ASSUMED, True, None)
    assert early.words == "is not reported on by the mesh; waits 3 s, until 2026-01-01T00:00:03Z"
