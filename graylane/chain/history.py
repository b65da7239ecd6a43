"""What became of a Rollout's releases: which versions, when each was released, by which approvals, how it ended.

Pure. In: a Rollout, its Deployment, ReplicaSets and the Rollout's events. Out: `Entry`s, oldest first. ReplicaSets are
kept by the Deployment's `revisionHistoryLimit`, events for as long as the API server keeps them; what is gone is not
told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from graylane.chain.workloads import name_of_template
from graylane.model.kinds import ROLLOUT
from graylane.model.managers import UNKNOWN
from graylane.model.meta import Obj, annotations_of, condition, controller_of, dig, name_of, parse_time, uid_of
from graylane.model.revisions import DEPLOYMENT_REVISION, hash_of, revision_of, template_of, wanted_replicas
from graylane.model.rollout import Phase

_REVISION = re.compile(r"revision (\w+)")
_CALLED = re.compile(r"revision (\w+) \((.+)\) begins")
_STEP = re.compile(r"step\((\d+)/(\d+)\)")
_BY = re.compile(r", (?:approved|as asked) by (.+)$")
_CAUSE = re.compile(r"made no progress in (\d+ s.*)$")
ITS_TIME = "its time"
_CUT = "its Rollout was deleted"


@dataclass(frozen=True, slots=True)
class Passed:
    """A step that is over: approved by somebody, or its time was over. `waited` is None where nobody knows any more."""

    step: int
    at: datetime
    by: str
    waited: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One version's release. `number` is 0 for a version that never became the Deployment's own.

    `began` is None where no release is known: the first version, or one whose events are gone. `outcome` is in words.
    """

    number: int
    version: str
    hash: str
    revision: str
    began: datetime | None
    passed: tuple[Passed, ...]
    outcome: str
    ended: datetime | None
    running: bool


@dataclass(slots=True)
class _Release:
    """One release as its events tell it, while it is being read."""

    revision: str
    began: datetime | None
    passed: list[Passed] = field(default_factory=list)
    outcome: str = ""
    ended: datetime | None = None
    paused: dict[int, datetime] = field(default_factory=dict)
    cause: str = ""
    aborted_by: str = ""


def history(rollout: Obj, deployment: Obj | None, replica_sets: Iterable[Obj], events: Iterable[Obj]) -> list[Entry]:
    """`replica_sets` and `events` may hold those of others; only what belongs to the two is used."""
    uid = uid_of(deployment) if deployment else ""
    own = [item for item in replica_sets if uid and (controller_of(item) or {}).get("uid") == uid]
    told = [item for item in events if dig(item, "involvedObject", "uid") == uid_of(rollout)]
    releases = _with_status(_releases(told), rollout)
    sets = {revision_of(template_of(item)): item for item in own}
    held = template_of(deployment or {})  # the version under release has no ReplicaSet of its own yet
    names = {revision: name_of_template(template_of(item)) for revision, item in sets.items()}
    names |= {revision_of(held): name_of_template(held)} if held else {}
    names |= _called(told)
    entries = [_entry(release, sets.get(release.revision), names) for release in releases]
    known = {release.revision for release in releases}
    silent = [_entry(_Release(revision, None), item, names) for revision, item in sets.items() if revision not in known]
    return sorted([*silent, *entries], key=lambda entry: (_time_of(entry, sets), entry.number))


def of_deleted(
    name: str, deployments: Iterable[Obj], replica_sets: Sequence[Obj], events: Sequence[Obj]
) -> tuple[str, list[Entry]] | None:
    """Of a Rollout that is no more: its Deployment's name, "" where nothing tells it, and its releases; None when no
    event tells of it. Of several that were called so it is the last."""
    told = [each for each in events if _is_about(each, name)]
    if not told:
        return None
    last = max(told, key=lambda each: str(each.get("lastTimestamp") or each.get("firstTimestamp") or ""))
    stand_in: Obj = {"metadata": {"name": name, "uid": dig(last, "involvedObject", "uid")}}
    released = {_named(str(each.get("message", ""))) for each in told} - {""}
    owners = {
        str((controller_of(item) or {}).get("uid"))
        for item in replica_sets
        if revision_of(template_of(item)) in released
    }
    deployment = next((item for item in deployments if uid_of(item) in owners), None)
    entries = history(stand_in, deployment, replica_sets, events)
    cut = [replace(each, outcome=_CUT) if each.began and not each.ended else each for each in entries]
    return name_of(deployment) if deployment else "", cut


def _is_about(event: Obj, name: str) -> bool:
    about: Obj = dig(event, "involvedObject", default={})
    ours = str(about.get("apiVersion", "")).startswith(f"{ROLLOUT.group}/") and about.get("kind") == ROLLOUT.kind
    return ours and about.get("name") == name


def _entry(release: _Release, replica_set: Obj | None, names: Mapping[str, str]) -> Entry:
    live = replica_set or {}
    text = annotations_of(live).get(DEPLOYMENT_REVISION, "")
    return Entry(
        number=int(text) if text.isdigit() else 0,
        version=names.get(release.revision, ""),
        hash=hash_of(live),
        revision=release.revision,
        began=release.began,
        passed=tuple(release.passed),
        outcome=release.outcome,
        ended=release.ended,
        running=bool(live) and wanted_replicas(live) > 0,
    )


def _time_of(entry: Entry, sets: dict[str, Obj]) -> str:
    if entry.began is not None:
        return entry.began.isoformat()
    created = dig(sets.get(entry.revision), "metadata", "creationTimestamp")
    return parse_time(str(created)).isoformat() if created else ""


# -- events


@dataclass(frozen=True, slots=True)
class _Told:
    at: datetime
    order: str
    reason: str
    message: str


def _occurrences(events: Iterable[Obj]) -> Iterator[_Told]:
    """The first time, and the last where it was counted up; those in between are not kept."""
    for event in events:
        first, last = event.get("firstTimestamp"), event.get("lastTimestamp")
        for text in dict.fromkeys(filter(None, (first, last))):
            words = str(event.get("reason", "")), str(event.get("message", ""))
            yield _Told(parse_time(str(text)), name_of(event), *words)


def _called(events: Iterable[Obj]) -> dict[str, str]:
    """What each version was called when its release began, by its revision: it may have left nothing else behind."""
    found = (_CALLED.search(str(event.get("message", ""))) for event in events)
    return {each[1]: each[2] for each in found if each}


def _releases(events: Iterable[Obj]) -> list[_Release]:
    found: list[_Release] = []
    timed: set[tuple[str, int]] = set()
    for told in sorted(_occurrences(events), key=lambda item: (item.at, item.order)):
        open_release = found[-1] if found and not found[-1].ended else None
        if told.reason == "ReleaseStarted":
            _end(open_release, "superseded by a newer version", told.at)
            found.append(_Release(_named(told.message), told.at))
        elif told.reason == "PauseOver":
            timed.add((_named(told.message), _step_of(told.message)))
        elif open_release:
            _read(open_release, told, timed)
    return found


def _read(release: _Release, told: _Told, timed: set[tuple[str, int]]) -> None:
    match told.reason:
        case "StepPaused":
            release.paused[_step_of(told.message)] = told.at
        case "StepReady":
            step = _step_of(told.message)
            by = ITS_TIME if (release.revision, step) in timed else _by(told.message)
            since = release.paused.get(step)
            release.passed.append(Passed(step, told.at, by, told.at - since if since else None))
        case "ProgressDeadlineExceeded":
            cause = _CAUSE.search(told.message)
            release.cause = cause[1] if cause else ""
        case "Aborted" if " failed " not in told.message:
            release.aborted_by = _by(told.message)
        case "Completed":
            _end(release, "promoted", told.at)
        case "Cancelled":
            _end(release, _cancelled(release, told.message), told.at)
        case "WorkloadNotFound":
            _end(release, "its workload was deleted", told.at)


def _cancelled(release: _Release, message: str) -> str:
    """In the words of who wants to know why; an unknown reason is told as it is."""
    if release.aborted_by:
        return "aborted" if release.aborted_by == UNKNOWN else f"aborted by {release.aborted_by}"
    if "made no progress" in message:
        return f"failed: no progress in {release.cause}" if release.cause else "failed: no progress"
    if "was set back" in message:
        return "rolled back: the template was set back"
    return message or "taken back"


def _by(message: str) -> str:
    found = _BY.search(message)
    return found[1] if found else UNKNOWN


def _end(release: _Release | None, outcome: str, at: datetime) -> None:
    if release is not None:
        release.outcome, release.ended = outcome, at


def _named(message: str) -> str:
    found = _REVISION.search(message)
    return found[1] if found else ""


def _step_of(message: str) -> int:
    found = _STEP.search(message)
    return int(found[1]) if found else 0


# -- status


def _with_status(releases: list[_Release], rollout: Obj) -> list[_Release]:
    """The present or last release as the status has it, which outlives every event."""
    canary = dig(rollout, "status", "canaryStatus", default={})
    revision = str(canary.get("canaryRevision", ""))
    if not revision:
        return releases
    last = next((item for item in reversed(releases) if item.revision == revision), None)
    if dig(rollout, "status", "phase") == Phase.PROGRESSING:
        current = last if last and not last.ended else _Release(revision, _since(rollout, "Progressing"))
        current.outcome = f"in step {canary.get('currentStepIndex')}, {canary.get('currentStepState')}"
        return releases if current is last else [*releases, current]
    verdict = condition(rollout, "Succeeded")
    if verdict is None or last is not None or verdict.get("status") != "True":
        return releases
    return [*releases, replace(_Release(revision, None), outcome="promoted", ended=_since(rollout, "Succeeded"))]


def _since(rollout: Obj, kind: str) -> datetime | None:
    text = (condition(rollout, kind) or {}).get("lastTransitionTime")
    return parse_time(str(text)) if text else None
