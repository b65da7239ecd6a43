"""The life of a pod and of its containers, as two tables whose order is their meaning.

Pure. In: `Facts` about one pod, and `now`. Out: `Decision`: what to do, why, and when to look again. What is decided
depends on the facts alone, never on how they came about, so a kubelet that dies anywhere goes on from where the API
stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from graylane.cluster.kubelet.ends import completed, done, passed
from graylane.cluster.kubelet.states import Container, Restart, Running, Terminated, Waiting

DRAIN_WITHIN = timedelta(seconds=10)  # a busy machine's proxies take seconds; none answers where the mesh is down


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one decision about a pod may read.

    `leaving_since` is when deletion was asked for, `grace` what it allows. `proxied` says that requests reach the pod
    through a mesh, so that it must have its proxy before it starts and lose its traffic before it stops. `over` says
    that its phase is final already, whatever its containers say.
    """

    containers: tuple[Container, ...]
    restart: Restart = Restart.ALWAYS
    refusals: tuple[str, ...] = ()
    address: str = ""
    proxied: bool = False
    proxy_ready: bool = False
    drained: bool = False
    leaving_since: datetime | None = None
    grace: timedelta = timedelta(seconds=30)
    started_at: datetime | None = None
    deadline: timedelta | None = None
    over: bool = False

    @property
    def main(self) -> tuple[Container, ...]:
        return tuple(container for container in self.containers if not container.init)

    @property
    def init(self) -> tuple[Container, ...]:
        return tuple(container for container in self.containers if container.init)

    @property
    def sidecars(self) -> tuple[Container, ...]:
        return tuple(container for container in self.containers if container.sidecar)

    @property
    def initialized(self) -> bool:
        """Every init container is past, or a main one has run: then they were (a record of them may be gone)."""
        return all(map(passed, self.init)) or any(container.runs for container in self.main)


@dataclass(frozen=True, slots=True)
class Start:
    """Run `container` (again)."""

    container: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End `container` by `deadline`; `message` completes the event `Killing`."""

    container: str
    deadline: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Give the pod an address."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Write the final status and remove the object: nothing of the pod runs any more."""


@dataclass(frozen=True, slots=True)
class Expire:
    """The pod has failed for a reason of its own, not of its containers'."""

    reason: str
    message: str


Action = Start | Stop | Assign | Finish | Expire


@dataclass(frozen=True, slots=True)
class Decision:
    """`because` is the pod's row; `wake_at` the next instant at which time alone changes the decision."""

    because: str
    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None


class Doing(StrEnum):
    FINISH = "finish"
    DRAIN = "drain"
    STOP = "stop"
    REST = "rest"
    REFUSE = "refuse"
    EXPIRE = "expire"
    ASSIGN = "assign an address"
    AWAIT_PROXY = "await its proxy"
    INITIALIZE = "initialize"
    RUN = "run"


class Step(StrEnum):
    START = "start"
    STOP = "stop"
    LEAVE = "leave"
    WAIT = "wait"


# -- what the rows ask


def _leaving(facts: Facts, now: datetime) -> bool:
    return facts.leaving_since is not None


def _ended(facts: Facts, now: datetime) -> bool:
    return not any(container.alive for container in facts.containers)


def _gone(facts: Facts, now: datetime) -> bool:
    return _leaving(facts, now) and _ended(facts, now)


def _still_receiving(facts: Facts, now: datetime) -> bool:
    receives = facts.proxied and not facts.drained and any(map(_running, facts.main))
    return _leaving(facts, now) and receives and now < drained_by(facts)


def _complete(facts: Facts, now: datetime) -> bool:
    return facts.over or completed(facts.restart, facts.init, facts.main)


def _overdue(facts: Facts, now: datetime) -> bool:
    return facts.deadline is not None and facts.started_at is not None and now >= facts.started_at + facts.deadline


def _refused(facts: Facts, now: datetime) -> bool:
    return bool(facts.refusals)


def _unaddressed(facts: Facts, now: datetime) -> bool:
    return not facts.address


def _unproxied(facts: Facts, now: datetime) -> bool:
    return facts.proxied and not facts.proxy_ready


def _uninitialized(facts: Facts, now: datetime) -> bool:
    return not facts.initialized


def _always(facts: Facts, now: datetime) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PodRow:
    when: Callable[[Facts, datetime], bool]
    do: Doing
    because: str


POD_LIFE = (  # first row that applies wins; ending comes before living, safety before progress
    PodRow(_gone, Doing.FINISH, "it was deleted and nothing of it runs any more"),
    PodRow(_still_receiving, Doing.DRAIN, "it was deleted, but proxies may still send it requests"),
    PodRow(_leaving, Doing.STOP, "it was deleted"),
    PodRow(_complete, Doing.REST, "its containers are done for good"),
    PodRow(_overdue, Doing.EXPIRE, "its activeDeadlineSeconds have passed"),
    PodRow(_refused, Doing.REFUSE, "it asks for what this kubelet does not do"),
    PodRow(_unaddressed, Doing.ASSIGN, "it needs an address first"),
    PodRow(_unproxied, Doing.AWAIT_PROXY, "its proxy must be there before its first request"),
    PodRow(_uninitialized, Doing.INITIALIZE, "its init containers come first, one by one"),
    PodRow(_always, Doing.RUN, "its containers run"),
)


def _never_ran(container: Container, restart: Restart, now: datetime) -> bool:
    return isinstance(container.state, Waiting) and _due(container.state, now)


def _waits(container: Container, restart: Restart, now: datetime) -> bool:
    return isinstance(container.state, Waiting)


def _sick(container: Container, restart: Restart, now: datetime) -> bool:
    return isinstance(container.state, Running) and bool(container.state.unhealthy)


def _well(container: Container, restart: Restart, now: datetime) -> bool:
    return isinstance(container.state, Running)


def _done(container: Container, restart: Restart, now: datetime) -> bool:
    return done(restart, container)


def _backing_off(container: Container, restart: Restart, now: datetime) -> bool:
    return isinstance(container.state, Terminated) and now < container.backoff.until(container.state.finished_at)


def _busy(container: Container, restart: Restart, now: datetime) -> bool:
    return container.busy


def _else(container: Container, restart: Restart, now: datetime) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ContainerRow:
    when: Callable[[Container, Restart, datetime], bool]
    do: Step
    because: str


CONTAINER_LIFE = (  # for containers of a pod that initializes or runs; first row that applies wins
    ContainerRow(_busy, Step.LEAVE, "it is being started or stopped"),
    ContainerRow(_never_ran, Step.START, "it has not run yet"),
    ContainerRow(_waits, Step.WAIT, "what kept it from starting is looked at again later"),
    ContainerRow(_sick, Step.STOP, "its probe says it must be restarted"),
    ContainerRow(_well, Step.LEAVE, "it runs"),
    ContainerRow(_done, Step.LEAVE, "it ended and is not to run again"),
    ContainerRow(_backing_off, Step.WAIT, "it keeps ending, so it waits longer each time"),
    ContainerRow(_else, Step.START, "it ended and is to run again"),
)


def decide(facts: Facts, now: datetime) -> Decision:
    """What to do for one pod now. Deciding again on unchanged facts gives the same answer."""
    row = next(row for row in POD_LIFE if row.when(facts, now))
    actions = tuple(_actions(row.do, facts, now))
    return Decision(row.because, actions, min(_instants(row.do, facts, now), default=None))


def _actions(do: Doing, facts: Facts, now: datetime) -> Iterator[Action]:
    match do:
        case Doing.FINISH:
            yield Finish()
        case Doing.STOP:
            yield from _stop_all(facts, stopped_by(facts), "Stopping container {}")
        case Doing.REST:
            # A failed pod's other containers end too; a completed one has none that run.
            yield from _stop_all(facts, now + facts.grace, "Stopping container {}")
        case Doing.EXPIRE:
            yield Expire("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        case Doing.ASSIGN:
            yield Assign()
        case Doing.INITIALIZE:
            yield from _steps(_initializing(facts.init), facts, now)
        case Doing.RUN:
            yield from _steps((*facts.sidecars, *facts.main), facts, now)
        case Doing.DRAIN | Doing.REFUSE | Doing.AWAIT_PROXY:
            pass


def _steps(containers: Iterable[Container], facts: Facts, now: datetime) -> Iterator[Action]:
    for container in containers:
        match _step(container, facts.restart, now):
            case Step.START:
                yield Start(container.name)
            case Step.STOP if isinstance(container.state, Running):
                within = facts.grace if container.state.within is None else container.state.within
                yield Stop(container.name, now + within, container.state.unhealthy)
            case _:
                pass


def _step(container: Container, restart: Restart, now: datetime) -> Step:
    return next(row.do for row in CONTAINER_LIFE if row.when(container, restart, now))


def _initializing(init: Iterable[Container]) -> Iterator[Container]:
    """The first that is not past, and the sidecars before it, which may need another start."""
    for container in init:
        if container.sidecar or not passed(container):
            yield container
        if not passed(container):
            return


def _stop_all(facts: Facts, deadline: datetime, message: str) -> Iterator[Action]:
    """Sidecars serve the others to their end: they follow one by one, the last that was started first."""
    alive = [container for container in facts.containers if container.alive]
    for container in [each for each in alive if not each.sidecar] or alive[-1:]:
        yield Stop(container.name, deadline, message.format(container.name))


def _instants(do: Doing, facts: Facts, now: datetime) -> Iterator[datetime]:
    """The instants at which this decision may change although nothing happens."""
    if do is Doing.DRAIN:
        yield drained_by(facts)
    if do in (Doing.INITIALIZE, Doing.RUN):
        for container in facts.containers:
            if isinstance(container.state, Waiting) and container.state.retry_at and not container.busy:
                yield container.state.retry_at
            if isinstance(container.state, Terminated) and _backing_off(container, facts.restart, now):
                yield container.backoff.until(container.state.finished_at)
    if facts.deadline is not None and facts.started_at is not None and do is not Doing.REST:
        yield max(facts.started_at + facts.deadline, now)


# -- what others ask of the same facts


def drained_by(facts: Facts) -> datetime:
    """When waiting for the proxies ends in any case: a mesh that is down must not keep pods alive."""
    assert facts.leaving_since is not None
    return facts.leaving_since + min(facts.grace / 2, DRAIN_WITHIN)


def stopped_by(facts: Facts) -> datetime:
    """When SIGKILL follows: the whole grace period, draining included, as Kubernetes counts a preStop hook in."""
    assert facts.leaving_since is not None
    return facts.leaving_since + facts.grace


def _running(container: Container) -> bool:
    return isinstance(container.state, Running)


def _due(state: Waiting, now: datetime) -> bool:
    return state.retry_at is None or now >= state.retry_at
