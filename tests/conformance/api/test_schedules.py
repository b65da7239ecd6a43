"""Schedules of CronJobs: what is refused, in whose words."""

from __future__ import annotations

from typing import Any

from graylane.testing.api.rig import Rig

Obj = dict[str, Any]


def cron_job(schedule: str, **spec: object) -> Obj:
    pod = {"containers": [{"name": "a", "image": "a"}], "restartPolicy": "Never"}
    template = {"spec": {"template": {"spec": pod}}}
    return {"metadata": {"name": "a"}, "spec": {"schedule": schedule, "jobTemplate": template} | spec}


def path(ns: str) -> str:
    return f"/apis/batch/v1/namespaces/{ns}/cronjobs"


UNDERSTOOD = (
    "*/5 8-18 * JAN,feb Mon-FRI",
    "0/20 * ? * *",
    "@hourly",
    "@every 1h30m",
    "59 23 31 2 *",
    "5,10 1-9/3 1 1 0",
)


async def test_what_cron_understands_is_accepted(api: Rig, ns: str) -> None:
    for number, schedule in enumerate(UNDERSTOOD):
        wanted = cron_job(schedule, timeZone="Europe/Berlin")
        wanted["metadata"]["name"] = f"a-{number}"
        assert (await api.create(path(ns), wanted))["spec"]["schedule"] == schedule


REFUSED: list[tuple[str, str | None, str, str]] = [
    # schedule, time zone, the field that is blamed, what is said of it
    ("", None, "spec.schedule", "Required value"),
    ("* * * *", None, "spec.schedule", "expected exactly 5 fields, found 4: [* * * *]"),
    ("60 * * * *", None, "spec.schedule", "end of range (60) above maximum (59): 60"),
    ("* * 0 * *", None, "spec.schedule", "beginning of range (0) below minimum (1): 0"),
    ("9-5 * * * *", None, "spec.schedule", "beginning of range (9) beyond end of range (5): 9-5"),
    ("*/0 * * * *", None, "spec.schedule", "step of range should be a positive number: */0"),
    ("1-2-3 * * * *", None, "spec.schedule", "too many hyphens: 1-2-3"),
    ("1/2/3 * * * *", None, "spec.schedule", "too many slashes: 1/2/3"),
    ("* * * * 7", None, "spec.schedule", "end of range (7) above maximum (6): 7"),
    ("x * * * *", None, "spec.schedule", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ("@now", None, "spec.schedule", "unrecognized descriptor: @now"),
    ("TZ=UTC * * * * *", None, "spec.schedule", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ("* * * * *", "", "spec.timeZone", "timeZone must be nil or non-empty string"),
    ("* * * * *", "Mars/Olympus", "spec.timeZone", "unknown time zone Mars/Olympus"),
    ("* * * * *", "../etc", "spec.timeZone", "unknown time zone ../etc"),
    ("* * * * *", "local", "spec.timeZone", "timeZone must be an explicit time zone"),
]


async def test_what_it_does_not_is_refused_in_its_words(api: Rig, ns: str) -> None:
    for schedule, zone, field, sentence in REFUSED:
        wanted = cron_job(schedule, **({} if zone is None else {"timeZone": zone}))
        answer = await api.call("POST", path(ns), wanted)
        assert (answer.status, answer.reason) == (422, "Invalid"), (schedule, zone, answer.body)
        told = [cause["message"] for cause in answer.json["details"]["causes"] if cause["field"] == field]
        assert any(sentence in message for message in told), answer.message
