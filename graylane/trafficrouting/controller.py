"""Keeps the routes of every TrafficRouting as its phase wants them.

Shell. In: the API through a `View`, a `LuaPool` to run scripts. Out: one `Controller`. It watches every kind that can
end a wait, so a missing VirtualService that appears is taken up at once, and an edit of a routed object is answered
with one write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from graylane.kit.cache import View
from graylane.kit.effects import Outcome
from graylane.kit.loop import Controller
from graylane.kit.patience import Patience
from graylane.model.kinds import CONFIG_MAP, CRD, DESTINATION_RULE, SERVICE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, dig, key_of, namespace_of
from graylane.model.trafficrouting import NetworkRef, Phase, TrafficRouting, decode
from graylane.trafficrouting import scripts
from graylane.trafficrouting.compose import Composed, Composer
from graylane.trafficrouting.lane import decide
from graylane.trafficrouting.lua.script import Runner
from graylane.trafficrouting.observe import Sight, observe, silent, static_kind
from graylane.trafficrouting.plan import due, plan
from graylane.trafficrouting.providers.ingress import INGRESS
from graylane.trafficrouting.proxies import Proxies
from graylane.trafficrouting.routes import author, recall
from graylane.trafficrouting.status import Report, events, next_status, untold_until, wake_at
from graylane.trafficrouting.strays import forget
from graylane.trafficrouting.troubles import Surroundings, Trouble

Follow = Callable[[Kind, Callable[[Obj], Iterable[Key]]], bool]
"""Begin to watch a kind and ask for the keys of its changes; says whether its cache is complete."""

_READING = timedelta(milliseconds=200)  # between looks while a kind's objects are read for the first time
_READ_WITHIN = timedelta(seconds=5)  # after that long it is said
_WORKERS = 4  # one slow script holds up one TrafficRouting, not all


def controllers(pool: Runner, follow: Follow | None = None, proxies: Proxies | None = None) -> list[Controller]:
    """The TrafficRouting controller. Without `follow`, only Istio's kinds can be routed.

    Without `proxies`, a mesh that does not report in the objects' status is given time.
    """
    routing = TrafficRoutings(pool, follow, proxies)
    return [
        Controller(
            name="trafficrouting",
            primary=TRAFFIC_ROUTING,
            reconcile=routing.reconcile,
            watches={
                VIRTUAL_SERVICE: routing.interested_in(VIRTUAL_SERVICE),
                DESTINATION_RULE: routing.interested_in(DESTINATION_RULE),
                SERVICE: routing.interested_in(SERVICE),
                CONFIG_MAP: routing.using_scripts,
                CRD: routing.using_kind,
            },
            workers=_WORKERS,
        )
    ]


class TrafficRoutings:
    """The reconciler, and who is interested in what (learned from each reconcile; a View cannot be asked backwards)."""

    def __init__(self, pool: Runner, follow: Follow | None, proxies: Proxies | None = None) -> None:
        self._composer = Composer(pool)
        self._proxies = proxies
        self._follow = follow
        self._patience = Patience()
        self._reading: dict[Kind, datetime] = {}
        self._interests: dict[Key, frozenset[tuple[str, str, Key]]] = {}
        self._interested: dict[tuple[str, str, Key], set[Key]] = defaultdict(set)

    async def reconcile(self, view: View, key: Key, now: datetime) -> Outcome:
        """One look at one TrafficRouting."""
        obj = view.get(TRAFFIC_ROUTING, *key)
        if obj is None:
            self._remember(key, frozenset())
            self._patience.note(key, now, unsaid=False)
            return Outcome(await forget(view, key, self._composer, self._surroundings(view), now))
        routing = decode(obj)
        self._remember(key, _interests_of(routing))
        unread = self._unread(view, routing)
        if any(now - self._reading.setdefault(kind, now) < _READ_WITHIN for kind in unread):
            return Outcome(wake_at=now + _READING)
        sight = await self._observe(view, obj, routing, now)
        decision = decide(routing.phase, sight.facts)
        composed, troubles = await self._compose(sight, routing, wanted=decision.world.routes)
        report = Report(routing, sight.facts, decision, composed, troubles)
        status = next_status(obj, report, now)
        untold = untold_until(obj, status, self._patience.until(key, now), now)
        self._patience.note(key, now, unsaid=untold is not None)
        told = obj["status"] if untold else status
        effects = plan(obj, decision.world, told, due(composed, blocked=bool(troubles)))
        wakes = filter(None, (untold, wake_at(report), now + _READ_WITHIN if unread else None))
        return Outcome((*effects, *events(obj, told, report)), min(wakes, default=None))

    async def _observe(self, view: View, obj: Obj, routing: TrafficRouting, now: datetime) -> Sight:
        """Proxies are asked only about what no status tells."""
        around = self._surroundings(view)
        sight = observe(view, obj, routing, around, now)
        unsaid = silent(sight)
        heard = await self._proxies.verdicts(unsaid, now) if self._proxies and unsaid else {}
        return observe(view, obj, routing, around, now, heard) if heard else sight

    async def _compose(
        self, sight: Sight, routing: TrafficRouting, *, wanted: bool
    ) -> tuple[tuple[Composed, ...], tuple[Trouble, ...]]:
        """Every target as wanted, and script errors among the troubles; at rest scripts are rehearsed only."""
        known = routing.phase is Phase.PROGRESSING
        composed = tuple([await self._composer.compose(target, wanted=wanted, known=known) for target in sight.targets])
        errors = [(item.target.ref, item.error) for item in composed if item.error]
        if not wanted and not routing.deleting:
            errors += [(target.ref, await self._composer.rehearse(target)) for target in sight.targets if target.script]
        failed = [
            Trouble("ScriptFailed", f"TrafficRouting {routing.key}: {ref}: {error}; correct the script or {ref.path}")
            for ref, error in dict(errors).items()
            if error
        ]
        return composed, (*sight.troubles, *failed)

    # -- what the shell knows

    def _surroundings(self, view: View) -> Surroundings:
        config_map = view.get(CONFIG_MAP, *scripts.config_map_key())
        return Surroundings(
            kind_of=lambda ref: static_kind(ref) or self._served(view, ref),
            unread=lambda ref: self._defined(view, ref) is not None,
            script_of=lambda ref: (
                scripts.find_ingress(config_map, ref.class_type)
                if ref.class_type
                else scripts.find(config_map, ref.kind, ref.group)
            ),
            script_hint=lambda ref: f"add the key {_data_key(ref)} to ConfigMap {scripts.config_map_key()}",
        )

    def _served(self, view: View, ref: NetworkRef) -> Kind | None:
        """The kind of a reference, once its objects are cached."""
        kind = self._defined(view, ref)
        return kind if kind is not None and self._has_read(kind) else None

    def _has_read(self, kind: Kind) -> bool:
        return self._follow is not None and self._follow(kind, self.interested_in(kind))

    def _defined(self, view: View, ref: NetworkRef) -> Kind | None:
        """Ingress, or the kind of a custom reference as its CRD has it."""
        if self._follow is None:
            return None
        if (ref.group, ref.kind) == (INGRESS.group, INGRESS.kind):
            return INGRESS
        for crd in view.list(CRD):
            if (dig(crd, "spec", "group"), dig(crd, "spec", "names", "kind")) == (ref.group, ref.kind):
                return Kind(ref.group, _version(ref, crd), ref.kind, str(dig(crd, "spec", "names", "plural")))
        return None

    def _unread(self, view: View, routing: TrafficRouting) -> set[Kind]:
        """Kinds that it names whose objects are about to be known; till then nothing is said of them, and nothing done.

        One that cannot be read, because nobody lets us, is waited for no longer than `_READ_WITHIN`.
        """
        named = [ref for entry in routing.refs for ref in entry.networks] + [record.ref for record in routing.recorded]
        kinds = [self._defined(view, ref) for ref in named if static_kind(ref) is None]
        return {kind for kind in kinds if kind is not None and not self._has_read(kind)}

    # -- who is asked when something changes

    def interested_in(self, kind: Kind) -> Callable[[Obj], Iterable[Key]]:
        """Those that name the object, and those whose routes are in it although they may be gone."""

        def keys(obj: Obj) -> Iterable[Key]:
            named = self._interested.get((kind.group, kind.kind, key_of(obj)), set())
            memory = recall(obj)
            authors = {Key(namespace_of(obj), author(wish)) for wish in (memory.wishes if memory else ())}
            return named | authors

        return keys

    def using_scripts(self, obj: Obj) -> Iterable[Key]:
        return list(self._interests) if key_of(obj) == scripts.config_map_key() else ()

    def using_kind(self, crd: Obj) -> Iterable[Key]:
        kind = dig(crd, "spec", "group"), dig(crd, "spec", "names", "kind")
        return {key for known, keys in self._interested.items() if known[:2] == kind for key in keys}

    def _remember(self, key: Key, interests: frozenset[tuple[str, str, Key]]) -> None:
        for gone in self._interests.pop(key, frozenset()) - interests:
            self._interested[gone].discard(key)
            if not self._interested[gone]:
                del self._interested[gone]
        if interests:
            self._interests[key] = interests
        for interest in interests:
            self._interested[interest].add(key)


def _interests_of(routing: TrafficRouting) -> frozenset[tuple[str, str, Key]]:
    namespace = routing.key.namespace
    pairs = [(entry.service, entry.canary_service or f"{entry.service}-canary") for entry in routing.refs]
    names = [name for pair in pairs for name in pair]
    services = {(SERVICE.group, SERVICE.kind, Key(namespace, name)) for name in names}
    refs = [ref for entry in routing.refs for ref in entry.networks] + [record.ref for record in routing.recorded]
    objects = {(ref.group, ref.kind, Key(namespace, name)) for ref in refs for name in (ref.name, ref.source) if name}
    return frozenset(services | objects)


def _version(ref: NetworkRef, crd: Obj) -> str:
    """The reference's own; where `gateway` left it to us, the stored one if the cluster is older."""
    wanted, versions = ref.api_version.rpartition("/")[2], dig(crd, "spec", "versions", default=[])
    served = [entry["name"] for entry in versions if entry.get("served")]
    stored = [entry["name"] for entry in versions if entry.get("storage")]
    return stored[0] if ref.by_service and stored and wanted not in served else wanted


def _data_key(ref: NetworkRef) -> str:
    return scripts.ingress_key(ref.class_type) if ref.class_type else scripts.data_key(ref.kind, ref.group)
