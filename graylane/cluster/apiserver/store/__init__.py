"""Durable objects with one global resourceVersion, history and watches. `Store` is the door. Shell."""

from graylane.cluster.apiserver.store.contract import Compacted, Entry, Event, EventType, Stale
from graylane.cluster.apiserver.store.store import Store
from graylane.cluster.apiserver.store.subscription import Overflow, Subscription

__all__ = ["Compacted", "Entry", "Event", "EventType", "Overflow", "Stale", "Store", "Subscription"]
