"""An API that refuses, loses answers and tells late, and controllers that live with it; all chosen by a seed.

Shell, on an API in memory. In: a `JointStage`, a source of chance. Out: the stage after many looks through
caches that lag behind, writes that met 409, 429, 500 and timeouts, and watches that were dropped or replayed. Caches
and the performing of effects are the real ones of `kit`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from graylane.client import ApiClient
from graylane.errors import ApiError, Conflict, InternalError, NotFound, Timeout, TooManyRequests
from graylane.kit.apply import Applier
from graylane.kit.cache import Cache, View
from graylane.kit.effects import Create, Delete, Effect, Patch, Replace
from graylane.kit.events import EventRecorder
from graylane.kit.loop import Controller
from graylane.model.kinds import EVENT, Kind
from graylane.model.meta import Key, Obj, key_of, uid_of
from graylane.model.patches import PatchType
from graylane.testing.inline import run_at_once
from graylane.testing.joint_stage import JointStage
from graylane.testing.world import World

_REFUSALS = (Conflict, TooManyRequests, InternalError, Timeout)
_REFUSED, _ANSWER_LOST = 0.12, 0.05


class LaggingCaches(dict[Kind, Cache]):
    """What informers know: per kind the past up to some moment, and what our own writes have returned."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._position: dict[Kind, int] = {}

    def get(self, kind: Kind, default: Any = None) -> Cache:
        if kind not in self:
            self[kind] = Cache()
            self.relist(kind)
        return self[kind]

    def relist(self, kind: Kind) -> None:
        """The watch was dropped for too long: list again, and compare."""
        self.get(kind).replace_all(self._world.list(kind))
        self._position[kind] = len(self._world.log)

    def replay(self, kind: Kind, back: int) -> None:
        """The watch goes on from an older version: what is known already is told once more."""
        self._position[kind] = max(0, self._position.get(kind, 0) - back)

    def deliver(self, kind: Kind, most: int) -> None:
        """The next events of a kind, in order."""
        cache, log = self.get(kind), self._world.log
        while self._position[kind] < len(log) and most > 0:
            told, change = log[self._position[kind]]
            self._position[kind] += 1
            if told != kind:
                continue
            most -= 1
            if change.new is not None:
                cache.put(change.new)
            elif change.old is not None:
                cache.mourned(uid_of(change.old))
                cache.remove(change.key, uid_of(change.old))

    def learn(self, kind: Kind, obj: Obj) -> None:
        self.get(kind).put(obj)

    def forget(self, kind: Kind, key: Key, uid: str) -> None:
        known = self.get(kind).objects.get(key)
        if known is not None and uid in ("", uid_of(known)):
            self[kind].bury(key, uid_of(known))


class UnreliableApi:
    """The part of `ApiClient` that effects need, on a World. Some calls are refused, of some the answer is lost."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self._chance = world, chance

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Obj:
        self._maybe_refuse()
        found = self._world.get(kind, namespace, name)
        if found is None:
            raise NotFound(f'{kind} "{name}" not found')
        return found

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        return obj if kind == EVENT else self._write(Create(kind, obj))

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> Obj:
        if kind == EVENT:
            raise NotFound("events are not kept")
        return self._write(Patch(kind, Key(namespace, name), patch, type, subresource))

    async def replace(self, kind: Kind, obj: Obj, *, subresource: str) -> Obj:
        return self._write(Replace(kind, obj, subresource))

    async def delete(
        self, kind: Kind, name: str, namespace: str, *, propagation: str, grace_seconds: int | None, uid: str | None
    ) -> Obj:
        key = Key(namespace, name)
        if self._world.get(kind, *key) is None:
            raise NotFound(f'{kind} "{name}" not found')
        return self._write(Delete(kind, key, uid, propagation, grace_seconds)) or {"kind": "Status"}

    def _write(self, effect: Effect) -> Obj:
        self._maybe_refuse()
        result = self._world.write(effect)
        if self._chance.random() < _ANSWER_LOST:
            raise Timeout("the answer was lost")
        return result

    def _maybe_refuse(self) -> None:
        if self._chance.random() < _REFUSED:
            raise self._chance.choice(_REFUSALS)("not now")


class Trouble:
    """One seed's bad day on one stage. `meanwhile`: what somebody else keeps doing all the time."""

    def __init__(self, stage: JointStage, chance: random.Random, meanwhile: Callable[[], object] | None = None) -> None:
        self.stage, self.chance = stage, chance
        self._meanwhile = meanwhile
        self.caches = LaggingCaches(stage.world)
        api = cast(ApiClient, UnreliableApi(stage.world, chance))
        self.applier = Applier(api, self.caches, EventRecorder(api, stage.world.clock, "trouble"))

    def happens(self, times: int) -> None:
        """So many looks, deliveries and mishaps in random order; nothing is settled afterwards."""
        deeds: dict[Callable[[], object], int] = {
            self._look: 40,
            self._others_act: 35,
            self._news: 30,
            self._dropped: 2,
            self._replayed: 2,
            self._time: 4,
            self._restart: 1,
        } | ({self._meanwhile: 10} if self._meanwhile else {})
        for deed in self.chance.choices(list(deeds), list(deeds.values()), k=times):
            deed()

    def _look(self) -> None:
        """One of our controllers looks through its caches and does what it can."""
        controller = self.chance.choice(self.stage.ours)
        keys = sorted(self.caches.get(controller.primary).objects)
        if not keys:
            return
        outcome = controller.reconcile(View(self.caches), self.chance.choice(keys), self.stage.world.now())
        try:
            run_at_once(self.applier.apply(outcome.effects))  # type: ignore[union-attr]
        except ApiError:
            return

    def _others_act(self) -> None:
        others: list[Controller] = [actor for actor in self.stage.actors if actor not in self.stage.ours]
        actor, world = self.chance.choice(others), self.stage.world
        objects = world.list(actor.primary)
        if objects:
            world.apply(actor.reconcile(world.view(), key_of(self.chance.choice(objects)), world.now()))  # type: ignore[arg-type]
        if self.chance.random() < 0.2:
            world.collect_garbage()

    def _news(self) -> None:
        self.caches.deliver(self._kind(), self.chance.randint(1, 4))

    def _dropped(self) -> None:
        self.caches.relist(self._kind())

    def _replayed(self) -> None:
        self.caches.replay(self._kind(), self.chance.randint(1, 30))

    def _time(self) -> None:
        self.stage.world.clock.instant += timedelta(seconds=self.chance.choice((0.2, 3, 11)))

    def _restart(self) -> None:
        self.stage.restart()
        self.caches.clear()

    def _kind(self) -> Kind:
        return self.chance.choice(sorted(self.caches, key=str) or [self.stage.ours[0].primary])
