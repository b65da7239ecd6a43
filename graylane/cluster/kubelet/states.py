"""What is known of a pod's containers: the nouns that `lifecycle` decides on and `status` writes down.

Pure. In: facts from the shell. Out: frozen values; a container's `Backoff`, advanced by each end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Restart(StrEnum):
    """`spec.restartPolicy`."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running, and why; `retry_at` is when trying again makes sense (None: at once)."""

    reason: str
    message: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """`started`: its startup probe has passed, or it has none. `unhealthy`: why it must be stopped, or "".

    `within` is the grace that the probe which says so has of its own, if any.
    """

    at: datetime
    started: bool
    ready: bool
    unhealthy: str = ""
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Terminated:
    """One ended run, in the words of `v1.ContainerStateTerminated`."""

    exit_code: int
    reason: str
    finished_at: datetime
    started_at: datetime | None = None
    signal: int = 0
    message: str = ""

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0


State = Waiting | Running | Terminated

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(minutes=10)

NOT_CREATED = Waiting("ContainerCreating")
NOT_INITIALIZED = Waiting("PodInitializing")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a container that keeps ending waits before its next run, by kubelet's rule.

    The first end costs no wait; then 10 s, doubled each time up to 5 min; a run of 10 min makes all forgotten.
    """

    delay: timedelta = timedelta(0)
    since: datetime | None = None

    def until(self, ended_at: datetime) -> datetime:
        """When a container that ended at `ended_at` may run again."""
        return ended_at if self._forgotten(ended_at) else ended_at + self.delay

    def advanced(self, ended_at: datetime, now: datetime) -> Backoff:
        """The back-off once it runs again at `now`."""
        if self.since is None or self._forgotten(ended_at):
            return Backoff(FIRST_DELAY, now)
        return Backoff(min(self.delay * 2, LONGEST_DELAY), now)

    def _forgotten(self, ended_at: datetime) -> bool:
        return self.since is not None and ended_at - self.since > FORGOTTEN_AFTER


@dataclass(frozen=True, slots=True)
class Container:
    """One container as observed. `runs` counts starts so far; `last` is the run before the present state.

    `busy` means the shell is starting or stopping it, so that it must be left alone until that is done. A `sidecar` is
    an init container that goes on running beside the others.
    """

    name: str
    state: State = NOT_CREATED
    init: bool = False
    runs: int = 0
    last: Terminated | None = None
    backoff: Backoff = Backoff()
    busy: bool = False
    sidecar: bool = False

    @property
    def alive(self) -> bool:
        return self.busy or isinstance(self.state, Running)
