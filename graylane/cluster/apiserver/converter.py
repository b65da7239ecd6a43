"""Versions of a custom kind that differ in shape: a webhook of its definition turns one into another.

Shell (network, through `Caller`). In: objects as stored, or as sent, and the version wanted. Out: the same objects in
that version, in order; `InternalError` naming the webhook when it cannot or may not. Kinds without a webhook are
converted by `conversion.py`, at no cost. Follows apiextensions-apiserver: all objects of a call are in one
ConversionReview, and of the metadata only labels and annotations may change.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from graylane.cluster.apiserver import conversion
from graylane.cluster.apiserver.admission.caller import Caller, Unreachable
from graylane.cluster.apiserver.registry import Registry
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.store import Entry, Event
from graylane.errors import InternalError
from graylane.model.meta import Obj, dig, name_of

_SECONDS = 30.0
_REVIEW = "apiextensions.k8s.io/v1"
_MAY_CHANGE = ("labels", "annotations")


class Converter:
    """One per server."""

    def __init__(self, caller: Caller, registry: Registry) -> None:
        self._caller = caller
        self._registry = registry

    def asks(self, resource: Resource) -> bool:
        return self._webhook(resource) is not None

    async def obj(self, resource: Resource, obj: Obj, wanted: str) -> Obj:
        return (await self.objs(resource, [obj], wanted))[0]

    async def objs(self, resource: Resource, objs: Sequence[Obj], wanted: str) -> list[Obj]:
        webhook = self._webhook(resource)
        strange = [obj for obj in objs if obj["apiVersion"] != wanted]
        if webhook is None or not strange:
            return [conversion.to(obj, wanted) for obj in objs]
        found = iter(await self._ask(webhook, resource, strange, wanted))
        return [obj if obj["apiVersion"] == wanted else next(found) for obj in objs]

    async def entries(self, resource: Resource, entries: Sequence[Entry]) -> list[Entry]:
        """As the resource's own version shows them."""
        if not entries or not self.asks(resource):
            return list(entries)
        objs = await self.objs(resource, [entry.obj for entry in entries], resource.api_version)
        return [Entry.of(entry.key, obj) for entry, obj in zip(entries, objs, strict=True)]

    async def entry(self, resource: Resource, entry: Entry) -> Entry:
        return (await self.entries(resource, [entry]))[0]

    async def events(self, resource: Resource, events: Sequence[Event]) -> list[Event]:
        if not events or not self.asks(resource):
            return list(events)
        after = await self.entries(resource, [event.entry for event in events])
        before = iter(await self.entries(resource, [event.previous for event in events if event.previous]))
        return [
            replace(event, entry=entry, previous=next(before) if event.previous else None, frames={})
            for event, entry in zip(events, after, strict=True)
        ]

    def _webhook(self, resource: Resource) -> Obj | None:
        custom = self._registry.custom(resource)
        return custom.conversion if custom is not None else None

    async def _ask(self, webhook: Obj, resource: Resource, objs: list[Obj], wanted: str) -> list[Obj]:
        number = str(uuid.uuid4())
        request = {"uid": number, "desiredAPIVersion": wanted, "objects": objs}
        body = orjson.dumps({"apiVersion": _REVIEW, "kind": "ConversionReview", "request": request})
        try:
            answer = orjson.loads(await self._caller.call(webhook.get("clientConfig") or {}, body, _SECONDS))
            converted = _converted(answer, number, len(objs))
            return [_checked(old, new, wanted) for old, new in zip(objs, converted, strict=True)]
        except (Unreachable, orjson.JSONDecodeError, _Unusable) as error:
            named = f"{resource.group}/{wanted.rpartition('/')[2]}, Kind={resource.kind}"
            raise InternalError(f"conversion webhook for {named} failed: {error}") from error


class _Unusable(Exception):
    """An answer that does not do what was asked."""


def _converted(answer: Any, number: str, count: int) -> list[Any]:
    response = dig(answer, "response") if isinstance(answer, dict) else None
    if not isinstance(response, dict) or response.get("uid") != number:
        raise _Unusable("its answer has no response with the uid of the request")
    if dig(response, "result", "status") != "Success":
        raise _Unusable(str(dig(response, "result", "message", default="it gave no reason")))
    found = response.get("convertedObjects")
    if not isinstance(found, list) or len(found) != count:
        raise _Unusable(
            f"it was asked for {count} objects and gave {len(found) if isinstance(found, list) else 'none'}"
        )
    return found


def _checked(old: Obj, new: Any, wanted: str) -> Obj:
    """The converted object, with the metadata that a conversion may not touch."""
    if not isinstance(new, dict) or (new.get("apiVersion"), new.get("kind")) != (wanted, old["kind"]):
        raise _Unusable(f"it gave something else than a {old['kind']} in version {wanted} for {name_of(old)}")
    metadata = new.get("metadata")
    if not isinstance(metadata, dict):
        raise _Unusable(f"it gave no metadata for {name_of(old)}")
    for name in ("name", "namespace", "uid"):
        if metadata.get(name) != old["metadata"].get(name):
            raise _Unusable(f"it changed metadata.{name} of {name_of(old)}")
    kept = {name: value for name, value in old["metadata"].items() if name not in _MAY_CHANGE}
    return {**new, "metadata": kept | {name: metadata[name] for name in _MAY_CHANGE if metadata.get(name)}}
