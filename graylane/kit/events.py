"""Kubernetes Events: one object per (subject, reason, message), counted when repeated.

Shell. In: `Event` effects. Out: `v1.Event` objects in the subject's namespace. Best effort by design.

Names follow time, as those of Kubernetes' own recorder do: readers list events by name and sort them by seconds at
most, so the name alone tells which of several in the same second came first.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from graylane.client import ApiClient
from graylane.errors import ApiError, NotFound
from graylane.kit.clock import Clock
from graylane.kit.effects import Event
from graylane.model.kinds import EVENT
from graylane.model.meta import Obj, format_time, name_of, namespace_of, uid_of

_LOG = logging.getLogger(__name__)
_REMEMBERED = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Written:
    """The object that an event was written to, and how often."""

    name: str
    count: int


class EventRecorder:
    """Writes events for one component; remembers counts for the lifetime of the process."""

    def __init__(self, client: ApiClient, clock: Clock, component: str) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._written: dict[tuple[str, ...], _Written] = {}
        self._last = 0

    async def record(self, event: Event) -> None:
        """Create the event, or count it up. API errors are logged, never raised."""
        try:
            await self._write(event)
        except ApiError as error:
            _LOG.debug("event not recorded", extra={"reason": event.reason, "error": str(error)})

    async def _write(self, event: Event) -> None:
        identity = (uid_of(event.obj), event.type, event.reason, event.message)
        now = self._clock.now()
        known = self._written.get(identity)
        if known is None or not await self._count_up(identity, known, namespace_of(event.obj) or "default", now):
            await self._create(identity, event, now)

    async def _create(self, identity: tuple[str, ...], event: Event, now: datetime) -> None:
        """Each name is later than the one before, even where the clock stood still in between."""
        self._last = max(self._last + 1, (now - _EPOCH) // _MICROSECOND)
        obj = event_object(event, self._component, format_time(now), self._last)
        await self._client.create(EVENT, obj)
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written[identity] = _Written(name_of(obj), 1)

    async def _count_up(self, identity: tuple[str, ...], known: _Written, namespace: str, now: datetime) -> bool:
        """Whether the event is still there to be counted: the API forgets events after a while."""
        count = known.count + 1
        try:
            await self._client.patch(EVENT, known.name, namespace, {"count": count, "lastTimestamp": format_time(now)})
        except NotFound:
            return False
        self._written[identity] = _Written(known.name, count)
        return True


class Teller:
    """Takes events from reconciles and writes them beside these, so that none waits for a best effort.

    Those of one subject stand in one line: they are told in order, and counted.
    """

    def __init__(self, recorder: EventRecorder, lines: int = 4) -> None:
        self._recorder = recorder
        self._lines: list[asyncio.Queue[Event]] = [asyncio.Queue() for _ in range(lines)]

    async def record(self, event: Event) -> None:
        self._lines[hash(uid_of(event.obj)) % len(self._lines)].put_nowait(event)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for line in self._lines:
                tasks.create_task(self._tell(line))

    async def _tell(self, line: asyncio.Queue[Event]) -> None:
        while True:
            await self._recorder.record(await line.get())


def event_object(event: Event, component: str, at: str, microseconds: int) -> Obj:
    """The `v1.Event` for a first occurrence, named by its time in nanoseconds since 1970.

    Our clock ends at microseconds: the digits below keep components apart that tell of one subject at one instant.
    """
    subject = event.obj
    nanoseconds = microseconds * 1000 + zlib.crc32(component.encode()) % 1000
    involved: dict[str, Any] = {
        "apiVersion": event.kind.api_version,
        "kind": event.kind.kind,
        "name": name_of(subject),
        "uid": uid_of(subject),
        "resourceVersion": str(subject.get("metadata", {}).get("resourceVersion", "")),
    }
    if namespace_of(subject):
        involved["namespace"] = namespace_of(subject)
    return {
        "metadata": {
            "name": f"{name_of(subject)}.{nanoseconds:016x}",
            "namespace": namespace_of(subject) or "default",
        },
        "involvedObject": involved,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": component},
        "reportingComponent": component,
    }
