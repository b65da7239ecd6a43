"""Which owners' selectors an object falls under: the way from a changed pod to the Services that may list it.

Pure but for its own memory. In: owners as they change. Out: keys of owners whose selector matches given labels. A gone
owner may be named once more, which costs one look at nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graylane.model.meta import Key, Obj, dig, key_of, labels_of, namespace_of
from graylane.model.selectors import LabelSelector

Pair = tuple[str, str]


class Attraction:
    """Selectors by namespace, found through one label each requires; those that require none are tried always."""

    def __init__(self, selector_of: Callable[[Obj], LabelSelector | None]) -> None:
        self._selector_of = selector_of
        self._selectors: dict[Key, LabelSelector] = {}
        self._by_pair: dict[tuple[str, Pair | None], set[Key]] = {}

    def note(self, owner: Obj) -> None:
        """Learn or relearn an owner; one whose selector is None attracts nothing."""
        key = key_of(owner)
        selector = self._selector_of(owner)
        if self._selectors.get(key) == selector:
            return
        self.forget(key)
        if selector is not None:
            self._selectors[key] = selector
            self._by_pair.setdefault((key.namespace, _pair(selector)), set()).add(key)

    def forget(self, key: Key) -> None:
        selector = self._selectors.pop(key, None)
        if selector is not None:
            self._by_pair[key.namespace, _pair(selector)].discard(key)

    def of(self, obj: Obj) -> Iterator[Key]:
        """Owners in the object's namespace whose selector matches its labels."""
        labels, namespace = labels_of(obj), namespace_of(obj)
        for pair in (None, *labels.items()):
            for key in tuple(self._by_pair.get((namespace, pair), ())):
                if self._selectors[key].matches(labels):
                    yield key


def _pair(selector: LabelSelector) -> Pair | None:
    """A label that every match must carry; None when the selector names no such label."""
    exact = (term for term in selector.requirements if term.operator == "in" and len(term.values) == 1)
    return next(((term.key, next(iter(term.values))) for term in exact), None)


def label_selector(owner: Obj) -> LabelSelector | None:
    """`spec.selector` of workloads; an empty one, which Kubernetes refuses, attracts nothing."""
    selector = LabelSelector.of(dig(owner, "spec", "selector"))
    return None if selector.empty else selector


def service_selector(service: Obj) -> LabelSelector | None:
    """`spec.selector` of Services; without one, endpoints are somebody else's business."""
    selector: dict[str, Any] = dig(service, "spec", "selector", default={})
    return LabelSelector.of_map(selector) if selector else None
