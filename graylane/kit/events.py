"""Kubernetes Events: one object per (subject, reason, message), counted when repeated.

Shell. In: `Event` effects. Out: `v1.Event` objects in the subject's namespace. Best effort by design.
"""

from __future__ import annotations

import logging
from typing import Any

from graylane.client import ApiClient
from graylane.errors import AlreadyExists, ApiError, NotFound
from graylane.kit.clock import Clock
from graylane.kit.effects import Event
from graylane.model.hashing import short_hash
from graylane.model.kinds import EVENT
from graylane.model.meta import Obj, format_time, name_of, namespace_of, uid_of

_LOG = logging.getLogger(__name__)
_REMEMBERED = 4096


class EventRecorder:
    """Writes events for one component; remembers counts for the lifetime of the process."""

    def __init__(self, client: ApiClient, clock: Clock, component: str) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._counts: dict[str, int] = {}

    async def record(self, event: Event) -> None:
        """Create the event, or count it up. API errors are logged, never raised."""
        try:
            await self._write(event)
        except ApiError as error:
            _LOG.debug("event not recorded", extra={"reason": event.reason, "error": str(error)})

    async def _write(self, event: Event) -> None:
        obj = event_object(event, self._component, format_time(self._clock.now()))
        name, namespace = name_of(obj), namespace_of(obj)
        seen = self._counts.get(name, 0)
        if len(self._counts) > _REMEMBERED:
            self._counts.clear()
        self._counts[name] = seen + 1
        try:
            if seen:
                again = {"count": seen + 1, "lastTimestamp": obj["lastTimestamp"]}
                await self._client.patch(EVENT, name, namespace, again)
            else:
                await self._client.create(EVENT, obj)
        except AlreadyExists:
            await self._count_up(name, namespace, obj)
        except NotFound:
            self._counts.pop(name, None)

    async def _count_up(self, name: str, namespace: str, obj: Obj) -> None:
        """The event is from before our restart: go on counting where it stands."""
        live = await self._client.get(EVENT, name, namespace)
        count = int(live.get("count") or 1) + 1
        self._counts[name] = count
        await self._client.patch(EVENT, name, namespace, {"count": count, "lastTimestamp": obj["lastTimestamp"]})


def event_object(event: Event, component: str, at: str) -> Obj:
    """The `v1.Event` for a first occurrence. Its name is a function of subject, reason and message."""
    subject = event.obj
    identity = [uid_of(subject), event.type, event.reason, event.message]
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
            "name": f"{name_of(subject)}.{short_hash(identity, 16)}",
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
