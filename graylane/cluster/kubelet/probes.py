"""Probes: what a container asks to be checked, and what a history of checks means.

Pure. In: probe objects and one outcome after the other. Out: `Probe`s, and a `History` whose `verdict` is Kubernetes'
own.

Two deliberate differences, both only while a container is coming up, where a laptop user waits:
* a container without readinessProbe that declares a TCP port is ready once it *listens* there. Kubernetes calls it
  ready when its process runs, and the first requests fail; here "pods ready" means that traffic is safe;
* until its first success, a readiness or startup probe looks more often than its period says. Such extra looks can only
  find it ready sooner: their failures are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

_FIRST_PAUSE = timedelta(milliseconds=10)
_LONGEST_PAUSE = timedelta(milliseconds=500)
_PAUSE_GROWTH = 1.25  # so that looking finds a start at most a quarter later than it happened
_EAGER_FOR = timedelta(seconds=60)


class Purpose(StrEnum):
    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True, slots=True)
class HttpGet:
    """`host` empty means the pod's address."""

    port: int
    path: str = "/"
    host: str = ""
    https: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TcpSocket:
    port: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grpc:
    """`grpc.health.v1.Health/Check`; `service` empty asks for the server as a whole."""

    port: int
    service: str = ""


Check = HttpGet | TcpSocket | Exec | Grpc


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of one container. `implied` marks the one we add for a declared port.

    `grace` is what the container gets to end in when this probe has it restarted (None: what its pod gives it).
    """

    purpose: Purpose
    check: Check
    initial_delay: timedelta = timedelta(0)
    period: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=1)
    success_threshold: int = 1
    failure_threshold: int = 3
    grace: timedelta | None = None
    implied: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """`verdict` is None while the thresholds have decided nothing; `streak` counts equal outcomes in a row.

    `pause` is how long the next eager look waits.
    """

    verdict: bool | None = None
    last: bool | None = None
    streak: int = 0
    pause: timedelta = _FIRST_PAUSE


@dataclass(frozen=True, slots=True)
class Look:
    """The next check: when, and whether a failure then counts."""

    at: datetime
    counts: bool


def probes_of(container: Mapping[str, Any]) -> tuple[Probe, ...]:
    """The probes to run. Raises ValueError for what `support.refusals` refuses."""
    found = [
        _probe(purpose, container[field], container)
        for purpose, field in (
            (Purpose.STARTUP, "startupProbe"),
            (Purpose.READINESS, "readinessProbe"),
            (Purpose.LIVENESS, "livenessProbe"),
        )
        if container.get(field)
    ]
    if not any(probe.purpose is Purpose.READINESS for probe in found):
        found += [Probe(Purpose.READINESS, TcpSocket(port), implied=True) for port in _first_tcp_port(container)]
    return tuple(found)


def record(probe: Probe, history: History, success: bool, *, counts: bool = True) -> History:
    """The history after one more outcome."""
    pause = min(history.pause * _PAUSE_GROWTH, _LONGEST_PAUSE, probe.period)
    if not success and not counts:
        return History(history.verdict, history.last, history.streak, pause)
    streak = history.streak + 1 if history.last == success else 1
    wanted = probe.success_threshold if success else probe.failure_threshold
    verdict = success if streak >= wanted else history.verdict
    return History(verdict, success, streak, pause)


def next_look(probe: Probe, history: History, started_at: datetime, last: Look | None, now: datetime) -> Look:
    """When to check next: at the period's beats, and in between while it is coming up."""
    first = started_at + probe.initial_delay
    if last is None:
        return Look(max(first, now), counts=not probe.implied)
    beats = max(int((now - first) / probe.period) + 1, 1)
    beat = Look(max(first + beats * probe.period, now), counts=not probe.implied)
    eager = Look(now + history.pause, counts=False)
    return eager if _coming_up(probe, history, started_at, now) and eager.at < beat.at else beat


def _coming_up(probe: Probe, history: History, started_at: datetime, now: datetime) -> bool:
    unproven = probe.purpose is not Purpose.LIVENESS and history.verdict is not True and history.last is not True
    return unproven and (probe.implied or now - started_at < probe.initial_delay + _EAGER_FOR)


def settled(probe: Probe, history: History) -> bool:
    """No further look is needed: startup passed once is passed, and so is our own wait for a listening port."""
    once = probe.purpose is Purpose.STARTUP or probe.implied
    return once and history.verdict is True


# -- reading probe objects


def _probe(purpose: Purpose, spec: Mapping[str, Any], container: Mapping[str, Any]) -> Probe:
    def seconds(field: str, default: int) -> timedelta:
        return timedelta(seconds=int(spec.get(field) or default))

    return Probe(
        purpose=purpose,
        check=check_of(spec, container),
        initial_delay=seconds("initialDelaySeconds", 0),
        period=seconds("periodSeconds", 10),
        timeout=seconds("timeoutSeconds", 1),
        success_threshold=int(spec.get("successThreshold") or 1),
        failure_threshold=int(spec.get("failureThreshold") or 3),
        grace=seconds("terminationGracePeriodSeconds", 0) or None,
    )


def check_of(spec: Mapping[str, Any], container: Mapping[str, Any]) -> Check:
    """The handler of a probe or hook. Raises ValueError naming the handler that is not supported."""
    if http := spec.get("httpGet"):
        headers = tuple((str(each["name"]), str(each["value"])) for each in http.get("httpHeaders") or [])
        https = str(http.get("scheme") or "HTTP").upper() == "HTTPS"
        path = "/" + str(http.get("path") or "/").lstrip("/")
        return HttpGet(port_number(http.get("port"), container), path, str(http.get("host") or ""), https, headers)
    if tcp := spec.get("tcpSocket"):
        return TcpSocket(port_number(tcp.get("port"), container), str(tcp.get("host") or ""))
    if execute := spec.get("exec"):
        return Exec(tuple(map(str, execute.get("command") or [])))
    if grpc := spec.get("grpc"):
        return Grpc(port_number(grpc.get("port"), container), str(grpc.get("service") or ""))
    raise ValueError("it has no handler")


def port_number(port: Any, container: Mapping[str, Any]) -> int:
    """A number, or the number of the container's port with that name."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for declared in container.get("ports") or []:
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise ValueError(f"port {port!r} is neither a number nor the name of one of the container's ports")


def _first_tcp_port(container: Mapping[str, Any]) -> list[int]:
    ports = [port for port in container.get("ports") or [] if (port.get("protocol") or "TCP") == "TCP"]
    return [int(ports[0]["containerPort"])] if ports else []
