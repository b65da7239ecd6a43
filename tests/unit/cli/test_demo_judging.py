"""The demo's judge: who may answer what, when."""

from __future__ import annotations

import pytest

from graylane.chain.workloads import Role
from graylane.cli.demo.answers import Answer, HopAnswer, parse
from graylane.cli.demo.judging import judge
from graylane.cli.demo.timeline import Rule, Timeline

BASE_A, BASE_B, CANARY_A, CANARY_B = "127.20.0.1", "127.20.0.2", "127.20.0.3", "127.20.0.4"


def timeline() -> Timeline:
    """Both lanes open from 10 to 20; each release begins at 5 and is over at 25."""
    line = Timeline()
    for ip, role in ((BASE_A, Role.BASE), (BASE_B, Role.BASE)):
        line.arrive(ip, role, 0)
    for ip in (CANARY_A, CANARY_B):
        line.arrive(ip, Role.CANARY, 6)
        line.leave(ip, 24)
    for hop in ("mocka", "mockb"):
        line.mark(hop, Rule.EITHER, 5)
        line.mark(hop, Rule.CANARY, 10)
        line.mark(hop, Rule.EITHER, 20)
        line.mark(hop, Rule.BASE, 25)
    return line


def answer(at: float, a: str, b: str, *, dyed: bool, lasts: float = 0.01, status: int = 200, error: str = "") -> Answer:
    body = f"-> mocka(version: x, ip: {a})-> mockb(version: y, ip: {b})"
    return Answer(at, at + lasts, dyed, True, status, "" if error else body, error)


RIGHT = [
    answer(1, BASE_A, BASE_B, dyed=True),
    answer(7, CANARY_A, BASE_B, dyed=True),
    answer(15, CANARY_A, CANARY_B, dyed=True),
    answer(15, BASE_A, BASE_B, dyed=False),
    answer(22, BASE_A, CANARY_B, dyed=True),
    answer(30, BASE_A, BASE_B, dyed=True),
    answer(9.9, BASE_A, CANARY_B, dyed=True, lasts=0.2),  # sent before the lane was confirmed
    answer(19.9, BASE_A, CANARY_B, dyed=True, lasts=0.2),  # answered after the approval
]


@pytest.mark.parametrize("right", RIGHT)
def test_a_request_served_by_an_allowed_role_is_right(right: Answer) -> None:
    verdict = judge([right], timeline())
    assert verdict.complaints == []
    assert verdict.clean


MISROUTED = [
    answer(15, BASE_A, CANARY_B, dyed=True),
    answer(15, CANARY_A, BASE_B, dyed=True),
    answer(15, CANARY_A, CANARY_B, dyed=False),
    answer(7, BASE_A, CANARY_B, dyed=False),  # plain requests have no transition
    answer(15, "127.0.0.9", BASE_B, dyed=False),
]


@pytest.mark.parametrize("wrong", MISROUTED)
def test_a_request_served_by_another_role_is_misrouted(wrong: Answer) -> None:
    verdict = judge([wrong], timeline())
    assert (verdict.misrouted, verdict.failed) == (1, 0)
    assert len(verdict.complaints) == 1


FAILED = [
    answer(7, CANARY_A, CANARY_B, dyed=True, status=503),
    answer(7, CANARY_A, CANARY_B, dyed=True, error="ServerDisconnectedError"),
    Answer(7, 7.1, True, True, 200, "-> mocka(version: x, ip: 1)mocka(version: x): upstream is gone"),
]


@pytest.mark.parametrize("failed", FAILED)
def test_a_failure_is_a_failure_at_every_instant(failed: Answer) -> None:
    verdict = judge([failed], timeline())
    assert (verdict.misrouted, verdict.failed) == (0, 1)


def test_a_hop_without_a_release_must_serve_dyed_requests_from_base() -> None:
    line = timeline()
    line.marks.pop("mocka")
    assert judge([answer(15, BASE_A, CANARY_B, dyed=True)], line).clean
    assert judge([answer(15, CANARY_A, CANARY_B, dyed=True)], line).misrouted == 1


def test_an_address_used_again_is_what_it_was_at_the_time() -> None:
    line = timeline()
    line.leave(BASE_A, 40)
    line.arrive(BASE_A, Role.CANARY, 50)
    assert judge([answer(30, BASE_A, BASE_B, dyed=False)], line).clean
    assert judge([answer(60, BASE_A, BASE_B, dyed=False)], line).misrouted == 1


def test_counts_and_rate_come_from_what_was_sent() -> None:
    answers = [answer(10 + number / 10, BASE_A, BASE_B, dyed=False) for number in range(101)]
    verdict = judge([*answers, answer(15, CANARY_A, CANARY_B, dyed=True)], timeline())
    assert (verdict.plain, verdict.dyed, verdict.dyed_on_canary) == (101, 1, 1)
    assert verdict.rate == pytest.approx(10.2)


def test_no_traffic_is_not_a_clean_bill() -> None:
    assert not judge([], timeline()).clean


def test_an_answer_names_its_hops_in_order() -> None:
    assert parse("-> mocka(version: base, ip: 1.2.3.4)-> mockb(version: canary2, ip: 5.6.7.8)\n") == (
        HopAnswer("mocka", "base", "1.2.3.4"),
        HopAnswer("mockb", "canary2", "5.6.7.8"),
    )


@pytest.mark.parametrize("body", ["", "no healthy upstream", "-> mocka(version: base, ip: 1)upstream broke"])
def test_half_an_answer_is_none(body: str) -> None:
    assert parse(body) == ()
