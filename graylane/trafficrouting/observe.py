"""What a TrafficRouting points at, as it is now.

Pure. In: a `View`, a TrafficRouting, now. Out: `Sight`: its targets with everything needed to route or restore them,
and the troubles in the way, in the words users read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.kit.cache import View
from graylane.model.kinds import DESTINATION_RULE, SERVICE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, condition, generation_of, parse_time
from graylane.model.trafficrouting import NetworkRef, Phase, ServiceRef, TrafficRouting
from graylane.trafficrouting.confirm import Verdict, verdict
from graylane.trafficrouting.lane import Facts
from graylane.trafficrouting.lua.script import Script
from graylane.trafficrouting.providers import refusal
from graylane.trafficrouting.providers.custom import Contribution, defines_targets
from graylane.trafficrouting.routes import Memory, author, holds_wish_of, recall, wish_key

ROUTES_CONFIRMED = "RoutesConfirmed"
IDLE = "Idle"
_STATIC = {(kind.group, kind.kind): kind for kind in (VIRTUAL_SERVICE, DESTINATION_RULE)}
_ENGAGED = frozenset({Phase.PROGRESSING, Phase.FINALIZING, Phase.TERMINATING})


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the routes cannot be put in: a reason in one word, and what, which object, what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Target:
    """One object to route through. `own` is what this TrafficRouting wishes of it, `others` what its neighbours do."""

    ref: NetworkRef
    kind: Kind
    live: Obj
    script: Script | None
    own: dict[str, Contribution]  # empty: the object is not referred to any more and is only to be restored
    others: dict[str, Contribution]
    memory: Memory | None
    verdict: Verdict
    since: datetime  # when it was first seen as it is now
    routed: bool  # routes of this TrafficRouting are in it

    @property
    def defines(self) -> bool:
        """Whether routes point at what it defines, so that it comes first and goes last."""
        return defines_targets(self.ref.group, self.ref.kind)


@dataclass(frozen=True, slots=True)
class Sight:
    targets: tuple[Target, ...]
    troubles: tuple[Trouble, ...]
    facts: Facts


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the shell finds out for us. `kind_of`: None for a kind that is not served; `script_of`: None without one."""

    kind_of: Callable[[NetworkRef], Kind | None]
    script_of: Callable[[NetworkRef], Script | None]
    script_hint: Callable[[NetworkRef], str]


def static_kind(ref: NetworkRef) -> Kind | None:
    """Istio's kinds, whatever version the reference names: all versions have one schema."""
    return _STATIC.get((ref.group, ref.kind))


def observe(view: View, obj: Obj, routing: TrafficRouting, around: Surroundings, now: datetime) -> Sight:
    """Everything one reconcile needs to know; `obj` is the TrafficRouting as the API gives it."""
    wanted = _by_object(routing)
    looked = [_look(view, routing, ref, entries, around, now) for ref, entries in wanted]
    targets = tuple(target for target in looked if target is not None)
    troubles = (*_entry_troubles(view, routing), *_target_troubles(view, routing, wanted, around))
    facts = Facts(
        deleting=routing.deleting,
        held=bool(routing.holders),
        accepted=not troubles,
        routed=any(target.routed for target in targets) or _lingers(obj, routing, targets),
    )
    return Sight(targets, troubles, facts)


def _by_object(routing: TrafficRouting) -> list[tuple[NetworkRef, list[ServiceRef]]]:
    """Each object once, with all entries that name it; two Services may share a VirtualService.

    Objects that our status remembers but the spec names no more come with no entry.
    """
    found: dict[tuple[str, str, str], tuple[NetworkRef, list[ServiceRef]]] = {}
    for entry in routing.refs:
        for ref in entry.networks:
            found.setdefault((ref.group, ref.kind, ref.name), (ref, []))[1].append(entry)
    for record in routing.recorded:
        found.setdefault((record.ref.group, record.ref.kind, record.ref.name), (record.ref, []))
    return list(found.values())


def _look(
    view: View,
    routing: TrafficRouting,
    ref: NetworkRef,
    entries: list[ServiceRef],
    around: Surroundings,
    now: datetime,
) -> Target | None:
    kind = around.kind_of(ref)
    live = view.get(kind, routing.key.namespace, ref.name) if kind else None
    if kind is None or live is None:
        return None
    namespace, name = routing.key
    since = _since(routing, ref, live, now)
    memory = recall(live)
    grace = max((entry.grace for entry in entries), default=timedelta())
    return Target(
        ref=ref,
        kind=kind,
        live=live,
        script=around.script_of(ref),
        own={
            wish_key(name, entry.service): Contribution(entry.service, namespace, routing.strategy) for entry in entries
        },
        others=_neighbours(view, routing, memory),
        memory=memory,
        verdict=verdict(live, since, grace, now),
        since=since,
        routed=holds_wish_of(memory, name),
    )


def _neighbours(view: View, routing: TrafficRouting, memory: Memory | None) -> dict[str, Contribution]:
    """Wishes of others that still exist; those of vanished TrafficRoutings are dropped with the next write."""
    return {
        key: wish
        for key, wish in (memory.wishes if memory else {}).items()
        if author(key) != routing.key.name and view.get(TRAFFIC_ROUTING, routing.key.namespace, author(key)) is not None
    }


def _since(routing: TrafficRouting, ref: NetworkRef, live: Obj, now: datetime) -> datetime:
    for record in routing.recorded:
        if record.is_about(ref) and record.generation == generation_of(live) and record.since:
            return parse_time(record.since)
    return now


def _lingers(obj: Obj, routing: TrafficRouting, targets: tuple[Target, ...]) -> bool:
    """Whether proxies may still have routes of a release that are gone from the objects.

    Once all have confirmed, a later lag is about somebody's edit and no concern of ours. Definitions do not linger:
    when they go, no proxy has a route that points at them.
    """
    idle = (condition(obj, ROUTES_CONFIRMED) or {}).get("reason") == IDLE
    if routing.phase not in _ENGAGED or idle:
        return False
    return any(not target.verdict.may_go_on for target in targets if not target.defines)


# -- troubles


def _entry_troubles(view: View, routing: TrafficRouting) -> Iterator[Trouble]:
    where = f"TrafficRouting {routing.key}"
    if not routing.refs:
        yield Trouble("NothingToRoute", f"{where}: spec.objectRef is empty; name a Service and what routes to it")
    for entry in routing.refs:
        for provider in entry.unsupported:
            yield Trouble("UnsupportedProvider", f"{where}: {entry.path}.{refusal(provider)}")
        if not entry.networks and not entry.unsupported:
            yield Trouble("NothingToRoute", f"{where}: {entry.path}.customNetworkRefs is empty; name what to route")
        if view.get(SERVICE, routing.key.namespace, entry.service) is None:
            hint = f"create it or correct {entry.path}.service"
            yield Trouble("ServiceNotFound", f"{where}: Service {entry.service} not found; {hint}")


def _target_troubles(
    view: View, routing: TrafficRouting, wanted: list[tuple[NetworkRef, list[ServiceRef]]], around: Surroundings
) -> Iterator[Trouble]:
    where = f"TrafficRouting {routing.key}"
    for ref, entries in wanted:
        kind = around.kind_of(ref)
        if not entries:
            continue
        if kind is None:
            hint = f"install its CRD or correct {ref.path}"
            yield Trouble("KindNotServed", f"{where}: {ref.kind} of {ref.api_version} is not served; {hint}")
        elif view.get(kind, routing.key.namespace, ref.name) is None:
            yield Trouble(f"{ref.kind}NotFound", f"{where}: {ref} not found; create it or correct {ref.path}")
        elif around.script_of(ref) is None:
            yield Trouble("ScriptNotFound", f"{where}: no script for {ref}; {around.script_hint(ref)}")
