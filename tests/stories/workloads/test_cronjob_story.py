"""What a CronJob does, told row by row. `jobs` are those there are, by the minute they are for, and how each ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graylane.cluster.workloads.cronjob import SCHEDULED
from graylane.cluster.workloads.job_pods import JOB_NAME
from graylane.model.kinds import CRON_JOB, JOB, POD
from graylane.model.meta import Obj, controller_of, dig, format_time, is_true, name_of, owner_reference, parse_time

from .cast import Cast, Verbs
from .stage import NS
from .table import tell


def cron_job(schedule: str = "*/5 * * * *", **spec: object) -> Obj:
    """CronJob `web` as the API server would store it."""
    labels = {"app": "web"}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "a", "image": "v1"}], "restartPolicy": "Never"},
    }
    job = {"parallelism": 1, "completions": 1, "backoffLimit": 0, "completionMode": "NonIndexed", "template": pod}
    fields = {"schedule": schedule, "concurrencyPolicy": "Allow", "suspend": False, "jobTemplate": {"spec": job}}
    history = {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
    return {"metadata": {"name": "web", "namespace": NS}, "spec": fields | history | spec}


class Clockwork(Cast):
    """Midnight of 1 January 2026, in UTC. Pods run until a story ends them."""

    kind = CRON_JOB

    def verbs(self) -> Verbs:
        return {
            r"the (first|last) (succeeds|fails)": self.end,
            r"the last job is deleted": self.delete,
            r"suspend": lambda: self.spec({"suspend": True}),
            r"resume": lambda: self.spec({"suspend": False}),
            r"schedule (.+)": lambda schedule: self.spec({"schedule": schedule}),
            r"no one looks for (\d+) minutes": lambda minutes: self.world.clock.advance(60 * int(minutes)),
            r"a job of the name is there": self.squat,
            r"status is lost": lambda: self.world.patch(CRON_JOB, NS, "web", {"status": {"active": None}}, "status"),
        }

    def settle(self) -> None:
        """The API server gives each Job a selector of its own."""
        for job in self.world.list(JOB, NS):
            if not dig(job, "spec", "selector"):
                labels = {JOB_NAME: name_of(job)}
                template = dig(job, "spec", "template") | {"metadata": {"labels": labels}}
                self.world.patch(
                    JOB, NS, name_of(job), {"spec": {"selector": {"matchLabels": labels}, "template": template}}
                )
        super().settle()

    def jobs(self) -> list[Obj]:
        return sorted(self.world.list(JOB, NS), key=lambda job: minute(job))

    def end(self, which: str, how: str) -> None:
        job = self.jobs()[0 if which == "first" else -1]
        self.settle()
        (pod,) = (pod for pod in self.pods() if (controller_of(pod) or {}).get("name") == name_of(job))
        since, code = format_time(self.world.now()), int(how == "fails")
        terminated = {"state": {"terminated": {"finishedAt": since, "exitCode": code}}}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [terminated]}
        self.world.patch(POD, NS, name_of(pod), {"status": status}, "status")

    def delete(self) -> None:
        """With its pods, for nobody in a World looks after those that a gone Job left behind."""
        for pod in self.pods():
            self.world.patch(POD, NS, name_of(pod), {"metadata": {"finalizers": None}})
        self.world.delete(JOB, NS, name_of(self.jobs()[-1]))

    def squat(self) -> None:
        at = self.world.now().timestamp() // 300 * 300 + 300
        spec = {"selector": {"matchLabels": {"a": "stranger"}}, "parallelism": 0}
        self.world.put(JOB, {"metadata": {"name": f"web-{int(at) // 60}", "namespace": NS}, "spec": spec})

    def columns(self) -> dict[str, Callable[[], object]]:
        return {
            "jobs": lambda: " ".join(f"{at_minute(job)}{mark(job)}" for job in self.jobs()),
            "active": lambda: len(dig(self.seen(), "status", "active", default=[])),
            "last": lambda: clock(dig(self.seen(), "status", "lastScheduleTime")),
            "success": lambda: clock(dig(self.seen(), "status", "lastSuccessfulTime")),
            "says": self.says,
        }


def minute(job: Obj) -> int:
    return int(name_of(job).rpartition("-")[2])


def at_minute(job: Obj) -> str:
    return f"{minute(job) // 60 % 24:02}:{minute(job) % 60:02}"


def clock(time: str | None) -> str:
    return f"{parse_time(time):%H:%M}" if time else "-"


def mark(job: Obj) -> str:
    """`+` has succeeded, `x` has failed; one that runs has none."""
    return "+" if is_true(job, "Complete") else "x" if is_true(job, "Failed") else ""


STORIES = {
    "a job at each of its minutes, and two of the old ones": (
        {"successfulJobsHistoryLimit": 2},
        """
        what              ‖ jobs                       | active | last  | success | says
        create            ‖                            | 0      | -     | -       |
        299 seconds       ‖                            | 0      | -     | -       |
        2 seconds         ‖ 00:05                      | 1      | 00:05 | -       | SuccessfulCreate
        the last succeeds ‖ 00:05+                     | 0      | 00:05 | 00:05   | SawCompletedJob
        300 seconds       ‖ 00:05+ 00:10               | 1      | 00:10 | 00:05   | SuccessfulCreate
        the last fails    ‖ 00:05+ 00:10x              | 0      | 00:10 | 00:05   | SawCompletedJob
        300 seconds       ‖ 00:05+ 00:10x 00:15        | 1      | 00:15 | 00:05   | SuccessfulCreate
        the last fails    ‖ 00:05+ 00:15x              | 0      | 00:15 | 00:05   | SuccessfulDelete, SawCompletedJob
        300 seconds       ‖ 00:05+ 00:15x 00:20        | 1      | 00:20 | 00:05   | SuccessfulCreate
        the last succeeds ‖ 00:05+ 00:15x 00:20+       | 0      | 00:20 | 00:20   | SawCompletedJob
        300 seconds       ‖ 00:05+ 00:15x 00:20+ 00:25 | 1      | 00:25 | 00:20   | SuccessfulCreate
        the last succeeds ‖ 00:15x 00:20+ 00:25+       | 0      | 00:25 | 00:25   | SuccessfulDelete, SawCompletedJob
        300 seconds       ‖ 00:15x 00:20+ 00:25+ 00:30 | 1      | 00:30 | 00:25   | SuccessfulCreate
        the last succeeds ‖ 00:15x 00:25+ 00:30+       | 0      | 00:30 | 00:30   | SuccessfulDelete, SawCompletedJob
        """,
    ),
    "Allow: beside each other": (
        {},
        """
        what               ‖ jobs         | active | last  | says
        301 seconds        ‖ 00:05        | 1      | 00:05 | SuccessfulCreate
        300 seconds        ‖ 00:05 00:10  | 2      | 00:10 | SuccessfulCreate
        the first succeeds ‖ 00:05+ 00:10 | 1      | 00:10 | SawCompletedJob
        """,
    ),
    "Forbid: not beside each other, but as soon as the other is done": (
        {"concurrencyPolicy": "Forbid"},
        """
        what               ‖ jobs         | active | last  | says
        301 seconds        ‖ 00:05        | 1      | 00:05 | SuccessfulCreate
        300 seconds        ‖ 00:05        | 1      | 00:05 | JobAlreadyActive
        300 seconds        ‖ 00:05        | 1      | 00:05 | JobAlreadyActive
        the first succeeds ‖ 00:05+ 00:15 | 1      | 00:15 | SuccessfulCreate, SawCompletedJob
        """,
    ),
    "Forbid with a deadline: what was missed longer ago is not made up": (
        {"concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 60},
        """
        what               ‖ jobs         | active | last  | says
        301 seconds        ‖ 00:05        | 1      | 00:05 | SuccessfulCreate
        300 seconds        ‖ 00:05        | 1      | 00:05 | JobAlreadyActive
        120 seconds        ‖ 00:05        | 1      | 00:05 |
        the first succeeds ‖ 00:05+       | 0      | 00:05 | SawCompletedJob
        300 seconds        ‖ 00:05+ 00:15 | 1      | 00:15 | SuccessfulCreate
        """,
    ),
    "Replace: in place of the other": (
        {"concurrencyPolicy": "Replace"},
        """
        what        ‖ jobs  | active | last  | says
        301 seconds ‖ 00:05 | 1      | 00:05 | SuccessfulCreate
        300 seconds ‖ 00:10 | 1      | 00:10 | SuccessfulDelete, SuccessfulCreate
        """,
    ),
    "of what was missed while nobody looked, the latest is made up": (
        {},
        """
        what                        ‖ jobs        | active | last  | says
        301 seconds                 ‖ 00:05       | 1      | 00:05 | SuccessfulCreate
        no one looks for 17 minutes ‖ 00:05 00:20 | 2      | 00:20 | SuccessfulCreate
        """,
    ),
    "of a hundred and more that were missed, it says so": (
        {},
        """
        what                         ‖ jobs  | last  | says
        no one looks for 600 minutes ‖ 10:00 | 10:00 | SuccessfulCreate, TooManyMissedTimes
        """,
    ),
    "suspended it begins nothing": (
        {},
        """
        what        ‖ jobs  | last  | says
        suspend     ‖       | -     |
        600 seconds ‖       | -     |
        resume      ‖ 00:10 | 00:10 | SuccessfulCreate
        """,
    ),
    "another schedule counts from now on": (
        {"schedule": "0 12 * * *"},
        """
        what                 ‖ jobs  | last
        600 seconds          ‖       | -
        schedule */5 * * * * ‖       | -
        301 seconds          ‖ 00:15 | 00:15
        """,
    ),
    "a job that is gone, and one that was begun before the status could say so": (
        {},
        """
        what                       ‖ jobs        | active | last  | says
        301 seconds                ‖ 00:05       | 1      | 00:05 | SuccessfulCreate
        status is lost             ‖ 00:05       | 1      | 00:05 |
        the last job is deleted    ‖             | 0      | 00:05 | MissingJob
        a job of the name is there ‖ 00:10       | 0      | 00:05 |
        300 seconds                ‖ 00:10       | 0      | 00:10 |
        300 seconds                ‖ 00:10 00:15 | 1      | 00:15 | SuccessfulCreate
        """,
    ),
    "a time zone that nobody knows, a day that never comes": (
        {"timeZone": "Mars/Olympus"},
        """
        what        ‖ jobs | says
        create      ‖      | UnknownTimeZone
        600 seconds ‖      |
        """,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_cronjob_begins_jobs(name: str) -> None:
    spec, story = STORIES[name]
    stage = Clockwork(cron_job(**spec))
    tell(story, stage.act, stage.columns())


def test_a_job_is_its_template_and_says_which_time_it_is_for() -> None:
    template = {"metadata": {"labels": {"app": "web"}, "annotations": {"note": "a"}}, "spec": {"parallelism": 0}}
    stage = Clockwork(cron_job("0 12 * * *", timeZone="Asia/Kolkata", jobTemplate=template))
    stage.pass_time(7 * 3600)
    (job,) = stage.jobs()
    assert name_of(job) == "web-29454150"
    assert job["metadata"]["labels"] == {"app": "web"}
    assert job["metadata"]["annotations"] == {"note": "a", SCHEDULED: "2026-01-01T12:00:00+05:30"}
    assert (controller_of(job) or {})["name"] == "web"
    assert stage.world.now() >= parse_time("2026-01-01T06:30:00Z")


def test_one_that_is_made_by_hand_is_not_counted_as_active() -> None:
    """`kubectl create job --from=cronjob/web`: owned by it, and nobody's reason to wait."""
    stage = Clockwork(cron_job(concurrencyPolicy="Forbid"))
    owner = owner_reference(stage.seen(), CRON_JOB)
    metadata = {"name": "by-hand-1", "namespace": NS, "ownerReferences": [owner]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "parallelism": 0}
    stage.world.put(JOB, {"metadata": metadata, "spec": spec})
    stage.pass_time(301)
    assert sorted(name_of(job) for job in stage.world.list(JOB, NS)) == ["by-hand-1", "web-29453765"]
    assert [each["name"] for each in stage.seen()["status"]["active"]] == ["web-29453765"]
