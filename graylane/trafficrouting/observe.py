"""What a TrafficRouting points at, as it is now.

Pure. In: a `View`, a TrafficRouting, now. Out: `Sight`: its targets with everything needed to route or restore them,
and the troubles in the way, in the words users read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from graylane.kit.cache import View
from graylane.model.kinds import DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, condition, generation_of, owner_reference, parse_time, uid_of
from graylane.model.trafficrouting import NetworkRef, Phase, ServiceRef, TrafficRouting
from graylane.trafficrouting.confirm import Answer, Verdict, verdict
from graylane.trafficrouting.lane import Facts
from graylane.trafficrouting.lua.script import Script
from graylane.trafficrouting.providers import ingress
from graylane.trafficrouting.providers.custom import Contribution, defines_targets
from graylane.trafficrouting.providers.gateway import without_canaries
from graylane.trafficrouting.providers.ingress import INGRESS, Derived
from graylane.trafficrouting.providers.services import canary_service
from graylane.trafficrouting.routes import Memory, author, data_of, holds_wish_of, recall, wish_key
from graylane.trafficrouting.syncz import Silent
from graylane.trafficrouting.troubles import Surroundings, Trouble, Wanted, troubles

ROUTES_CONFIRMED = "RoutesConfirmed"
IDLE = "Idle"
_STATIC = {(kind.group, kind.kind): kind for kind in (VIRTUAL_SERVICE, DESTINATION_RULE)}
_ENGAGED = frozenset({Phase.PROGRESSING, Phase.FINALIZING, Phase.TERMINATING})


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
    derived: Derived | None = None  # it is not the user's object but made by us; `live` is {} while it is not there

    @property
    def defines(self) -> bool:
        """Whether routes point at what it defines, so that it comes first and goes last."""
        return defines_targets(self.ref.group, self.ref.kind)


@dataclass(frozen=True, slots=True)
class Sight:
    targets: tuple[Target, ...]
    troubles: tuple[Trouble, ...]
    facts: Facts


def silent(sight: Sight) -> list[Silent]:
    """The objects on which the mesh does not report."""
    nobody = (Answer.WAITS, Answer.ASSUMED)
    return [Silent(each.kind, each.live, each.verdict) for each in sight.targets if each.verdict.answer in nobody]


def static_kind(ref: NetworkRef) -> Kind | None:
    """Istio's kinds, whatever version the reference names: all versions have one schema."""
    return _STATIC.get((ref.group, ref.kind))


def observe(
    view: View,
    obj: Obj,
    routing: TrafficRouting,
    around: Surroundings,
    now: datetime,
    heard: Mapping[str, Verdict] = MappingProxyType({}),
) -> Sight:
    """Everything one reconcile needs to know; `obj` is the TrafficRouting as the API gives it.

    `heard` is what proxies said of objects, by uid, whose own status does not tell.
    """
    wanted = _by_object(routing)
    look = _Look(view, obj, routing, around, now, heard)
    looked = [look.at(ref, entries) for ref, entries in wanted]
    targets = tuple(target for target in looked if target is not None)
    found = troubles(view, obj, routing, wanted, around)
    facts = Facts(
        deleting=routing.deleting,
        held=bool(routing.holders),
        accepted=not found,
        routed=any(target.routed for target in targets) or _lingers(obj, routing, targets),
    )
    return Sight(targets, found, facts)


def _by_object(routing: TrafficRouting) -> Wanted:
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


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the objects of one TrafficRouting."""

    view: View
    obj: Obj
    routing: TrafficRouting
    around: Surroundings
    now: datetime
    heard: Mapping[str, Verdict]

    def at(self, ref: NetworkRef, entries: list[ServiceRef]) -> Target | None:
        """None when there is nothing to write to; `troubles` says so."""
        kind = self.around.kind_of(ref)
        if kind is None:
            return None
        live = self.view.get(kind, self.routing.key.namespace, ref.name)
        if kind == INGRESS and (ref.source or ingress.is_ours(live or {}, self.obj)):
            return self._canary_ingress(ref, entries, live)
        return None if live is None else self._target(ref, kind, entries, live)

    def _target(self, ref: NetworkRef, kind: Kind, entries: list[ServiceRef], live: Obj) -> Target:
        namespace, name = self.routing.key
        since = _since(self.routing, ref, live, self.now)
        memory = recall(live) or _inherited(ref, entries, live)
        grace = max((entry.grace for entry in entries), default=timedelta())
        return Target(
            ref=ref,
            kind=kind,
            live=live,
            script=self.around.script_of(ref),
            own={
                wish_key(name, entry.service): Contribution(
                    entry.service,
                    namespace,
                    self.routing.strategy,
                    entry.canary_service
                    or (canary_service(self.view, namespace, entry.service) if ref.by_service else ""),
                )
                for entry in entries
            },
            others=_neighbours(self.view, self.routing, memory),
            memory=memory,
            verdict=self.heard.get(uid_of(live)) or verdict(live, since, grace, self.now),
            since=since,
            routed=holds_wish_of(memory, name),
        )

    def _canary_ingress(self, ref: NetworkRef, entries: list[ServiceRef], live: Obj | None) -> Target | None:
        """There also while it does not exist yet. One that is somebody else's is no target, but a trouble."""
        if live is not None and not ingress.is_ours(live, self.obj):
            return None
        namespace, name = self.routing.key
        services = {
            entry.service: entry.canary_service or canary_service(self.view, namespace, entry.service)
            for entry in entries
        }
        source = self.view.get(INGRESS, namespace, ref.source) if ref.source else None
        owner = owner_reference(self.obj, TRAFFIC_ROUTING)
        leads_to = {stable: canary or stable for stable, canary in services.items()}
        plain = ingress.bare(source, ref.name, owner, leads_to) if source else None
        return replace(
            self._target(ref, INGRESS, entries, live or {}),
            own={
                wish_key(name, stable): Contribution(stable, namespace, self.routing.strategy, canary)
                for stable, canary in services.items()
            },
            others={},
            memory=None,
            routed=live is not None,
            derived=Derived(plain, self.obj),
        )


def _inherited(ref: NetworkRef, entries: list[ServiceRef], live: Obj) -> Memory | None:
    """What OpenKruise left in an HTTPRoute; that a Service is the canary alone is known where we name it."""
    pairs = {entry.service: entry.canary_service for entry in entries if entry.canary_service}
    if not ref.by_service or not pairs or not live:
        return None
    spec = without_canaries(live.get("spec") or {}, pairs.keys(), set(pairs.values()))
    return None if spec is None else Memory(data_of(live) | {"spec": spec}, data_of(live), {})


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
