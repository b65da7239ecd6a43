"""CronJob: a Job whenever its schedule says so, as far as its policy allows, and no more old ones than it keeps.

Pure but for what it remembers having said, and of which schedule. In: a CronJob and its Jobs. Out: Jobs to create and
to delete, its status, and when the next is due. A Job's name tells the minute it is for: who comes again after a crash
finds it and makes no second. When a Job is due is decided in `cron_times.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from graylane.cluster.workloads.cron_times import Due, Times, due
from graylane.cluster.workloads.job_verdict import COMPLETE, FAILED, finished
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.order import told_last
from graylane.cluster.workloads.refusals import failed_create
from graylane.kit import Create, Delete, Effect, Event, Outcome, Patch, View
from graylane.model.cron import parse, zone_of
from graylane.model.kinds import CRON_JOB, JOB
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    dig,
    format_time,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    owner_reference,
    parse_time,
    uid_of,
)
from graylane.model.patches import create_merge_patch

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_SKEW = timedelta(milliseconds=100)  # a clock that is a little behind must not miss the minute


@dataclass(frozen=True, slots=True)
class Facts:
    cron: Obj
    jobs: tuple[Obj, ...]
    now: datetime

    @property
    def spec(self) -> Obj:
        found: Obj = self.cron["spec"]
        return found

    @property
    def active(self) -> list[Obj]:
        """Of its own making, and not over: those it has noted, and those it had no time to note."""
        noted = {each.get("uid") for each in self.noted}
        running = (job for job in self.jobs if finished(job) is None)
        return [job for job in running if uid_of(job) in noted or SCHEDULED in annotations_of(job)]

    @property
    def noted(self) -> list[Obj]:
        found: list[Obj] = dig(self.cron, "status", "active", default=[])
        return found

    @property
    def scheduled_at(self) -> datetime | None:
        text = dig(self.cron, "status", "lastScheduleTime")
        return parse_time(text) if text else None


@dataclass(frozen=True, slots=True)
class Step:
    """What is done: Jobs to end, a Job to begin, `told` of the time `about`, and when to look again."""

    end: tuple[Obj, ...] = ()
    begin: Obj | None = None
    scheduled_at: datetime | None = None
    told: Event | None = None
    about: datetime | None = None
    wake_at: datetime | None = None


@dataclass
class CronJobs:
    """Remembers by uid: the schedule that was seen last, and what was last told of which minute."""

    _schedules: dict[str, tuple[tuple[str, str], datetime]] = field(default_factory=dict)
    _said: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    _uids: dict[Key, str] = field(default_factory=dict)

    def reconcile(self, view: View, key: Key, now: datetime) -> Outcome:
        cron = view.get(CRON_JOB, *key)
        if cron is None:
            uid = self._uids.pop(key, "")
            self._schedules.pop(uid, None)
            self._said.pop(uid, None)
            return Outcome()
        self._uids[key] = uid_of(cron)
        facts = Facts(cron, tuple(view.owned_by(JOB, uid_of(cron))), now)
        step = self._once(self._step(view, facts), cron)
        return Outcome(told_last(_effects(facts, step)), step.wake_at)

    def _step(self, view: View, facts: Facts) -> Step:
        if is_deleting(facts.cron) or is_closing(view, namespace_of(facts.cron)):
            return Step()
        step = _begin(view, facts) if not facts.spec.get("suspend") else Step()
        if facts.now < self._counts_from(facts, step) and step.begin is not None:
            step = Step(wake_at=step.wake_at)  # what a new schedule would have begun before it was there is not made up
        return replace(step, end=(*step.end, *_forgotten(facts)))

    def _counts_from(self, facts: Facts, step: Step) -> datetime:
        """A schedule that was not there at the last look counts from its next time on."""
        uid, schedule = uid_of(facts.cron), (facts.spec["schedule"], facts.spec.get("timeZone") or "")
        before, since = self._schedules.get(uid, (schedule, facts.now))
        if before != schedule:
            since = step.wake_at or facts.now
        self._schedules[uid] = (schedule, since)
        return since

    def _once(self, step: Step, cron: Obj) -> Step:
        """What is told of a minute is told once, however often one looks in it."""
        if step.told is None:
            return step
        said = (step.told.message, step.about)
        before, self._said[uid_of(cron)] = self._said.get(uid_of(cron)), said
        return replace(step, told=None) if before == said else step


# -- what is due


def _begin(view: View, facts: Facts) -> Step:
    cron, spec = facts.cron, facts.spec
    try:
        zone = zone_of(spec.get("timeZone") or "")
    except ValueError as error:
        return Step(told=_warning(cron, "UnknownTimeZone", f'invalid timeZone: "{spec["timeZone"]}": {error}'))
    try:
        schedule = parse(spec["schedule"], zone)
    except ValueError as error:
        said = f'unparseable schedule: "{spec["schedule"]}" : {error}'
        return Step(told=_warning(cron, "UnparseableSchedule", said))
    created = parse_time(cron["metadata"]["creationTimestamp"])
    times = Times(schedule, created, facts.scheduled_at, _deadline(spec), facts.now)
    try:
        found = due(times)
    except ValueError as error:
        return Step(told=_warning(cron, "InvalidSchedule", f"invalid schedule: {spec['schedule']} : {error}"))
    step = _judged(view, facts, found)
    zoned = replace(step, wake_at=found.next + _SKEW)
    if zoned.begin is None:
        return zoned
    at = found.at.astimezone(zone) if found.at else facts.now
    stamp = {SCHEDULED: at.isoformat().replace("+00:00", "Z")}
    metadata = zoned.begin["metadata"]
    return replace(zoned, begin=zoned.begin | {"metadata": metadata | {"annotations": metadata["annotations"] | stamp}})


def _judged(view: View, facts: Facts, found: Due) -> Step:
    """Whether what is due is begun."""
    cron, at, policy = facts.cron, found.at, facts.spec.get("concurrencyPolicy", "Allow")
    if at is None or at == facts.scheduled_at:
        return Step()
    late = _deadline(facts.spec)
    if late is not None and at + late < facts.now:
        said = f"Missed scheduled time to start a job: {at:%a, %d %b %Y %H:%M:%S +0000}"
        return Step(told=_warning(cron, "MissSchedule", said), about=at)
    name = f"{name_of(cron)}-{int(at.timestamp()) // 60}"
    if view.get(JOB, namespace_of(cron), name) is not None:
        return Step(scheduled_at=at)
    if policy == "Forbid" and facts.active:
        said = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return Step(told=_told(cron, "JobAlreadyActive", said), about=at)
    many = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    told = _warning(cron, "TooManyMissedTimes", many) if found.many else None
    ended = tuple(facts.active) if policy == "Replace" else ()
    return Step(ended, _job(cron, name), at, told, at)


def _deadline(spec: Obj) -> timedelta | None:
    seconds = spec.get("startingDeadlineSeconds")
    return None if seconds is None else timedelta(seconds=seconds)


def _job(cron: Obj, name: str) -> Obj:
    template: Obj = cron["spec"]["jobTemplate"]
    metadata = {
        "name": name,
        "namespace": namespace_of(cron),
        "labels": dict(dig(template, "metadata", "labels", default={})),
        "annotations": dict(dig(template, "metadata", "annotations", default={})),
        "ownerReferences": [owner_reference(cron, CRON_JOB)],
    }
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": metadata, "spec": template.get("spec") or {}}


# -- what is kept


def _forgotten(facts: Facts) -> Iterator[Obj]:
    """The oldest of those that have ended, of each kind of end as many as are too many."""
    for limit, end in (("successfulJobsHistoryLimit", COMPLETE), ("failedJobsHistoryLimit", FAILED)):
        kept = facts.spec.get(limit)
        ended = sorted((job for job in facts.jobs if _ended(job) == end and not is_deleting(job)), key=_age)
        if kept is not None:
            yield from ended[: max(len(ended) - kept, 0)]


def _ended(job: Obj) -> str:
    return str((finished(job) or {}).get("type", ""))


def _age(job: Obj) -> tuple[bool, str, str]:
    """One that never started counts as the youngest."""
    start = dig(job, "status", "startTime", default="")
    return not start, start, name_of(job)


# -- what is written


def _effects(facts: Facts, step: Step) -> Iterator[Effect]:
    cron = facts.cron
    for job in step.end:
        yield Delete(JOB, key_of(job), uid_of(job))
        yield _told(cron, "SuccessfulDelete", f"Deleted job {name_of(job)}")
    if step.begin is not None:
        yield Create(JOB, step.begin, failed_create(CRON_JOB, cron, "Error creating job: "))
        yield _told(cron, "SuccessfulCreate", f"Created job {name_of(step.begin)}")
    yield from _status(facts, step)
    yield from _noticed(facts)
    if step.told is not None:
        yield step.told


def _status(facts: Facts, step: Step) -> Iterator[Effect]:
    ended = {uid_of(job) for job in step.end}
    old: Obj = dig(facts.cron, "status", default={})
    known = {each.get("uid"): each for each in facts.noted}
    active = [known.get(uid_of(job)) or _reference(job) for job in facts.active if uid_of(job) not in ended]
    new = {name: value for name, value in old.items() if name != "active"} | ({"active": active} if active else {})
    if step.scheduled_at is not None:
        new["lastScheduleTime"] = format_time(step.scheduled_at)
    if (succeeded := _last_success(facts)) is not None:
        new["lastSuccessfulTime"] = succeeded
    if patch := create_merge_patch(old, new):
        yield Patch(CRON_JOB, key_of(facts.cron), {"status": patch}, subresource="status")


def _reference(job: Obj) -> Obj:
    head = {"apiVersion": JOB.api_version, "kind": JOB.kind, "name": name_of(job), "namespace": namespace_of(job)}
    return head | {"resourceVersion": job["metadata"]["resourceVersion"], "uid": uid_of(job)}


def _last_success(facts: Facts) -> str | None:
    """Times are written alike, so that the latest is the greatest."""
    times = [dig(job, "status", "completionTime") for job in facts.jobs if _ended(job) == COMPLETE]
    known = [*filter(None, times), *filter(None, [dig(facts.cron, "status", "lastSuccessfulTime")])]
    return max(known, default=None)


def _noticed(facts: Facts) -> Iterator[Event]:
    """The ends of those that were noted as active."""
    jobs = {uid_of(job): job for job in facts.jobs}
    for each in facts.noted:
        job = jobs.get(each.get("uid", ""))
        if job is None:
            yield _told(facts.cron, "MissingJob", f"Active job went missing: {each.get('name')}")
        elif end := _ended(job):
            yield _told(facts.cron, "SawCompletedJob", f"Saw completed job: {name_of(job)}, condition: {end}")


def _told(cron: Obj, reason: str, message: str) -> Event:
    return Event(CRON_JOB, cron, "Normal", reason, message)


def _warning(cron: Obj, reason: str, message: str) -> Event:
    return Event(CRON_JOB, cron, "Warning", reason, message)
