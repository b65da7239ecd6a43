"""When a CronJob's next Job is due, and which of those it has missed is still to come.

Pure. In: a schedule and what is known of the last time. Out: `Due`. The rules are those of Kubernetes'
`cronjob/utils.go`: of many missed times only the latest counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.model.cron import Interval, Schedule

_MANY = 100


@dataclass(frozen=True, slots=True)
class Times:
    """`last`: the time that a Job was last made for. `deadline`: how late one may be begun, if that is limited."""

    schedule: Schedule | Interval
    created: datetime
    last: datetime | None
    deadline: timedelta | None
    now: datetime

    def next(self, after: datetime) -> datetime:
        found = self.schedule.next(after)
        if found is None:
            raise ValueError("time difference between two schedules is less than 1 second")
        return found


@dataclass(frozen=True, slots=True)
class Due:
    """`at`: the latest time that has come; None where none has. `many`: more were missed than is likely to be meant."""

    at: datetime | None
    next: datetime
    many: bool = False


def due(times: Times) -> Due:
    """Raises ValueError for a schedule that never comes."""
    known = times.last or times.created
    reach = known if times.deadline is None else max(known, times.now - times.deadline)
    at, many = _latest(times, reach)
    last, _ = (at, many) if reach == known else _latest(times, known)
    return Due(at, times.next(last or (known if times.next(known) > times.now else times.now)), many)


def _latest(times: Times, earliest: datetime) -> tuple[datetime | None, bool]:
    first = times.next(earliest)
    second = times.next(first)
    if times.now < first:
        return None, False
    if times.now < second:
        return first, False
    between = int((second - first).total_seconds())
    missed = int((times.now - first).total_seconds()) // between + 1
    found, at = None, times.next(first + timedelta(seconds=(missed - 2) * between))
    while at <= times.now:
        found, at = at, times.next(at)
    return found, missed > _MANY
