"""What the store keeps and promises.

Pure. In: objects and versions. Out: `Entry` (one version of one object), `Event` (one change), and the store's errors.

A resource is named by its group-resource text, e.g. `deployments.apps`. Revisions are one counter for all resources:
each change takes the next one, it never goes back, and it is the object's `resourceVersion`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from graylane.model.meta import Key, Obj, rv_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one object; `body` is `obj` as JSON. Neither is ever changed in place."""

    key: Key
    revision: int
    obj: Obj
    body: bytes

    @staticmethod
    def of(key: Key, obj: Obj) -> Entry:
        return Entry(key, rv_of(obj), obj, orjson.dumps(obj))


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One committed change. `entry` is the object after it (for DELETED: its last state, with the deletion's revision).

    `previous` is None for ADDED, and for changes read back after a restart whose predecessor is no longer known.
    `frames` holds each encoding once, for all watchers that want it.
    """

    resource: str
    type: EventType
    entry: Entry
    previous: Entry | None
    frames: dict[Hashable, bytes] = field(default_factory=dict, compare=False)

    @property
    def revision(self) -> int:
        return self.entry.revision


class Stale(Exception):
    """The object is not at the expected revision any more: read again and retry, or tell the client."""


class Compacted(Exception):
    """The history asked for is no longer kept; `oldest` is the first revision a watch may still start after."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} is older than {oldest}")
        self.asked, self.oldest = asked, oldest
