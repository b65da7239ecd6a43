"""A pod's life as stories: what is known, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graylane.cluster.kubelet.lifecycle import (
    CONTAINER_LIFE,
    POD_LIFE,
    Assign,
    Decision,
    Expire,
    Facts,
    Finish,
    Start,
    Stop,
    decide,
)
from graylane.cluster.kubelet.states import (
    NOT_CREATED,
    Backoff,
    Container,
    Restart,
    Running,
    State,
    Terminated,
    Waiting,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WELL = Running(NOW, started=True, ready=True)
SICK = Running(NOW, started=True, ready=True, unhealthy="Container a failed liveness probe, will be restarted")


def ended(code: int, seconds_ago: float = 0) -> Terminated:
    return Terminated(code, "Error" if code else "Completed", NOW - timedelta(seconds=seconds_ago), NOW)


def pod(*containers: Container, **facts: object) -> Facts:
    return Facts(containers, **({"address": "127.20.0.2"} | facts))  # type: ignore[arg-type]


def test_a_new_pod_gets_an_address_before_anything_else() -> None:
    assert decide(pod(Container("a"), address=""), NOW).actions == (Assign(),)


def test_its_containers_start_together() -> None:
    assert decide(pod(Container("a"), Container("b")), NOW).actions == (Start("a"), Start("b"))


def test_in_a_mesh_they_wait_for_the_proxy() -> None:
    waiting = pod(Container("a"), proxied=True)
    assert decide(waiting, NOW) == Decision("its proxy must be there before its first request")
    assert decide(replace(waiting, proxy_ready=True), NOW).actions == (Start("a"),)


def test_what_is_refused_never_starts() -> None:
    assert decide(pod(Container("a"), refusals=("no",)), NOW).actions == ()


def test_init_containers_run_one_by_one_and_before_the_others() -> None:
    first, second = Container("first", init=True), Container("second", init=True)
    assert decide(pod(first, second, Container("a")), NOW).actions == (Start("first"),)
    running = replace(first, state=WELL, runs=1)
    assert decide(pod(running, second, Container("a")), NOW).actions == ()
    done = replace(first, state=ended(0), runs=1)
    assert decide(pod(done, second, Container("a")), NOW).actions == (Start("second"),)
    assert decide(pod(done, replace(second, state=ended(0), runs=1), Container("a")), NOW).actions == (Start("a"),)


def test_a_failed_init_container_runs_again_unless_never() -> None:
    failed = Container("first", ended(1), init=True, runs=1)
    assert decide(pod(failed, Container("a")), NOW).actions == (Start("first"),)
    never = decide(pod(failed, Container("a"), restart=Restart.NEVER), NOW)
    assert never == Decision("its containers are done for good")


def test_a_container_that_starts_or_stops_is_left_alone() -> None:
    assert decide(pod(Container("a", busy=True)), NOW).actions == ()
    assert decide(pod(Container("a", SICK, runs=1, busy=True)), NOW).actions == ()


def test_what_could_not_start_is_tried_again_at_its_time() -> None:
    later = NOW + timedelta(seconds=2)
    waits = pod(Container("a", Waiting("ErrImagePull", "unknown", later)))
    assert decide(waits, NOW) == Decision("its containers run", (), later)
    assert decide(waits, later).actions == (Start("a"),)


def test_a_sick_container_is_stopped_within_the_grace_period() -> None:
    (stop,) = decide(pod(Container("a", SICK, runs=1), grace=timedelta(seconds=7)), NOW).actions
    assert stop == Stop("a", NOW + timedelta(seconds=7), SICK.unhealthy)


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [
        (Restart.ALWAYS, 0, True),
        (Restart.ALWAYS, 1, True),
        (Restart.ON_FAILURE, 0, False),
        (Restart.ON_FAILURE, 1, True),
        (Restart.NEVER, 0, False),
        (Restart.NEVER, 1, False),
    ],
)
def test_the_restart_policy_says_whether_an_ended_container_runs_again(
    restart: Restart, code: int, again: bool
) -> None:
    decision = decide(pod(Container("a", ended(code), runs=1), restart=restart), NOW)
    assert decision.actions == ((Start("a"),) if again else ())


def test_a_container_that_keeps_ending_waits_longer_each_time() -> None:
    """Runs for one second each time: kubelet's 0, 10, 20, 40, 80, 160, 300, 300 seconds."""
    now, backoff, waits = NOW, Backoff(), []
    for _ in range(8):
        end = now + timedelta(seconds=1)
        crashed = pod(Container("a", replace(ended(1), finished_at=end), runs=1, backoff=backoff))
        decision = decide(crashed, end)
        now = end if decision.actions else decision.wake_at or end
        assert decide(crashed, now).actions == (Start("a"),)
        waits.append((now - end).total_seconds())
        backoff = backoff.advanced(end, now)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_minutes_of_running_make_earlier_ends_forgotten() -> None:
    tired = Backoff(timedelta(minutes=5), NOW)
    end = NOW + timedelta(minutes=10, seconds=1)
    assert tired.until(end) == end
    assert tired.advanced(end, end).delay == timedelta(seconds=10)


def test_a_deleted_pod_first_loses_its_traffic_then_its_processes() -> None:
    running = pod(Container("a", WELL, runs=1), proxied=True, proxy_ready=True, leaving_since=NOW)
    draining = decide(running, NOW)
    assert draining == Decision(
        "it was deleted, but proxies may still send it requests", (), NOW + timedelta(seconds=10)
    )
    stop = Stop("a", NOW + timedelta(seconds=30), "Stopping container a")
    assert decide(replace(running, drained=True), NOW).actions == (stop,)
    assert decide(running, NOW + timedelta(seconds=10)).actions == (stop,), "a mesh that is down does not hold it"
    short = replace(running, grace=timedelta(seconds=6))
    assert decide(short, NOW + timedelta(seconds=3)).actions == (Stop("a", NOW + timedelta(seconds=6), stop.message),)


def test_without_a_mesh_it_is_stopped_at_once() -> None:
    leaving = pod(Container("a", WELL, runs=1), Container("b", busy=True), leaving_since=NOW)
    assert [type(action) for action in decide(leaving, NOW).actions] == [Stop, Stop]


def test_once_nothing_runs_the_object_goes() -> None:
    assert decide(pod(Container("a", ended(0), runs=1), leaving_since=NOW), NOW).actions == (Finish(),)
    assert decide(pod(Container("a"), leaving_since=NOW, address=""), NOW).actions == (Finish(),)


def test_past_its_deadline_a_pod_fails_and_is_stopped() -> None:
    late = pod(Container("a", WELL, runs=1), deadline=timedelta(seconds=5), started_at=NOW)
    assert decide(late, NOW).wake_at == NOW + timedelta(seconds=5)
    (expire,) = decide(late, NOW + timedelta(seconds=5)).actions
    assert isinstance(expire, Expire)
    assert expire.reason == "DeadlineExceeded"
    (stop,) = decide(replace(late, over=True), NOW + timedelta(seconds=5)).actions
    assert isinstance(stop, Stop)


PROXY = Container("proxy", WELL, init=True, sidecar=True, runs=1)
STARTING = replace(PROXY, state=Running(NOW, started=False, ready=False))


def test_what_comes_after_a_sidecar_waits_until_it_has_started() -> None:
    setup, main = Container("setup", init=True), Container("a")
    assert decide(pod(replace(PROXY, state=NOT_CREATED, runs=0), setup, main), NOW).actions == (Start("proxy"),)
    assert decide(pod(STARTING, setup, main), NOW).actions == ()
    assert decide(pod(PROXY, setup, main), NOW).actions == (Start("setup"),)
    assert decide(pod(PROXY, replace(setup, state=ended(0), runs=1), main), NOW).actions == (Start("a"),)


def test_a_sidecar_runs_again_whatever_its_pods_policy_and_stage() -> None:
    crashed = replace(PROXY, state=ended(0))
    running_init = Container("setup", WELL, init=True, runs=1)
    for rest in ((running_init, Container("a")), (Container("a", WELL, runs=1),)):
        facts = pod(crashed, *rest, restart=Restart.NEVER)
        assert decide(facts, NOW).actions == (Start("proxy"),)
        sick = pod(replace(PROXY, state=SICK), *rest, restart=Restart.NEVER)
        assert decide(sick, NOW).actions == (Stop("proxy", NOW + timedelta(seconds=30), SICK.unhealthy),)


def test_sidecars_stop_once_the_others_are_done_the_last_one_first() -> None:
    logs = replace(PROXY, name="logs")
    ended_well = pod(PROXY, logs, Container("a", ended(0), runs=1), restart=Restart.NEVER)
    stop = Stop("logs", NOW + timedelta(seconds=30), "Stopping container logs")
    assert decide(ended_well, NOW) == Decision("its containers are done for good", (stop,))
    one_left = pod(PROXY, replace(logs, state=ended(143)), Container("a", ended(0), runs=1), restart=Restart.NEVER)
    (left,) = decide(one_left, NOW).actions
    assert isinstance(left, Stop)
    assert left.container == "proxy"


def test_a_deleted_pod_keeps_its_sidecars_until_the_others_have_ended() -> None:
    def stopped(*containers: Container) -> list[str]:
        actions = decide(pod(*containers, leaving_since=NOW), NOW).actions
        return [action.container for action in actions if isinstance(action, Stop)]

    logs = replace(PROXY, name="logs")
    assert stopped(PROXY, logs, Container("a", WELL, runs=1), Container("b", WELL, runs=1)) == ["a", "b"]
    assert stopped(PROXY, logs, Container("a", ended(0), runs=1)) == ["logs"]
    assert stopped(PROXY, Container("setup", WELL, init=True, runs=1), Container("a")) == ["setup"]


def test_a_probe_may_have_a_grace_of_its_own() -> None:
    sick = replace(SICK, within=timedelta(seconds=3))
    (stop,) = decide(pod(Container("a", sick, runs=1)), NOW).actions
    assert stop == Stop("a", NOW + timedelta(seconds=3), SICK.unhealthy)


def test_every_row_says_why() -> None:
    reasons = [row.because for row in (*POD_LIFE, *CONTAINER_LIFE)]
    assert len(set(reasons)) == len(reasons)


states: st.SearchStrategy[State] = st.one_of(
    st.just(WELL),
    st.just(SICK),
    st.just(Waiting("ContainerCreating")),
    st.builds(Waiting, st.just("ErrImagePull"), st.just(""), st.just(NOW + timedelta(seconds=1))),
    st.builds(ended, st.integers(0, 2), st.integers(0, 20)),
)
containers = st.builds(
    Container,
    st.sampled_from(["a"]),
    states,
    runs=st.integers(0, 2),
    backoff=st.builds(Backoff, st.just(timedelta(seconds=10)), st.just(NOW)),
    busy=st.booleans(),
    sidecar=st.booleans(),
)
all_facts = st.builds(
    Facts,
    st.lists(containers, min_size=1, max_size=3).map(
        lambda found: tuple(
            replace(each, name=f"c{n}", init=n > 0, sidecar=each.sidecar and n > 0) for n, each in enumerate(found)
        )
    ),
    st.sampled_from(Restart),
    st.sampled_from([(), ("no",)]),
    st.sampled_from(["", "127.20.0.2"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, NOW, NOW - timedelta(seconds=5)]),
)


@given(all_facts)
def test_nothing_starts_in_a_pod_that_is_leaving_and_nothing_waits_for_ever_without_cause(facts: Facts) -> None:
    decision = decide(facts, NOW)
    starts = {action.container for action in decision.actions if isinstance(action, Start)}
    busy = {container.name for container in facts.containers if container.alive}
    assert not starts & busy, "no container is started twice"
    if facts.leaving_since:
        assert not starts
        assert decision.actions or decision.wake_at, "a deleted pod is always on its way out"
    assert decision.wake_at is None or decision.wake_at >= NOW
