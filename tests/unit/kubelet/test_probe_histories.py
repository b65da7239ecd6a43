"""Probe histories: when thresholds decide, when the next look is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from graylane.cluster.kubelet.probes import (
    Exec,
    History,
    HttpGet,
    Look,
    Probe,
    Purpose,
    TcpSocket,
    next_look,
    probes_of,
    record,
    settled,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
READINESS = Probe(Purpose.READINESS, TcpSocket(80), success_threshold=2, failure_threshold=3)


def verdicts(probe: Probe, outcomes: str) -> str:
    """`+` and `-` in; after each one `r`eady, `u`nready or `?` out."""
    history, said = History(), ""
    for outcome in outcomes:
        history = record(probe, history, outcome == "+")
        said += {True: "r", False: "u", None: "?"}[history.verdict]
    return said


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ("+", "?"),
        ("++", "?r"),
        ("-++", "??r"),
        ("+-+-", "????"),
        ("++--+---", "?rrrrrru"),
        ("---+++", "??uurr"),
    ],
)
def test_thresholds_want_outcomes_in_a_row(outcomes: str, said: str) -> None:
    assert verdicts(READINESS, outcomes) == said


def looks(probe: Probe, *, succeeds_after: float, until: float) -> list[tuple[float, bool]]:
    """(second, counts) of each look at something that answers from `succeeds_after` seconds on."""
    history, look, seen, now = History(), None, [], T0
    while now < T0 + timedelta(seconds=until) and not settled(probe, history):
        look = next_look(probe, history, T0, look, now)
        now = look.at
        seconds = (now - T0).total_seconds()
        seen.append((seconds, look.counts))
        history = record(probe, history, seconds >= succeeds_after, counts=look.counts)
    return seen


def test_while_it_comes_up_a_readiness_probe_looks_often_but_counts_only_its_beats() -> None:
    seen = looks(Probe(Purpose.READINESS, TcpSocket(80)), succeeds_after=3, until=25)
    assert [second for second, counts in seen if counts] == [0, 10, 20, 30]
    early = [second for second, counts in seen if not counts]
    assert early[0] < 0.02
    first_success = next(second for second in early if second >= 3)
    assert first_success < 3.5
    assert all(second <= first_success for second in early), "once it is ready the period is enough"


def test_a_liveness_probe_keeps_to_its_period_and_delay() -> None:
    probe = Probe(Purpose.LIVENESS, TcpSocket(80), initial_delay=timedelta(seconds=5), period=timedelta(seconds=3))
    assert looks(probe, succeeds_after=99, until=12) == [(5, True), (8, True), (11, True), (14, True)]


def test_a_slow_look_does_not_pile_up_others() -> None:
    probe = Probe(Purpose.LIVENESS, TcpSocket(80), period=timedelta(seconds=1))
    late = T0 + timedelta(seconds=5.5)
    look = next_look(probe, record(probe, History(), True), T0, Look(T0, True), late)
    assert look.at == T0 + timedelta(seconds=6)


def test_the_implied_probe_looks_until_the_port_listens_then_never_again() -> None:
    (probe,) = probes_of({"name": "a", "ports": [{"containerPort": 8000}, {"containerPort": 9000}]})
    assert (probe.implied, probe.check, probe.purpose) == (True, TcpSocket(8000), Purpose.READINESS)
    seen = looks(probe, succeeds_after=100, until=200)
    assert 100 <= seen[-1][0] < 100.6
    assert not any(counts for _, counts in seen), "not listening yet is no failure"


def test_no_probe_is_implied_beside_a_readiness_probe_or_without_a_tcp_port() -> None:
    tcp = {"tcpSocket": {"port": "http"}}
    (probe,) = probes_of({"ports": [{"name": "http", "containerPort": 81}], "readinessProbe": tcp})
    assert (probe.implied, probe.check) == (False, TcpSocket(81))
    assert probes_of({"ports": [{"containerPort": 53, "protocol": "UDP"}]}) == ()


def test_handlers_are_read_with_kubernetes_defaults() -> None:
    startup, liveness = probes_of(
        {
            "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 7},
            "startupProbe": {"httpGet": {"port": 80, "path": "x", "scheme": "HTTPS"}, "failureThreshold": 30},
        }
    )
    assert startup.check == HttpGet(80, "/x", https=True)
    assert (startup.failure_threshold, startup.period) == (30, timedelta(seconds=10))
    assert (liveness.check, liveness.period, liveness.timeout) == (
        Exec(("true",)),
        timedelta(seconds=7),
        timedelta(seconds=1),
    )
