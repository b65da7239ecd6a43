"""What a Job does, told row by row.

`running` counts active pods, with their indexes if they have any; `status` reads succeeded/completions and failed;
`is` reads the conditions that are true and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graylane.cluster.workloads import job as job_controller
from graylane.cluster.workloads.job_indexes import FAILURES
from graylane.cluster.workloads.job_pods import INDEX, TRACKING, index_of, is_tracked
from graylane.cluster.workloads.job_policies import parse_indexes
from graylane.cluster.workloads.job_tally import format_indexes
from graylane.cluster.workloads.pods import is_active
from graylane.model.kinds import JOB, POD
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    condition,
    controller_of,
    dig,
    finalizers_of,
    format_time,
    labels_of,
    name_of,
    uid_of,
)

from .cast import Cast, Verbs, template
from .stage import NS
from .table import tell


def job(completions: int | None = 1, parallelism: int = 1, **spec: Any) -> Obj:
    """Job `web` as the API server would store it."""
    labels = {"batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "web"}
    made = template()
    pod = {"metadata": {"labels": labels}, "spec": made["spec"] | {"restartPolicy": "Never"}}
    fields = {
        "parallelism": parallelism,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
        "template": pod,
    }
    counted = {} if completions is None else {"completions": completions}
    return {"metadata": {"name": "web", "namespace": NS}, "spec": fields | counted | spec}


class Shift(Cast):
    """Pods run until a story says how the oldest one, or the one of an index, ends."""

    kind = JOB

    def verbs(self) -> Verbs:
        return {
            r"one (succeeds|fails)": lambda how: self.end(self.active()[0], how),
            r"index (\d+) (succeeds|fails)": lambda index, how: self.end(self.holder(int(index)), how),
            r"one exits (\d+)": lambda code: self.end(self.active()[0], "fails", int(code)),
            r"one is disrupted": lambda: self.end(self.active()[0], "fails", 137, "DisruptionTarget"),
            r"one is deleted": lambda: self.world.delete(POD, NS, name_of(self.active()[0])),
            r"it fails at last": lambda: self.end(self.pods()[0], "fails"),
            r"suspend": lambda: self.spec({"suspend": True}),
            r"resume": lambda: self.spec({"suspend": False}),
            r"parallelism (\d+)": lambda count: self.spec({"parallelism": int(count)}),
            r"(\d+) restarts": lambda times: self.restart(int(times)),
        }

    def end(self, pod: Obj, how: str, code: int = 0, *conditions: str) -> None:
        since = format_time(self.world.now())
        terminated = {"state": {"terminated": {"finishedAt": since, "exitCode": code}}}
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": since}
        status = {
            "phase": "Succeeded" if how == "succeeds" else "Failed",
            "conditions": [ready, *({"type": kind, "status": "True"} for kind in conditions)],
            "containerStatuses": [{"name": "app"} | terminated],
        }
        self.world.patch(POD, NS, name_of(pod), {"status": status}, "status")

    def restart(self, times: int) -> None:
        status = {"containerStatuses": [{"restartCount": times}]}
        self.world.patch(POD, NS, name_of(self.active()[0]), {"status": status}, "status")

    def active(self) -> list[Obj]:
        return sorted(filter(is_active, self.pods()), key=lambda pod: int(uid_of(pod).removeprefix("uid-")))

    def holder(self, index: int) -> Obj:
        return next(pod for pod in self.active() if index_of(pod) == index)

    def columns(self) -> dict[str, Callable[[], object]]:
        return {"running": self.running, "status": self.counts, "is": self.conditions, "says": self.says} | {
            "failed": lambda: self.status("failedIndexes") or ""
        }

    def running(self) -> str:
        active = self.active()
        assert self.status("active") == len(active)
        indexes = sorted(index for pod in active if (index := index_of(pod)) is not None)
        return " ".join([str(len(active)), *(f"#{index}" for index in indexes)])

    def counts(self) -> str:
        assert self.status("uncountedTerminatedPods") == {}, "at rest everything is counted"
        wanted = self.seen()["spec"].get("completions", "?")
        done = f" ({indexes})" if (indexes := self.status("completedIndexes")) else ""
        return f"{self.status('succeeded')}/{wanted} {self.status('failed')}{done}"

    def conditions(self) -> str:
        told = dig(self.seen(), "status", "conditions", default=[])
        return " ".join(_shortly(entry) for entry in told if entry["status"] == "True")


def _shortly(entry: Obj) -> str:
    """The verdict and its reason, then that it is carried out."""
    final = entry["type"] in ("Complete", "Failed", "Suspended")
    return str(entry["type"] if final else entry["reason"])


def told(story: str, shift: Shift) -> Shift:
    tell(story, shift.act, shift.columns())
    return shift


def test_a_job_runs_pods_until_enough_have_succeeded() -> None:
    told(
        """
        what happens ‖ running | status | is                          | says
        create       ‖ 2       | 0/3 0  |                             | SuccessfulCreate, SuccessfulCreate
        one succeeds ‖ 2       | 1/3 0  |                             | SuccessfulCreate
        one succeeds ‖ 1       | 2/3 0  |                             |
        one succeeds ‖ 0       | 3/3 0  | CompletionsReached Complete | Completed
        """,
        Shift(job(3, 2)),
    )


def test_failures_slow_a_job_down_and_a_success_speeds_it_up_again() -> None:
    told(
        """
        what happens ‖ running | status | is
        create       ‖ 1       | 0/2 0  |
        one fails    ‖ 0       | 0/2 1  |
        9 seconds    ‖ 0       | 0/2 1  |
        2 seconds    ‖ 1       | 0/2 1  |
        one fails    ‖ 0       | 0/2 2  |
        19 seconds   ‖ 0       | 0/2 2  |
        2 seconds    ‖ 1       | 0/2 2  |
        one succeeds ‖ 1       | 1/2 2  |
        1 second     ‖ 1       | 1/2 2  |
        one fails    ‖ 0       | 1/2 3  |
        9 seconds    ‖ 0       | 1/2 3  |
        2 seconds    ‖ 1       | 1/2 3  |
        one succeeds ‖ 0       | 2/2 3  | CompletionsReached Complete
        """,
        Shift(job(2)),
    )


def test_a_job_that_fails_too_often_is_stopped_and_says_so() -> None:
    told(
        """
        what happens ‖ running | status | is                          | says
        create       ‖ 2       | 0/4 0  |                             | SuccessfulCreate, SuccessfulCreate
        one fails    ‖ 1       | 0/4 1  |                             |
        11 seconds   ‖ 2       | 0/4 1  |                             | SuccessfulCreate
        one fails    ‖ 0       | 0/4 3  | BackoffLimitExceeded        | SuccessfulDelete
        5 seconds    ‖ 0       | 0/4 3  | BackoffLimitExceeded Failed | BackoffLimitExceeded
        100 seconds  ‖ 0       | 0/4 3  | BackoffLimitExceeded Failed |
        """,
        Shift(job(4, 2, backoffLimit=1), stop_seconds=5),
    )


def test_a_job_that_takes_too_long_is_stopped() -> None:
    told(
        """
        what happens ‖ running | status | is
        create       ‖ 1       | 0/1 0  |
        29 seconds   ‖ 1       | 0/1 0  |
        2 seconds    ‖ 0       | 0/1 1  | DeadlineExceeded Failed
        """,
        Shift(job(activeDeadlineSeconds=30)),
    )


def test_containers_that_restart_too_often_fail_their_job() -> None:
    made = job(backoffLimit=3)
    made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    told(
        """
        what happens ‖ running | status | is
        create       ‖ 1       | 0/1 0  |
        2 restarts   ‖ 1       | 0/1 0  |
        3 restarts   ‖ 0       | 0/1 1  | BackoffLimitExceeded Failed
        """,
        Shift(made),
    )


def test_a_suspended_job_has_no_pods_and_its_clock_starts_when_it_is_resumed() -> None:
    told(
        """
        what happens ‖ running | status | is                          | says
        create       ‖ 0       | 0/1 0  | Suspended                   | Suspended
        100 seconds  ‖ 0       | 0/1 0  | Suspended                   |
        resume       ‖ 1       | 0/1 0  |                             | SuccessfulCreate, Resumed
        suspend      ‖ 0       | 0/1 0  | Suspended                   | SuccessfulDelete, Suspended
        100 seconds  ‖ 0       | 0/1 0  | Suspended                   |
        resume       ‖ 1       | 0/1 0  |                             | SuccessfulCreate, Resumed
        29 seconds   ‖ 1       | 0/1 0  |                             |
        one succeeds ‖ 0       | 1/1 0  | CompletionsReached Complete | Completed
        """,
        Shift(job(suspend=True, activeDeadlineSeconds=30)),
    )


def test_a_work_queue_ends_when_one_pod_has_succeeded_and_the_others_have_ended() -> None:
    told(
        """
        what happens ‖ running | status | is
        create       ‖ 3       | 0/? 0  |
        one succeeds ‖ 2       | 1/? 0  |
        one fails    ‖ 1       | 1/? 1  |
        one succeeds ‖ 0       | 2/? 1  | CompletionsReached Complete
        """,
        Shift(job(None, 3)),
    )


def test_parallelism_may_change_and_pods_stopped_for_it_are_no_failures() -> None:
    told(
        """
        what happens  ‖ running | status | is
        create        ‖ 1       | 0/5 0  |
        parallelism 3 ‖ 3       | 0/5 0  |
        parallelism 0 ‖ 0       | 0/5 0  |
        parallelism 2 ‖ 2       | 0/5 0  |
        one succeeds  ‖ 2       | 1/5 0  |
        """,
        Shift(job(5)),
    )


def test_each_index_of_an_indexed_job_succeeds_once() -> None:
    told(
        """
        what happens     ‖ running | status      | is
        create           ‖ 2 #0 #1 | 0/5 0       |
        index 1 succeeds ‖ 2 #0 #2 | 1/5 0 (1)   |
        1 second         ‖ 2 #0 #2 | 1/5 0 (1)   |
        index 0 fails    ‖ 1 #2    | 1/5 1 (1)   |
        11 seconds       ‖ 2 #0 #2 | 1/5 1 (1)   |
        index 2 succeeds ‖ 2 #0 #3 | 2/5 1 (1,2) |
        index 3 succeeds ‖ 2 #0 #4 | 3/5 1 (1-3) |
        index 0 succeeds ‖ 1 #4    | 4/5 1 (0-3) |
        index 4 succeeds ‖ 0       | 5/5 1 (0-4) | CompletionsReached Complete
        """,
        Shift(job(5, 2, completionMode="Indexed")),
    )


def test_a_pod_deleted_by_hand_counts_as_failed_and_is_replaced() -> None:
    told(
        """
        what happens   ‖ running | status | is
        create         ‖ 1       | 0/1 0  |
        one is deleted ‖ 1       | 0/1 1  |
        one succeeds   ‖ 0       | 1/1 1  | CompletionsReached
        5 seconds      ‖ 0       | 1/1 1  | CompletionsReached Complete
        """,
        Shift(job(), stop_seconds=5),
    )


def test_a_replacement_may_wait_until_the_pod_has_stopped() -> None:
    told(
        """
        what happens     ‖ running | status | is
        create           ‖ 1       | 0/1 0  |
        one is deleted   ‖ 0       | 0/1 0  |
        4 seconds        ‖ 0       | 0/1 0  |
        it fails at last ‖ 1       | 0/1 1  |
        """,
        Shift(job(podReplacementPolicy="Failed"), stop_seconds=5),
    )


def test_a_succeeded_pod_is_counted_even_if_it_is_deleted_at_once() -> None:
    shift = Shift(job(2))
    shift.act("create")
    [pod] = shift.active()
    shift.end(pod, "succeeds")
    shift.world.delete(POD, NS, name_of(pod), grace_seconds=0)
    assert shift.world.get(POD, NS, name_of(pod)) is not None, "the finalizer keeps it"
    shift.settle()
    assert shift.counts() == "1/2 0"
    assert shift.world.get(POD, NS, name_of(pod)) is None


def test_a_finished_job_goes_when_its_time_to_live_is_over() -> None:
    shift = Shift(job(ttlSecondsAfterFinished=60))
    shift.act("create")
    shift.act("one succeeds")
    assert shift.status("completionTime") != 0
    shift.act("59 seconds")
    assert shift.seen()
    shift.act("2 seconds")
    assert shift.world.list(JOB) == []
    shift.settle()
    assert shift.pods() == [], "its pods went with it"


def failure_policy(*rules: Obj) -> Obj:
    return {"podFailurePolicy": {"rules": list(rules)}, "podReplacementPolicy": "Failed"}


IGNORE_DISRUPTION = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
FATAL = {"action": "FailJob", "onExitCodes": {"containerName": "app", "operator": "In", "values": [42, 43]}}
COUNTED = {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [1]}}


def test_an_exit_code_that_no_retry_helps_with_ends_the_job_at_once() -> None:
    shift = told(
        """
        what happens     ‖ running | status | is                      | says
        create           ‖ 1       | 0/3 0  |                         | SuccessfulCreate
        one succeeds     ‖ 1       | 1/3 0  |                         | SuccessfulCreate
        one is disrupted ‖ 1       | 1/3 0  |                         | SuccessfulCreate
        one exits 42     ‖ 0       | 1/3 1  | PodFailurePolicy Failed | PodFailurePolicy
        """,
        Shift(job(3, 1, **failure_policy(IGNORE_DISRUPTION, FATAL))),
    )
    failed = condition(shift.seen(), "Failed")
    assert failed is not None
    assert "Container app for pod shop/web-" in failed["message"]
    assert "failed with exit code 42 matching FailJob rule at index 1" in failed["message"]


def test_the_first_rule_that_matches_decides_and_without_one_a_failure_counts() -> None:
    told(
        """
        what happens ‖ running | status | is                          | says
        create       ‖ 1       | 0/1 0  |                             | SuccessfulCreate
        one exits 42 ‖ 0       | 0/1 1  |                             |
        10 seconds   ‖ 1       | 0/1 1  |                             | SuccessfulCreate
        one exits 1  ‖ 0       | 0/1 2  | BackoffLimitExceeded Failed | BackoffLimitExceeded
        """,
        Shift(job(backoffLimit=1, **failure_policy(COUNTED, FATAL))),
    )


@pytest.mark.parametrize(
    ("rules", "met"),
    [
        ([{"succeededIndexes": "0"}], "#0 is enough"),
        ([{"succeededIndexes": "2-3"}, {"succeededCount": 1}], "any is"),
        ([{"succeededIndexes": "0-3", "succeededCount": 1}], "one of these is"),
    ],
)
def test_a_job_whose_leader_succeeded_needs_the_others_no_more(rules: list[Obj], met: str) -> None:
    told(
        """
        what happens     ‖ running    | status    | is
        create           ‖ 3 #0 #1 #2 | 0/4 0     |
        index 0 succeeds ‖ 0          | 1/4 0 (0) | SuccessPolicy Complete
        """,
        Shift(job(4, 3, completionMode="Indexed", successPolicy={"rules": rules})),
    )


def test_a_success_policy_that_is_not_met_changes_nothing() -> None:
    rules = [{"succeededIndexes": "1-2"}, {"succeededIndexes": "0-3", "succeededCount": 2}]
    told(
        """
        what happens     ‖ running  | status    | is
        create           ‖ 2 #0 #1  | 0/4 0     |
        index 0 succeeds ‖ 2 #1 #2  | 1/4 0 (0) |
        """,
        Shift(job(4, 2, completionMode="Indexed", successPolicy={"rules": rules})),
    )


def per_index(limit: int = 1, completions: int = 3, parallelism: int = 3, **spec: Any) -> Shift:
    spec |= {"completionMode": "Indexed", "backoffLimitPerIndex": limit, "backoffLimit": 2147483647}
    return Shift(job(completions, parallelism, **spec))


def test_each_index_has_failures_and_pauses_of_its_own() -> None:
    told(
        """
        what happens     ‖ running    | status    | failed | is
        create           ‖ 3 #0 #1 #2 | 0/3 0     |        |
        index 0 fails    ‖ 2 #1 #2    | 0/3 0     |        |
        index 1 succeeds ‖ 1 #2       | 1/3 0 (1) |        |
        10 seconds       ‖ 2 #0 #2    | 1/3 1 (1) |        |
        index 0 fails    ‖ 1 #2       | 1/3 2 (1) | 0      |
        index 2 fails    ‖ 0          | 1/3 2 (1) | 0      |
        10 seconds       ‖ 1 #2       | 1/3 3 (1) | 0      |
        index 2 succeeds ‖ 0          | 2/3 3 (1,2) | 0    | FailedIndexes Failed
        """,
        per_index(),
    )


def test_too_many_failed_indexes_end_the_job() -> None:
    told(
        """
        what happens  ‖ running    | status | failed | is
        create        ‖ 3 #0 #1 #2 | 0/4 0  |        |
        index 0 fails ‖ 3 #1 #2 #3 | 0/4 1  | 0      |
        index 2 fails ‖ 0          | 0/4 4  | 0,2    | MaxFailedIndexesExceeded Failed
        """,
        per_index(0, 4, maxFailedIndexes=1),
    )


def test_an_exit_code_may_end_an_index_and_others_not_count() -> None:
    hopeless = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}
    told(
        """
        what happens     ‖ running | status | failed | is
        create           ‖ 1 #0    | 0/2 0  |        |
        one is disrupted ‖ 1 #0    | 0/2 0  |        |
        one exits 42     ‖ 1 #1    | 0/2 1  | 0      |
        one exits 1      ‖ 0       | 0/2 1  | 0      |
        10 seconds       ‖ 1 #1    | 0/2 2  | 0      |
        one succeeds     ‖ 0       | 1/2 2 (1) | 0   | FailedIndexes Failed
        """,
        per_index(5, 2, 1, **failure_policy(IGNORE_DISRUPTION, hopeless)),
    )


def test_how_often_an_index_failed_is_told_by_its_pods() -> None:
    shift = per_index(2, 1, 1)
    shift.act("create")
    counts = []
    for _ in range(2):
        counts.append(annotations_of(shift.active()[0])[FAILURES])
        shift.act("index 0 fails")
        assert sum(map(is_tracked, shift.pods())) == 1, "the last one is kept until it has a successor"
        shift.act("30 seconds")
    counts.append(annotations_of(shift.active()[0])[FAILURES])
    assert counts == ["0", "1", "2"]


def test_a_job_that_somebody_else_manages_is_left_alone() -> None:
    shift = Shift(job(managedBy="example.org/kueue"))
    shift.act("create")
    assert "status" not in shift.seen()
    assert shift.pods() == []


def test_pods_of_a_deleted_job_are_not_kept_by_their_finalizer() -> None:
    shift = Shift(job(2, 2))
    shift.act("create")
    shift.act("one succeeds")
    shift.world.delete(JOB, NS, "web")
    shift.world.collect_garbage()
    assert shift.pods(), "the garbage collector cannot delete them yet"
    shift.world.apply(job_controller.reconcile(shift.world.view(), Key(NS, "web"), shift.world.now()))
    shift.world.run(shift.controllers)
    assert shift.pods() == []


def test_a_pod_that_its_job_no_longer_selects_is_let_go_and_replaced() -> None:
    shift = Shift(job())
    shift.act("create")
    [pod] = shift.pods()
    shift.world.patch(POD, NS, name_of(pod), {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "x"}}})
    shift.settle()
    freed = shift.world.get(POD, NS, name_of(pod))
    assert freed is not None
    assert (controller_of(freed), is_tracked(freed)) == (None, False)
    assert len(shift.pods()) == 2


def test_a_pod_that_lost_its_finalizer_gets_it_back_while_it_runs() -> None:
    shift = Shift(job())
    shift.act("create")
    [pod] = shift.pods()
    shift.world.patch(POD, NS, name_of(pod), {"metadata": {"finalizers": None}})
    shift.settle()
    assert finalizers_of(shift.pods()[0]) == [TRACKING]


def test_an_indexed_pod_knows_its_index() -> None:
    shift = Shift(job(2, 2, completionMode="Indexed"))
    shift.act("create")
    pod = shift.holder(1)
    assert name_of(pod).startswith("web-1-")
    assert pod["spec"]["hostname"] == "web-1"
    assert labels_of(pod)[INDEX] == "1"
    [variable] = pod["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.annotations['{INDEX}']"


@pytest.mark.parametrize(
    ("indexes", "text"), [(set(), ""), ({0}, "0"), ({0, 1}, "0,1"), ({0, 1, 2, 5}, "0-2,5"), ({3, 7, 8, 9}, "3,7-9")]
)
def test_indexes_are_written_as_kubernetes_writes_them(indexes: set[int], text: str) -> None:
    assert format_indexes(indexes) == text
    assert parse_indexes(text) == indexes
