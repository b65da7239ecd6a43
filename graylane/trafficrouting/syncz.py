"""Whether Istio's proxies have taken a change, read from what istiod sent them and what they acknowledged.

Pure. In: istiod's `/debug/syncz` of every replica, before and after. Out: a `Verdict`.

istiod knows pushes, not objects. Each push has a counter, which grows within one replica: `TIME/COUNTER` and 36 random
characters are the nonce of what is sent. So we remember the largest counter of each replica when a change is first
seen, which is before istiod pushes it: it waits 100 ms for more. The proxies have the change once a later push was sent
to them and acknowledged, and the others were left alone for a while after that: they need not be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from graylane.kit.istiod import Answer as Told
from graylane.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, generation_of, uid_of
from graylane.trafficrouting.confirm import Answer, Verdict

TYPES = {VIRTUAL_SERVICE: ("route", "listener"), DESTINATION_RULE: ("cluster", "endpoint")}
"""What of a proxy's configuration changes with an object of each kind."""

_ALL = ("cluster", "listener", "route", "endpoint")
_URLS = {
    "cluster": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "listener": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "route": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "endpoint": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
}
_PUSH = re.compile(r".*/(\d+).{36}")
_LEFT_ALONE = timedelta(seconds=2)
_AGAIN = timedelta(seconds=0.25)
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Silent:
    """An object on which the mesh does not report in its status."""

    kind: Kind
    obj: Obj
    by_time: Verdict

    @property
    def state(self) -> tuple[str, int]:
        return uid_of(self.obj), generation_of(self.obj)


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy as its replica sees it. `pushes` are the counters of what was last sent, by type."""

    replica: str
    name: str
    pushes: Mapping[str, int]
    unacknowledged: frozenset[str]
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """`latest` is each replica's largest counter; `silent` says of replicas that told nothing why."""

    latest: Mapping[str, int]
    proxies: tuple[Proxy, ...]
    silent: tuple[str, ...] = ()

    @property
    def tells(self) -> bool:
        return bool(self.latest) and not self.silent


def reading(answers: Iterable[Told]) -> Reading:
    """What is not as istiod gives it counts as silence."""
    latest: dict[str, int] = {}
    proxies: list[Proxy] = []
    silent: list[str] = []
    for answer in answers:
        if answer.error or not _is_syncz(answer.value):
            silent.append(f"{answer.replica}: {answer.error or 'it does not answer as istiod does'}")
            continue
        found = [_proxy(answer.replica, each) for each in answer.value or ()]
        latest[answer.replica] = max((push for each in found for push in each.pushes.values()), default=0)
        proxies += found
    return Reading(latest, tuple(proxies), tuple(silent))


def _is_syncz(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, dict) for each in value))


def _proxy(replica: str, told: Mapping[str, Any]) -> Proxy:
    sent = {name: str(told.get(f"{name}_sent") or "") for name in _ALL}
    acked = {name: str(told.get(f"{name}_acked") or "") for name in _ALL}
    resources = told.get("resources")
    resources = resources if isinstance(resources, dict) else {}
    errors = {name: str((resources.get(url) or {}).get("lastError") or "") for name, url in _URLS.items()}
    return Proxy(
        replica,
        str(told.get("proxy") or "?"),
        {name: int(push[1]) for name, nonce in sent.items() if (push := _PUSH.fullmatch(nonce))},
        frozenset(name for name in _ALL if sent[name] != acked[name]),
        {name: error for name, error in errors.items() if error},
    )


@dataclass(slots=True)
class Watch:
    """One state of one object, from when it was first seen. `calm_since`: all that were sent to have acknowledged."""

    before: Reading
    calm_since: datetime | None = None
    confirmed: bool = False
    types: tuple[str, ...] = field(default=_ALL)


def judge(watch: Watch, now_is: Reading, by_time: Verdict, now: datetime) -> Verdict:
    """`by_time` is what holds where proxies do not tell. Remembers in `watch` what it found."""
    if not now_is.tells:
        return by_time
    told = [each for each in now_is.proxies if _was_sent_to(each, watch)]
    for each in told:
        refused = [each.errors[name] for name in watch.types if name in each.errors and name in each.unacknowledged]
        if refused:
            return Verdict(Answer.REFUSED, f"is refused by proxy {each.name}: {refused[0]}", now + _AGAIN)
    behind = [each.name for each in told if each.unacknowledged & set(watch.types)]
    if behind:
        watch.calm_since = None
        return Verdict(Answer.LAGS, f"is not on all proxies: {_some(behind)} did not acknowledge yet", now + _AGAIN)
    if not told:
        return by_time if by_time.ask_at is None else _sooner(by_time, now)
    watch.calm_since = watch.calm_since or now
    if len(told) == len(now_is.proxies) or now - watch.calm_since >= _LEFT_ALONE:
        watch.confirmed = True
        return Verdict(Answer.YES)
    count = f"{len(told)} of {len(now_is.proxies)} proxies"
    wait = f"the others are given until {watch.calm_since + _LEFT_ALONE:%H:%M:%S} to be told"
    return Verdict(Answer.LAGS, f"is on {count}; {wait}", now + _AGAIN)


def _was_sent_to(proxy: Proxy, watch: Watch) -> bool:
    """A replica that was not there before has pushed only what was there when it began, the change included."""
    before = watch.before.latest.get(proxy.replica, -1)
    return any(proxy.pushes.get(name, -1) > before for name in watch.types)


def _sooner(by_time: Verdict, now: datetime) -> Verdict:
    at = min(by_time.ask_at, now + _AGAIN) if by_time.ask_at else None
    return Verdict(by_time.answer, by_time.words, at)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
