"""The status tells what Kubernetes' kubelet would tell, and the same facts tell the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graylane.cluster.kubelet.adoption import adopted_containers
from graylane.cluster.kubelet.lifecycle import Facts
from graylane.cluster.kubelet.states import Backoff, Container, Restart, Running, Terminated, Waiting
from graylane.cluster.kubelet.status import Node, backing_off, phase, pod_status
from graylane.model.meta import Obj, find_condition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WELL = Running(NOW, started=True, ready=True)
NODE = Node("127.0.0.1")
POD: Obj = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u1"},
    "spec": {
        "initContainers": [{"name": "setup", "image": "busybox"}],
        "containers": [{"name": "a", "image": "web:1"}, {"name": "b", "image": "log:1"}],
    },
}
SETUP = Container("setup", Terminated(0, "Completed", NOW, NOW), init=True, runs=1)


def facts(a: Container, *, setup: Container = SETUP, **more: Any) -> Facts:
    return Facts((setup, a, Container("b", WELL, runs=1)), address="127.20.0.2", started_at=NOW, **more)


def condition(status: Obj, kind: str) -> tuple[str, str, str]:
    found = find_condition(status["conditions"], kind)
    assert found is not None
    return found["status"], found["reason"], found["message"]


def test_a_running_pod_is_ready_and_stays_word_for_word_the_same() -> None:
    seen = facts(Container("a", WELL, runs=1))
    status = pod_status(POD, seen, NODE, NOW)
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", "127.20.0.2", "127.0.0.1")
    kinds = ("Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers", "PodScheduled")
    assert [condition(status, kind)[0] for kind in kinds] == ["True"] * 5
    assert pod_status(POD | {"status": status}, seen, NODE, NOW + timedelta(hours=1)) == status


def test_before_init_is_done_the_others_say_so() -> None:
    setup = Container("setup", WELL, init=True, runs=1)
    pending = Facts((setup, Container("a"), Container("b")), address="127.20.0.2", started_at=NOW)
    status = pod_status(POD, pending, NODE, NOW)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    message = "containers with incomplete status: [setup]"
    assert condition(status, "Initialized") == ("False", "ContainersNotInitialized", message)


def test_a_pod_says_which_containers_are_unready() -> None:
    status = pod_status(POD, facts(Container("a", replace(WELL, ready=False), runs=1)), NODE, NOW)
    unready = ("False", "ContainersNotReady", "containers with unready status: [a]")
    assert condition(status, "Ready") == unready
    assert condition(status, "ContainersReady") == unready


def test_a_crash_loop_shows_the_wait_and_the_last_end() -> None:
    crashed = Container("a", Terminated(2, "Error", NOW, NOW), runs=3, backoff=Backoff(timedelta(seconds=80), NOW))
    status = pod_status(POD, facts(crashed), NODE, NOW)["containerStatuses"][0]
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 1m20s restarting failed container=a pod=web_shop(u1)",
    }
    assert (status["lastState"]["terminated"]["exitCode"], status["restartCount"]) == (2, 2)


def test_who_begins_to_wait_longer_is_told_once_each_time() -> None:
    crash = Container("a", Terminated(3, "Error", NOW, NOW), runs=2, backoff=Backoff(timedelta(seconds=10), NOW))
    pull = Container("b", Waiting("ImagePullBackOff", "unknown image", NOW))
    status = pod_status(POD, Facts((SETUP, crash, pull), address="127.20.0.2", started_at=NOW), NODE, NOW)
    assert list(backing_off(POD, status)) == [
        ("Warning", "Back-off restarting failed container a in pod web_shop(u1)"),
        ("Normal", 'Back-off pulling image "log:1"'),
    ]
    known = POD | {"status": status}
    assert list(backing_off(known, status)) == []
    again = pod_status(known, Facts((SETUP, replace(crash, runs=3), pull), started_at=NOW), NODE, NOW)
    assert [kind for kind, _ in backing_off(known, again)] == ["Warning"]


def test_a_killed_container_tells_its_signal() -> None:
    killed = Container("a", Terminated(137, "Error", NOW, NOW, 9), runs=1)
    status = pod_status(POD, facts(killed, restart=Restart.NEVER), NODE, NOW)["containerStatuses"][0]
    assert status["state"]["terminated"] == {
        "exitCode": 137,
        "reason": "Error",
        "signal": 9,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:00Z",
    }


def test_what_the_pod_waits_for_is_said_by_its_containers() -> None:
    new = facts(Container("a"))
    proxy = Node("127.0.0.1", Waiting("ContainerCreating", "waiting for the proxy"))
    waiting = pod_status(POD, new, proxy, NOW)["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ContainerCreating", "message": "waiting for the proxy"}
    refused = pod_status(POD, replace(new, refusals=("spec.x: no",)), NODE, NOW)
    assert refused["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": "spec.x: no",
    }


def test_conditions_of_others_are_kept_and_readiness_gates_hold_the_pod_back() -> None:
    drained = {"type": "graylane.dev/Drained", "status": "False"}
    gated = POD | {"spec": POD["spec"] | {"readinessGates": [{"conditionType": "graylane.dev/Drained"}]}}
    status = pod_status(gated | {"status": {"conditions": [drained]}}, facts(Container("a", WELL, runs=1)), NODE, NOW)
    assert drained in status["conditions"]
    assert condition(status, "Ready")[1] == "ReadinessGatesNotReady"
    assert condition(status, "ContainersReady")[0] == "True"


@pytest.mark.parametrize(
    ("restart", "codes", "expected"),
    [
        (Restart.ALWAYS, (0, 0), "Running"),
        (Restart.ON_FAILURE, (0, 0), "Succeeded"),
        (Restart.ON_FAILURE, (0, 1), "Running"),
        (Restart.NEVER, (0, 0), "Succeeded"),
        (Restart.NEVER, (0, 1), "Failed"),
    ],
)
def test_the_phase_of_a_pod_whose_containers_ended(restart: Restart, codes: tuple[int, int], expected: str) -> None:
    ended = tuple(Container(f"c{n}", Terminated(code, "", NOW), runs=1) for n, code in enumerate(codes))
    assert phase(Facts(ended, restart)) == expected


def with_sidecar(sidecar: Container, a: Container, **more: Any) -> tuple[Obj, Facts]:
    spec = {"initContainers": [{"name": "proxy", "image": "p:1"}], "containers": [{"name": "a", "image": "web:1"}]}
    seen = Facts((sidecar, a), address="127.20.0.2", started_at=NOW, **more)
    return pod_status(POD | {"spec": spec}, seen, NODE, NOW), seen


def test_a_sidecar_counts_for_readiness_like_the_others() -> None:
    proxy = Container("proxy", replace(WELL, ready=False), init=True, sidecar=True, runs=1)
    status, _ = with_sidecar(proxy, Container("a", WELL, runs=1))
    assert condition(status, "Initialized")[0] == "True"
    assert condition(status, "Ready") == ("False", "ContainersNotReady", "containers with unready status: [proxy]")
    assert status["initContainerStatuses"][0]["started"]
    starting = replace(proxy, state=replace(WELL, started=False, ready=False))
    status, _ = with_sidecar(starting, Container("a"))
    assert (status["phase"], condition(status, "Initialized")[0]) == ("Pending", "False")


def test_a_pod_has_not_ended_while_a_sidecar_runs_and_its_exit_code_does_not_count() -> None:
    proxy = Container("proxy", WELL, init=True, sidecar=True, runs=1)
    done = Container("a", Terminated(0, "Completed", NOW, NOW), runs=1)
    _, running = with_sidecar(proxy, done, restart=Restart.NEVER)
    assert phase(running) == "Running"
    killed = replace(proxy, state=Terminated(143, "Error", NOW, NOW))
    status, _ = with_sidecar(killed, done, restart=Restart.NEVER)
    assert status["phase"] == "Succeeded"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


def test_a_new_kubelet_takes_a_running_container_for_ended_and_counts_on() -> None:
    written = pod_status(POD, facts(Container("a", WELL, runs=3)), NODE, NOW)
    setup, a, _ = adopted_containers(POD | {"status": written}, NOW)
    assert setup.state == SETUP.state
    assert isinstance(a.state, Terminated)
    assert (a.state.exit_code, a.state.signal, a.runs) == (137, 9, 3)


def test_a_new_kubelet_gives_a_crash_loop_a_fresh_start() -> None:
    crashed = Container("a", Terminated(2, "Error", NOW, NOW), runs=3, backoff=Backoff(timedelta(seconds=80), NOW))
    written = pod_status(POD, facts(crashed), NODE, NOW)
    a = adopted_containers(POD | {"status": written}, NOW)[1]
    assert isinstance(a.state, Terminated)
    assert (a.state.exit_code, a.backoff, a.runs) == (2, Backoff(), 3)


def test_a_pod_never_seen_has_containers_that_never_ran() -> None:
    assert [(each.name, each.runs) for each in adopted_containers(POD, NOW)] == [("setup", 0), ("a", 0), ("b", 0)]
