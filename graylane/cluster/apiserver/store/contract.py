"""What the store keeps and promises.

Pure. In: objects and versions. Out: `Entry` (one version of one object), `Event` (one change), and the store's errors.

A resource is named by its group-resource text, e.g. `deployments.apps`. Revisions are one counter for all resources:
each change takes the next one, it never goes back, and it is the object's `resourceVersion`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from graylane.model.meta import Key, Obj, labels_of, rv_of


class Entry:
    """One version of one object, never changed. `body` is the object as JSON; `obj` is read from it when asked for.

    A parsed object takes five times the room of its bytes, and most objects are only ever listed, that is, copied as
    bytes. So only the objects that were used last stay parsed.
    """

    __slots__ = ("_labels", "_obj", "body", "key", "revision")

    def __init__(self, key: Key, revision: int, body: bytes, labels: dict[str, str] | None = None) -> None:
        self.key = key
        self.revision = revision
        self.body = body
        self._labels = labels
        self._obj: Obj | None = None

    @staticmethod
    def of(key: Key, obj: Obj) -> Entry:
        entry = Entry(key, rv_of(obj), _exactly(orjson.dumps(obj)), labels_of(obj))
        entry._keep(obj)
        return entry

    @property
    def labels(self) -> dict[str, str]:
        """Kept apart, for selectors; of what was read from disk, from the first question on."""
        if self._labels is None:
            self._labels = labels_of(orjson.loads(self.body))
        return self._labels

    @property
    def obj(self) -> Obj:
        """To be read, never changed: everybody gets the same one."""
        obj = self._obj
        return obj if obj is not None else self._keep(orjson.loads(self.body))

    def _keep(self, obj: Obj) -> Obj:
        if len(_PARSED) == PARSED_KEPT:
            _PARSED[0]._obj = None
        _PARSED.append(self)
        self._obj = obj
        return obj


def _exactly(encoded: bytes) -> bytes:
    """A copy in just the room it needs: orjson leaves up to four times as much behind what it returns."""
    return bytes(memoryview(encoded))


PARSED_KEPT = 1024
_PARSED: deque[Entry] = deque(maxlen=PARSED_KEPT)


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
