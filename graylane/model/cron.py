"""Cron schedules as CronJobs write them: `*/5 8-18 * * MON-FRI`, `@hourly`, `@every 90s`.

Pure. In: text, an instant, a time zone. Out: the next instant. The syntax, its errors and what becomes of hours that a
change of clocks skips or repeats are those of `robfig/cron`, which Kubernetes reads schedules with: a skipped hour's
times are skipped, a repeated hour's come twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from graylane.model import durations

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_YEARS_AHEAD = 5  # a schedule that names no day in these, as 31 February, names none


@dataclass(frozen=True, slots=True)
class Field:
    """The values that match; `free`: written with a star, so that of the two kinds of day the other one decides."""

    values: frozenset[int]
    free: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds, from wherever one counts."""

    seconds: int

    def next(self, after: datetime) -> datetime | None:
        return after.replace(microsecond=0) + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: Field
    hours: Field
    days: Field
    months: Field
    weekdays: Field
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """The first match later than `after`; None where there is none."""
        at = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last_year = at.year + _YEARS_AHEAD
        while at.year <= last_year:
            local = at.astimezone(self.zone)
            if local.month not in self.months.values:
                at = self._start(local.year + local.month // 12, local.month % 12 + 1, 1)
            elif not self._is_day(local):
                tomorrow = local.date() + timedelta(days=1)
                at = self._start(tomorrow.year, tomorrow.month, tomorrow.day)
            elif local.hour not in self.hours.values:
                at += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes.values:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _start(self, year: int, month: int, day: int) -> datetime:
        """Where the clocks skip midnight, the first instant of the day."""
        return datetime(year, month, day, tzinfo=self.zone).astimezone(UTC)

    def _is_day(self, local: datetime) -> bool:
        of_month, of_week = local.day in self.days.values, local.isoweekday() % 7 in self.weekdays.values
        both = self.days.free or self.weekdays.free
        return of_month and of_week if both else of_month or of_week


def parse(text: str, zone: tzinfo = UTC) -> Schedule | Interval:
    """Raises ValueError with a sentence that says what is wrong."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        name, _, text = text.partition("=")[2].partition(" ")
        zone, text = zone_of(name), text.strip()
    if text.startswith("@"):
        return _described(text, zone)
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minutes, hours, days, months, weekdays = (
        _field(part, *bounds) for part, bounds in zip(parts, _BOUNDS, strict=True)
    )
    return Schedule(minutes, hours, days, months, weekdays, zone)


def zone_of(name: str) -> tzinfo:
    """Raises ValueError for a name that nobody knows."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, OSError, ValueError):
        raise ValueError(f"unknown time zone {name}") from None


def _described(text: str, zone: tzinfo) -> Schedule | Interval:
    if text in _NAMED:
        return parse(_NAMED[text], zone)
    if text.startswith(_EVERY):
        seconds = durations.seconds(text.removeprefix(_EVERY))
        if seconds is None:
            raise ValueError(f'failed to parse duration {text}: time: invalid duration "{text.removeprefix(_EVERY)}"')
        return Interval(max(int(seconds), 1))
    raise ValueError(f"unrecognized descriptor: {text}")


_BOUNDS: tuple[tuple[int, int, tuple[str, ...], int], ...] = (
    # least, most, names, the number of the first name
    (0, 59, (), 0),
    (0, 23, (), 0),
    (1, 31, (), 0),
    (1, 12, _MONTHS, 1),
    (0, 6, _DAYS, 0),
)


def _field(text: str, least: int, most: int, names: tuple[str, ...], first: int) -> Field:
    """A list of ranges."""

    def number(word: str) -> int:
        if word.lower() in names:
            return names.index(word.lower()) + first
        return _number(word)

    fields = [_range(part, least, most, number) for part in text.split(",") if part]
    return Field(frozenset().union(*(each.values for each in fields)), any(each.free for each in fields))


def _range(text: str, least: int, most: int, number: Callable[[str], int]) -> Field:
    """`*`, `5`, `5-9`, each perhaps with a step: `*/2`, `5/2` (to the end), `5-9/2`."""
    span, *steps = text.split("/")
    low, *highs = span.split("-")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    free = low in ("*", "?")
    if free:
        start, end = least, most
    elif len(highs) > 1:
        raise ValueError(f"too many hyphens: {text}")
    else:
        start = number(low)
        end = number(highs[0]) if highs else most if steps else start
    step = _number(steps[0]) if steps else 1
    _check(text, start, end, step, least, most)
    return Field(frozenset(range(start, end + 1, step)), free and step == 1)


def _check(text: str, start: int, end: int, step: int, least: int, most: int) -> None:
    if start < least:
        raise ValueError(f"beginning of range ({start}) below minimum ({least}): {text}")
    if end > most:
        raise ValueError(f"end of range ({end}) above maximum ({most}): {text}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")


def _number(word: str) -> int:
    try:
        value = int(word)
    except ValueError:
        raise ValueError(f'failed to parse int from {word}: strconv.Atoi: parsing "{word}": invalid syntax') from None
    if value < 0:
        raise ValueError(f"negative number ({value}) not allowed: {word}")
    return value
