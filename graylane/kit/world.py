"""A whole API in memory with a clock that only moves when told: for plans, stories and properties.

Pure but for its own state. In: objects, reconcilers, faults. Out: the state of the world after everything settled. It
follows kube-apiserver where reconcilers can tell: generations, resourceVersions, conditional patches, status
subresources, finalizers, graceful pod deletion, owner references.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from graylane.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from graylane.kit.cache import Cache, Change, View
from graylane.kit.effects import Bind, Create, Delete, Effect, Event, Outcome, Patch, Replace
from graylane.kit.loop import Controller
from graylane.kit.rounds import Rounds
from graylane.model.hashing import short_hash
from graylane.model.kinds import CONFIG_MAP, ENDPOINT_SLICE, ENDPOINTS, EVENT, LEASE, POD, SECRET, Kind
from graylane.model.meta import (
    Condition,
    Key,
    Obj,
    dig,
    finalizers_of,
    format_time,
    key_of,
    owner_refs,
    rv_of,
    set_condition,
    uid_of,
)
from graylane.model.patches import PatchType, json_patch, merge_patch

_WITHOUT_STATUS = frozenset({EVENT, CONFIG_MAP, SECRET, ENDPOINTS, ENDPOINT_SLICE, LEASE})
_SCHEDULED = Condition("PodScheduled", "True")


class Crash(Exception):
    """Raised by a fault to kill the controller at a chosen write."""


@dataclass
class VirtualClock:
    """A clock for tests: stands still until `advance`d."""

    instant: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


Fault = Callable[[Effect], None]


@dataclass
class World:
    """The API's objects, plus what happened: `events` in order, `writes` as the count of changes that landed, `log`.

    `before_write`/`after_write` are called around every effect and may raise `Crash` or an `ApiError`.
    """

    clock: VirtualClock = field(default_factory=VirtualClock)
    before_write: Fault | None = None
    after_write: Fault | None = None
    events: list[Event] = field(default_factory=list)
    writes: int = 0
    log: list[tuple[Kind, Change]] = field(default_factory=list)
    _caches: defaultdict[Kind, Cache] = field(default_factory=lambda: defaultdict(Cache))
    _version: int = 0
    _changes: Counter[Kind] = field(default_factory=Counter)

    def now(self) -> datetime:
        return self.clock.now()

    # -- reading

    def view(self, noted: set[Kind] | None = None) -> View:
        """`noted` gets the kinds that are read through it."""
        return View(_EveryKind(self._caches, set() if noted is None else noted))

    def changes(self, kind: Kind | None = None) -> int:
        """How often objects of a kind, or any at all, have changed so far."""
        return self._version if kind is None else self._changes[kind]

    def keys(self, kind: Kind) -> Iterable[Key]:
        return self._cache(kind).objects

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        return self._cache(kind).objects.get(Key(namespace, name))

    def list(self, kind: Kind, namespace: str | None = None) -> list[Obj]:
        return self.view().list(kind, namespace)

    def fork(self) -> World:
        """An equal world that goes its own way from here, without faults. Objects are shared, never changed."""
        twin = World(VirtualClock(self.now()), _version=self._version)
        for kind, cache in self._caches.items():
            for obj in cache.objects.values():
                twin._cache(kind).put(obj)
        return twin

    def dump(self) -> dict[str, Any]:
        """Everything but versions, uids, times and events: what two equal worlds agree on."""
        return {
            f"{kind.kind} {key}": _timeless(obj)
            for kind, cache in sorted(self._caches.items(), key=lambda item: item[0].kind)
            for key, obj in sorted(cache.objects.items())
        }

    # -- writing, as a user or a fake would

    def load(self, kind: Kind, obj: Obj) -> None:
        """Take in an object as another API server has it, uid, version, status and all."""
        self._cache(kind).put(obj)
        self._version = max(self._version, rv_of(obj))

    def put(self, kind: Kind, obj: Obj) -> Obj:
        """Create `obj`, or make the existing object's metadata and spec equal to it (`kubectl replace`)."""
        key = key_of(obj)
        if self.get(kind, *key) is None:
            return self._create(kind, obj)
        typed = {"apiVersion": kind.api_version, "kind": kind.kind} | obj
        return self._write(kind, key, lambda old: merge_patch(typed, {"metadata": _kept(old)}), "")

    def patch(self, kind: Kind, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj:
        """A merge patch on the object or on its `status`."""
        return self._patch(Patch(kind, Key(namespace, name), patch, subresource=subresource))

    def delete(self, kind: Kind, namespace: str, name: str, grace_seconds: int | None = None) -> None:
        self._delete(Delete(kind, Key(namespace, name), grace_seconds=grace_seconds))

    # -- effects

    def apply(self, outcome: Outcome | Iterable[Effect]) -> None:
        """Perform effects in order, as `kit.apply` does; faults and API errors propagate."""
        for effect in outcome.effects if isinstance(outcome, Outcome) else outcome:
            self.write(effect)

    def write(self, effect: Effect) -> Obj:
        """Perform one effect; the object as it then is, or as it last was, {} where there is none."""
        if self.before_write:
            self.before_write(effect)
        result = self._perform(effect)
        if self.after_write:
            self.after_write(effect)
        return result

    def _perform(self, effect: Effect) -> Obj:
        match effect:
            case Create():
                return self._create(effect.kind, effect.obj)
            case Patch():
                return self._patch(effect)
            case Replace():
                return self._replace(effect)
            case Delete():
                self._delete_quietly(effect)
                return self.get(effect.kind, *effect.key) or {}
            case Bind():
                return self._bind(effect)
            case Event():
                self.events.append(effect)
                return {}

    # -- running

    def run(
        self,
        controllers: Iterable[Controller],
        *,
        until: Callable[[World], bool] | None = None,
        seconds: float = 0,
    ) -> World:
        """Reconcile everything until nothing changes; then let time pass to the next wake-up, up to `seconds` in all.

        As in a cluster, whoever had nothing to do is asked again when a kind it read has changed, or at its wake-up.
        Stops early once `until` holds. Raises `AssertionError` when the world never settles.
        """
        driver = Rounds(self, tuple(controllers), until, seconds).drive()
        try:
            while True:
                pending = next(driver)
                raise TypeError(f"{pending!r} is async: use `await world.settle(…)`")
        except StopIteration:
            return self

    async def settle(
        self,
        controllers: Iterable[Controller],
        *,
        until: Callable[[World], bool] | None = None,
        seconds: float = 0,
    ) -> World:
        """`run` for worlds with async reconcilers."""
        driver = Rounds(self, tuple(controllers), until, seconds).drive()
        try:
            pending = next(driver)
            while True:
                try:
                    outcome = await pending
                except ApiError as error:
                    pending = driver.throw(error)
                else:
                    pending = driver.send(outcome)
        except StopIteration:
            return self

    def collect_garbage(self) -> bool:
        """Delete dependents whose owners are all gone; says whether there were any."""
        uids = {uid_of(obj) for cache in self._caches.values() for obj in cache.objects.values()}
        orphans = [
            (kind, obj)
            for kind, cache in self._caches.items()
            for obj in list(cache.objects.values())
            if owner_refs(obj)
            and not dig(obj, "metadata", "deletionTimestamp")
            and all(ref.get("uid") not in uids for ref in owner_refs(obj))
        ]
        for kind, obj in orphans:
            self._delete(Delete(kind, key_of(obj)))
        return bool(orphans)

    # -- the server's rules

    def _create(self, kind: Kind, obj: Obj) -> Obj:
        metadata = dict(obj.get("metadata") or {})
        if not metadata.get("name"):
            metadata["name"] = str(metadata.get("generateName", "")) + short_hash(self._version + 1, 5)
        key = Key(str(metadata.get("namespace", "")), metadata["name"])
        if self.get(kind, *key) is not None:
            raise AlreadyExists(f'{kind} "{key.name}" already exists', details={"name": key.name})
        self._version += 1
        metadata |= {
            "uid": f"uid-{self._version}",
            "resourceVersion": str(self._version),
            "creationTimestamp": format_time(self.now()),
        }
        if "spec" in obj:
            metadata["generation"] = 1
        stored = {"apiVersion": kind.api_version, "kind": kind.kind} | obj | {"metadata": metadata}
        return self._store(kind, stored)

    def _patch(self, effect: Patch) -> Obj:
        if effect.type is PatchType.JSON:
            return self._write(effect.kind, effect.key, lambda old: json_patch(old, effect.patch), effect.subresource)
        if effect.type is not PatchType.MERGE:
            raise Invalid(f"the World applies merge and JSON patches, not {effect.type}")
        return self._write(effect.kind, effect.key, lambda old: merge_patch(old, effect.patch), effect.subresource)

    def _bind(self, effect: Bind) -> Obj:
        def bound(pod: Obj) -> Obj:
            if dig(pod, "spec", "nodeName"):
                raise Conflict(f"pod {effect.key.name} is already assigned to a node")
            conditions = set_condition(dig(pod, "status", "conditions", default=[]), _SCHEDULED, self.now())
            status = {**(pod.get("status") or {}), "conditions": conditions}
            metadata = {**pod["metadata"], "uid": effect.uid}
            return {**pod, "metadata": metadata, "spec": {**pod["spec"], "nodeName": effect.node}, "status": status}

        return self._write(POD, effect.key, bound, "binding")

    def _replace(self, effect: Replace) -> Obj:
        return self._write(effect.kind, key_of(effect.obj), lambda _: effect.obj, effect.subresource)

    def _write(self, kind: Kind, key: Key, change: Callable[[Obj], Obj], subresource: str) -> Obj:
        old = self.get(kind, *key)
        if old is None:
            raise NotFound(f'{kind} "{key.name}" not found', details={"name": key.name})
        wanted = change(old)
        version = dig(wanted, "metadata", "resourceVersion")
        if version is not None and version != old["metadata"]["resourceVersion"]:
            raise Conflict(f'Operation cannot be fulfilled on {kind} "{key.name}": the object has been modified')
        uid = dig(wanted, "metadata", "uid")
        if uid is not None and uid != uid_of(old):
            raise Conflict(f'Operation cannot be fulfilled on {kind} "{key.name}": uid does not match')
        new = _permitted(kind, old, wanted, subresource)
        if new == old:
            return old
        self._version += 1
        generation = dig(old, "metadata", "generation", default=1)
        metadata = new["metadata"] | {"resourceVersion": str(self._version)}
        if new.get("spec") != old.get("spec"):
            metadata["generation"] = generation + 1
        new = new | {"metadata": metadata}
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not _in_grace(new):
            self._remove(kind, key)
            return new
        return self._store(kind, new)

    def _delete_quietly(self, effect: Delete) -> None:
        current = self.get(effect.kind, *effect.key)
        if current is None:
            return
        if effect.uid is not None and effect.uid != uid_of(current):
            raise Conflict(f'{effect.kind} "{effect.key.name}": the uid in the precondition does not match')
        self._delete(effect)

    def _delete(self, effect: Delete) -> None:
        old = self.get(effect.kind, *effect.key)
        if old is None:
            raise NotFound(f'{effect.kind} "{effect.key.name}" not found')
        self._version += 1
        graceful = effect.kind == POD and effect.grace_seconds != 0 and dig(old, "spec", "nodeName")
        if not finalizers_of(old) and not graceful:
            self._remove(effect.kind, effect.key)
            return
        if dig(old, "metadata", "deletionTimestamp"):
            return
        grace = effect.grace_seconds if effect.grace_seconds is not None else 30
        metadata = old["metadata"] | {
            "deletionTimestamp": format_time(self.now()),
            "resourceVersion": str(self._version),
        }
        if graceful:
            metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
        self._store(effect.kind, old | {"metadata": metadata})

    def _store(self, kind: Kind, obj: Obj) -> Obj:
        self._note(kind, self._cache(kind).put(obj))
        return obj

    def _remove(self, kind: Kind, key: Key) -> None:
        self._note(kind, self._cache(kind).remove(key))

    def _note(self, kind: Kind, change: Change | None) -> None:
        self.writes += 1
        self._changes[kind] += 1
        if change is not None:
            self.log.append((kind, change))

    def _cache(self, kind: Kind) -> Cache:
        return self._caches[kind]


class _EveryKind(dict[Kind, Cache]):
    """In a World every kind is watched."""

    def __init__(self, caches: defaultdict[Kind, Cache], noted: set[Kind]) -> None:
        super().__init__()
        self._caches, self._noted = caches, noted

    def get(self, kind: Kind, default: Any = None) -> Cache:
        self._noted.add(kind)
        return self._caches[kind]


def _permitted(kind: Kind, old: Obj, wanted: Obj, subresource: str) -> Obj:
    """What of `wanted` a write to the main resource or to a subresource may change; a Binding sets spec and status."""
    metadata = dict(wanted.get("metadata") or {}) | {
        name: old["metadata"][name]
        for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp", "name")
        if name in old["metadata"]
    }
    if subresource == "status":
        new = dict(old)
        if "status" in wanted:
            new["status"] = wanted["status"]
        else:
            new.pop("status", None)
        return new
    new = wanted | {"metadata": metadata}
    if kind not in _WITHOUT_STATUS and subresource != "binding":
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    return new


def _in_grace(obj: Obj) -> bool:
    return bool(dig(obj, "metadata", "deletionGracePeriodSeconds"))


def _kept(old: Obj) -> Obj:
    return {name: old["metadata"][name] for name in ("uid", "resourceVersion") if name in old["metadata"]}


_FLEETING = frozenset({"resourceVersion", "uid", "creationTimestamp", "deletionTimestamp", "generation"})
_CLOCKED = frozenset(
    {"lastTransitionTime", "lastUpdateTime", "lastProbeTime", "observedGeneration", "startTime", "batchReadyTime"}
)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _timeless(inner) for name, inner in value.items() if name not in _FLEETING and name not in _CLOCKED
        }
    if isinstance(value, list):
        return [_timeless(inner) for inner in value]
    return value
