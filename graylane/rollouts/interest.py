"""Remembers which Rollouts looked at which objects, so that a change of an object leads back to them.

Pure but for its memory. In: the sources each look named. Out: keys. Watches know only the object that changed; a
Deployment does not say which Rollout releases it, nor a Service which TrafficRouting names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from graylane.model.kinds import DEPLOYMENT, POD, SERVICE, TRAFFIC_ROUTING, Kind
from graylane.model.meta import Key, Obj, controller_of, finalizers_of, key_of, labels_of, namespace_of
from graylane.model.rollout import PROGRESSING_FINALIZER
from graylane.rollouts.canary import rollout_of
from graylane.rollouts.listed import SERVICE_NAME, deployment_of
from graylane.rollouts.observe import Source


@dataclass(slots=True)
class Interest:
    """Both directions of "this Rollout depends on that object". Every Rollout is looked at once before it matters."""

    _sources: dict[Key, frozenset[Source]] = field(default_factory=dict)
    _keys: dict[Source, set[Key]] = field(default_factory=dict)
    _first_looks: dict[Key, datetime] = field(default_factory=dict)

    def since(self, key: Key, now: datetime) -> datetime:
        """When `key` was first looked at by this process."""
        return self._first_looks.setdefault(key, now)

    def note(self, key: Key, sources: frozenset[Source]) -> None:
        """Replaces what `key` depended on."""
        before = self._sources.pop(key, frozenset())
        if sources:
            self._sources[key] = sources
        else:
            self._first_looks.pop(key, None)
        for source in before - sources:
            self._keys[source].discard(key)
            if not self._keys[source]:
                del self._keys[source]
        for source in sources - before:
            self._keys.setdefault(source, set()).add(key)

    def of_deployment(self, obj: Obj) -> Iterable[Key]:
        """Stable: who releases it. Canary: its Rollout, also when nobody has looked at it yet."""
        if owner := rollout_of(obj):
            yield owner
        yield from self._keys.get((DEPLOYMENT, key_of(obj)), ())

    def of_batch_release(self, obj: Obj) -> Iterable[Key]:
        """It has its Rollout's name."""
        return [key_of(obj)]

    def of_replica_set(self, obj: Obj) -> Iterable[Key]:
        owner = controller_of(obj)
        if owner:
            yield from self._keys.get((DEPLOYMENT, Key(namespace_of(obj), str(owner.get("name")))), ())

    def of_pod(self, obj: Obj) -> Iterable[Key]:
        """Those of its Deployment, and those that saw a Service list it before anybody knew the pod."""
        yield from self._keys.get((POD, key_of(obj)), ())
        if name := deployment_of(obj):
            yield from self._keys.get((DEPLOYMENT, Key(namespace_of(obj), name)), ())

    def of_routing(self, obj: Obj) -> Iterable[Key]:
        """Those that name it, and those whose finalizer it carries."""
        for finalizer in finalizers_of(obj):
            if finalizer.startswith(PROGRESSING_FINALIZER):
                yield Key(namespace_of(obj), finalizer.removeprefix(PROGRESSING_FINALIZER))
        yield from self._keys.get((TRAFFIC_ROUTING, key_of(obj)), ())

    def of_service(self, obj: Obj) -> Iterable[Key]:
        yield from self._keys.get((SERVICE, key_of(obj)), ())

    def of_route(self, kind: Kind) -> Callable[[Obj], Iterable[Key]]:
        """Those whose canary pods it might lead requests to, or keep them from; scripts for such routes too."""
        return lambda obj: self._keys.get((kind, key_of(obj)), ())

    def of_endpoint_slice(self, obj: Obj) -> Iterable[Key]:
        name = labels_of(obj).get(SERVICE_NAME, "")
        yield from self._keys.get((SERVICE, Key(namespace_of(obj), name)), ())
