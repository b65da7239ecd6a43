"""What we know of the API's objects, indexed for reading.

Pure. In: objects from lists, watches and our own writes. Out: `View`, the read-only face reconcilers see. Objects are
never mutated, so a view is consistent for as long as nothing is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from graylane.model.kinds import Kind
from graylane.model.meta import Key, Obj, key_of, labels_of, owner_refs, rv_of, uid_of
from graylane.model.selectors import LabelSelector

Objects = list[Obj]  # spelled out here, since View has a method called list
B = TypeVar("B", bound=Hashable)
Indexer = Callable[[Obj], Iterable[str]]
"""A function of a module, of the object alone: what it gives is what the object is found by."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object's step from `old` to `new`; None stands for absence."""

    key: Key
    old: Obj | None
    new: Obj | None


@dataclass(slots=True)
class Cache:
    """All known objects of one kind. The newest resourceVersion wins, whoever brings it."""

    objects: dict[Key, Obj] = field(default_factory=dict)
    _by_namespace: dict[str, dict[Key, Obj]] = field(default_factory=dict)
    _by_owner: dict[str, dict[Key, Obj]] = field(default_factory=dict)
    _by_label: dict[tuple[str, str, str], dict[Key, Obj]] = field(default_factory=dict)
    _buried: set[str] = field(default_factory=set)
    _indexes: dict[Indexer, dict[str, dict[Key, Obj]]] = field(default_factory=dict)

    def put(self, obj: Obj) -> Change | None:
        """Take in `obj` unless something newer is known or we saw it deleted; None when nothing changed.

        Our own writes arrive here before the watch repeats them, so a reconciler never acts twice on one cause.
        """
        key = key_of(obj)
        old = self.objects.get(key)
        if uid_of(obj) in self._buried:
            return None
        if old is not None and rv_of(obj) <= rv_of(old):
            return None
        if old is not None:
            self._unindex(key, old)
        self.objects[key] = obj
        self._by_namespace.setdefault(key.namespace, {})[key] = obj
        for reference in owner_refs(obj):
            self._by_owner.setdefault(str(reference.get("uid")), {})[key] = obj
        for name, value in labels_of(obj).items():
            self._by_label.setdefault((key.namespace, name, value), {})[key] = obj
        for indexer, index in self._indexes.items():
            _enter(index, indexer, key, obj)
        return Change(key, old, obj)

    def remove(self, key: Key, uid: str = "") -> Change | None:
        """Forget `key`, if it still is the object `uid` (any, when empty)."""
        old = self.objects.get(key)
        if old is None or (uid and uid_of(old) != uid):
            return None
        self._unindex(key, old)
        del self.objects[key]
        return Change(key, old, None)

    def bury(self, key: Key, uid: str) -> Change | None:
        """Forget an object we deleted ourselves and ignore late echoes of it until its DELETED event."""
        self._buried.add(uid)
        return self.remove(key, uid)

    def mourned(self, uid: str) -> None:
        """The watch has confirmed the deletion of `uid`; no older echo can follow."""
        self._buried.discard(uid)

    def replace_all(self, listed: Iterable[Obj]) -> list[Change]:
        """Make the cache equal to a fresh list; deletions missed while disconnected are seen here."""
        self._buried.clear()
        fresh = {key_of(obj): obj for obj in listed}
        gone = [self.remove(key) for key in list(self.objects) if key not in fresh]
        return [change for change in (*gone, *map(self.put, fresh.values())) if change is not None]

    def in_namespace(self, namespace: str) -> Mapping[Key, Obj]:
        return self._by_namespace.get(namespace, {})

    def candidates(self, namespace: str, selector: LabelSelector) -> Mapping[Key, Obj]:
        """Everything in `namespace` that `selector` can match: the smallest set that one exact label leaves."""
        exact = (term for term in selector.requirements if term.operator == "in" and len(term.values) == 1)
        found = (self._by_label.get((namespace, term.key, next(iter(term.values))), {}) for term in exact)
        return min(found, key=len, default=self.in_namespace(namespace))

    def owned_by(self, uid: str) -> Mapping[Key, Obj]:
        return self._by_owner.get(uid, {})

    def indexed(self, indexer: Indexer, value: str) -> Mapping[Key, Obj]:
        """Everything for which `indexer` gives `value`; from the first question on the answer is kept up to date."""
        index = self._indexes.get(indexer)
        if index is None:
            index = self._indexes[indexer] = {}
            for key, obj in self.objects.items():
                _enter(index, indexer, key, obj)
        return index.get(value, {})

    def _unindex(self, key: Key, old: Obj) -> None:
        _drop(self._by_namespace, key.namespace, key)
        for reference in owner_refs(old):
            _drop(self._by_owner, str(reference.get("uid")), key)
        for name, value in labels_of(old).items():
            _drop(self._by_label, (key.namespace, name, value), key)
        for indexer, index in self._indexes.items():
            for value in indexer(old):
                _drop(index, value, key)


def _enter(index: dict[str, dict[Key, Obj]], indexer: Indexer, key: Key, obj: Obj) -> None:
    for value in indexer(obj):
        index.setdefault(value, {})[key] = obj


def _drop(index: dict[B, dict[Key, Obj]], bucket: B, key: Key) -> None:
    entries = index.get(bucket)
    if entries is not None:
        entries.pop(key, None)
        if not entries:
            del index[bucket]


@dataclass(frozen=True, slots=True)
class View:
    """Read-only reading of the caches. Treat every object from it as frozen."""

    caches: Mapping[Kind, Cache]

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        return self._cache(kind).objects.get(Key(namespace, name))

    def list(self, kind: Kind, namespace: str | None = None, selector: LabelSelector | None = None) -> Objects:
        """Objects of `kind`, in one namespace or in all (None), by label selector, ordered by key."""
        cache = self._cache(kind)
        if namespace is not None and selector is not None:
            found = cache.candidates(namespace, selector)
        else:
            found = cache.objects if namespace is None else cache.in_namespace(namespace)
        chosen = found.items() if selector is None else _matching(found, selector)
        return [obj for _, obj in sorted(chosen, key=lambda item: item[0])]

    def owned_by(self, kind: Kind, uid: str) -> Objects:
        """Objects of `kind` with any owner reference to `uid`, ordered by key."""
        return [obj for _, obj in sorted(self._cache(kind).owned_by(uid).items(), key=lambda item: item[0])]

    def found_by(self, kind: Kind, indexer: Indexer, value: str) -> Objects:
        """Objects of `kind` for which `indexer` gives `value`, ordered by key."""
        return [obj for _, obj in sorted(self._cache(kind).indexed(indexer, value).items(), key=lambda item: item[0])]

    def _cache(self, kind: Kind) -> Cache:
        cache = self.caches.get(kind)
        if cache is None:
            raise LookupError(f"{kind} is not watched; name it among the controller's watches or extra caches")
        return cache


def _matching(found: Mapping[Key, Obj], selector: LabelSelector) -> Iterable[tuple[Key, Obj]]:
    return ((key, obj) for key, obj in found.items() if selector.matches(labels_of(obj)))
