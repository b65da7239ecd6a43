"""Stands in for a mesh whose proxies take Istio's objects one by one, and say so in each object's status.

Pure but for what the proxies have taken. In: a `World`. Out: controllers, and the world as the proxies see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from graylane.kit.cache import Cache, View
from graylane.kit.effects import Outcome, Patch
from graylane.kit.loop import Controller
from graylane.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, generation_of
from graylane.testing.world import World

ROUTED = (VIRTUAL_SERVICE, DESTINATION_RULE)


@dataclass
class Proxies:
    """What the mesh's proxies have taken of Istio's objects; each object travels on its own, in any order."""

    taken: dict[Kind, Cache] = field(default_factory=lambda: {kind: Cache() for kind in ROUTED})

    def controllers(self) -> list[Controller]:
        return [Controller(f"mesh-{kind.kind}", kind, partial(self._take, kind)) for kind in ROUTED]

    def _take(self, kind: Kind, view: View, key: Key, now: datetime) -> Outcome:
        obj = view.get(kind, *key)
        if obj is None:
            return Outcome()
        self.taken[kind].put(obj)
        entry = {"type": "Reconciled", "status": "True", "reason": "Acknowledged", "message": "1/1 proxies up to date"}
        status = {"observedGeneration": generation_of(obj), "conditions": [entry]}
        if obj.get("status") == status:
            return Outcome()
        return Outcome((Patch(kind, key, {"status": status}, subresource="status"),))

    def forget_missing(self, world: World) -> None:
        for kind, cache in self.taken.items():
            for key in [key for key in cache.objects if world.get(kind, *key) is None]:
                cache.remove(key)

    def fork(self) -> Proxies:
        twin = Proxies()
        for kind, cache in self.taken.items():
            for obj in cache.objects.values():
                twin.taken[kind].put(obj)
        return twin

    def view(self, world: World) -> View:
        """The API's present objects, but of Istio's what was taken last."""
        return View(_Overlaid(self.taken, world.view().caches))


class _Overlaid(dict[Kind, Cache]):
    def __init__(self, taken: Mapping[Kind, Cache], others: Mapping[Kind, Cache]) -> None:
        super().__init__()
        self._taken, self._others = taken, others

    def get(self, kind: Kind, default: Any = None) -> Any:
        return self._taken.get(kind) or self._others.get(kind)
