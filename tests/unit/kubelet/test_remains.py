"""What a killed kubelet has left: which runs are kept, and what the next one makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from graylane.cluster.kubelet.adoption import adopted_containers, leaving_since
from graylane.cluster.kubelet.remains import USELESS, Found, Remains, notes_of, remains_of, useless
from graylane.cluster.kubelet.states import NOT_CREATED, Backoff, Container, Running, Terminated
from graylane.cluster.processes.child import Exit, Launch
from graylane.model.meta import Obj

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=5)
LAUNCH = Launch(("serve",), {"PORT": "8000"}, Path("/srv"), stdin=True, through=("enter", "there"))
RUN = Remains("graylane://u/a/1", "u", "a", 1, "127.20.0.2", BEGAN, LAUNCH)


def pod(restarts: int = 1, *, id: str = RUN.id, **status: object) -> Obj:
    written = {"name": "a", "containerID": id, "restartCount": restarts, "ready": True, "started": True}
    state = {"state": {"running": {"startedAt": "2026-01-01T11:55:00Z"}}} | status
    return {
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"containers": [{"name": "a"}]},
        "status": {"podIP": "127.20.0.2", "containerStatuses": [written | state]},
    }


FIRST = Found(RUN, pod())
CASES = {  # what is found → why it is of no use
    "as it was": (FIRST, ""),
    "it has ended": (Found(replace(RUN, exit=Exit(0), ended_at=NOW), pod()), ""),
    "not written down yet": (Found(RUN, pod(0, id="graylane://u/a/0")), ""),
    "an earlier run beside it": (Found(RUN, pod(), (RUN, replace(RUN, run=0))), ""),
    "another container's later run": (Found(RUN, pod(), (RUN, replace(RUN, container="b", run=2))), ""),
    "pod deleted": (Found(RUN, None), "its pod was deleted"),
    "container not in it": (Found(replace(RUN, container="b"), pod()), "its pod has no such container"),
    "another address": (Found(replace(RUN, address="10.128.0.2"), pod()), "its pod has another address now"),
    "a later run": (Found(RUN, pod(), (RUN, replace(RUN, run=2))), "a later run of its container is held"),
    "run again since": (Found(RUN, pod(2)), "its container has run again since"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_kept_where_its_pod_is_as_it_was(case: str) -> None:
    found, because = CASES[case]
    assert useless(found) == because


def test_every_reason_not_to_keep_a_run_has_a_case() -> None:
    assert {because for _, because in USELESS} == {because for _, because in CASES.values()} - {""}


def adopted(status: Obj, kept: Remains) -> Container:
    return adopted_containers(status, NOW, {"a": kept})[0]


def test_a_run_that_goes_on_is_as_its_probes_had_found_it() -> None:
    found = adopted(pod(), RUN)
    assert (found.state, found.runs, found.busy) == (Running(BEGAN, started=True, ready=True), 2, False)
    unready = adopted(pod(ready=False), RUN)
    assert unready.state == Running(BEGAN, started=True, ready=False)


def test_what_was_written_of_an_earlier_run_says_nothing_of_this_one() -> None:
    found = adopted(pod(0, id="graylane://u/a/0"), RUN)
    assert (found.state, found.runs) == (Running(BEGAN, started=False, ready=False), 2)


def test_one_that_has_ended_meanwhile_is_told_as_it_ended() -> None:
    later = NOW - timedelta(seconds=7)
    last = Terminated(1, "Error", BEGAN)
    ended = replace(RUN, exit=Exit(137, 9), ended_at=later, last=last, backoff=Backoff(timedelta(seconds=20), BEGAN))
    found = adopted(pod(), ended)
    assert found.state == Terminated(137, "Error", later, BEGAN, 9)
    assert (found.last, found.backoff.until(later)) == (last, later + timedelta(seconds=20))


def test_one_that_was_being_started_or_stopped_still_is() -> None:
    starting = adopted(pod(), replace(RUN, hooked=False))
    assert (starting.state, starting.busy) == (NOT_CREATED, True)
    stopping = adopted(pod(), replace(RUN, stopping=True))
    assert (isinstance(stopping.state, Running), stopping.busy) == (True, True)


def test_what_is_noted_is_understood_again() -> None:
    backoff, last = Backoff(timedelta(seconds=10), BEGAN), Terminated(3, "Error", BEGAN, None, 0, "no such file")
    container = Container("a", runs=2, backoff=backoff, last=last)
    notes = json.loads(json.dumps(notes_of("u", container, "127.20.0.2", BEGAN, LAUNCH, hooked=True)))
    found = remains_of(RUN.id, notes, stopping=False, exit=None, ended_at=0)
    assert found == replace(RUN, backoff=backoff, last=last)
    with pytest.raises(KeyError):
        remains_of(RUN.id, {"of": "another version"}, stopping=False, exit=None, ended_at=0)


def test_a_deletion_under_way_counts_from_when_it_was_asked_for() -> None:
    deleted = {"metadata": {"deletionTimestamp": "2026-01-01T12:00:20Z", "deletionGracePeriodSeconds": 30}}
    assert leaving_since(deleted, NOW) == NOW - timedelta(seconds=10)
    assert leaving_since({"metadata": {}}, NOW) == NOW
