"""What a kubelet that was killed has left to the next one: runs of containers that go on, or have ended meanwhile.

Pure. In: what the holder says of each, the pods that the API has. Out: `Remains`; which of them are of no use, and why.
A container's process is kept only where all of its pod's world is as it was when it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from graylane.cluster.kubelet.states import Backoff, Container, Terminated
from graylane.cluster.processes.child import Exit, Launch
from graylane.model.meta import Obj, dig

Notes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Remains:
    """One run. `hooked`: its postStart has been, or it has none. `last` is the run before it."""

    id: str
    uid: str
    container: str
    run: int
    address: str
    started_at: datetime
    launch: Launch
    hooked: bool = True
    stopping: bool = False
    backoff: Backoff = field(default_factory=Backoff)
    last: Terminated | None = None
    exit: Exit | None = None
    ended_at: datetime | None = None


def notes_of(uid: str, container: Container, address: str, started_at: datetime, launch: Launch, hooked: bool) -> Notes:
    """What the holder is to remember of a run that begins."""
    backoff, last = container.backoff, container.last
    return {
        "uid": uid,
        "container": container.name,
        "run": container.runs - 1,
        "address": address,
        "started": started_at.isoformat(),
        "backoff": [backoff.delay.total_seconds(), _text(backoff.since)],
        "last": None if last is None else _written(last),
        "hooked": hooked,
        "launch": {
            "argv": launch.argv,
            "env": dict(launch.env),
            "cwd": str(launch.cwd),
            "stdin": launch.stdin,
            "terminal": launch.terminal,
            "through": launch.through,
        },
    }


def remains_of(id: str, notes: Notes, *, stopping: bool, exit: Exit | None, ended_at: float) -> Remains:
    """What was remembered. Raises KeyError, TypeError or ValueError for what we did not write."""
    launch = notes["launch"]
    delay, since = notes["backoff"]
    return Remains(
        id=id,
        uid=notes["uid"],
        container=notes["container"],
        run=notes["run"],
        address=notes["address"],
        started_at=datetime.fromisoformat(notes["started"]),
        launch=Launch(
            argv=tuple(launch["argv"]),
            env=launch["env"],
            cwd=Path(launch["cwd"]),
            stdin=launch["stdin"],
            terminal=launch["terminal"],
            through=tuple(launch["through"]),
        ),
        hooked=notes["hooked"],
        stopping=stopping,
        backoff=Backoff(timedelta(seconds=delay), _time(since)),
        last=None if notes["last"] is None else _read(notes["last"]),
        exit=exit,
        ended_at=datetime.fromtimestamp(ended_at, UTC) if ended_at else None,
    )


# -- which are of use


@dataclass(frozen=True, slots=True)
class Found:
    """One run, its pod where the API still has it, and the other runs that are held."""

    remains: Remains
    pod: Obj | None
    others: tuple[Remains, ...] = ()

    @property
    def status(self) -> Mapping[str, Any]:
        return written_status(self.pod or {}, self.remains.container)


def _pod_gone(found: Found) -> bool:
    return found.pod is None


def _not_in_spec(found: Found) -> bool:
    spec = dig(found.pod, "spec", default={})
    names = [each["name"] for field in ("initContainers", "containers") for each in spec.get(field) or []]
    return found.remains.container not in names


def _moved(found: Found) -> bool:
    return bool(dig(found.pod, "status", "podIP", default="") != found.remains.address)


def _followed(found: Found) -> bool:
    mine = found.remains
    later = (each for each in found.others if (each.uid, each.container) == (mine.uid, mine.container))
    return any(each.run > mine.run for each in later)


def _counted_on(found: Found) -> bool:
    ran = bool(found.status.get("containerID"))
    return ran and int(found.status.get("restartCount") or 0) > found.remains.run


USELESS = (  # first row that applies wins; what none applies to is kept
    (_pod_gone, "its pod was deleted"),
    (_not_in_spec, "its pod has no such container"),
    (_moved, "its pod has another address now"),
    (_followed, "a later run of its container is held"),
    (_counted_on, "its container has run again since"),
)


def useless(found: Found, rows: Iterable[tuple[Callable[[Found], bool], str]] = USELESS) -> str:
    """Why a run is to be ended and forgotten; "" where it is to be kept."""
    return next((because for when, because in rows if when(found)), "")


def written_status(pod: Obj, container: str) -> Mapping[str, Any]:
    """What the pod's status says of that container."""
    lists = (dig(pod, "status", field, default=[]) for field in ("initContainerStatuses", "containerStatuses"))
    return next((each for statuses in lists for each in statuses if each.get("name") == container), {})


# -- on the wire


def _written(ended: Terminated) -> Notes:
    return {
        "code": ended.exit_code,
        "reason": ended.reason,
        "finished": ended.finished_at.isoformat(),
        "started": _text(ended.started_at),
        "signal": ended.signal,
        "message": ended.message,
    }


def _read(notes: Notes) -> Terminated:
    finished = datetime.fromisoformat(notes["finished"])
    started = _time(notes["started"])
    return Terminated(notes["code"], notes["reason"], finished, started, notes["signal"], notes["message"])


def _text(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
