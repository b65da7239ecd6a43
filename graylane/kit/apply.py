"""Performs effects in order and lets the caches see what they did.

Shell. In: effects. Out: API writes. Stops at the first failure and raises it, after refreshing what was found stale, so
that asking the reconciler again leads somewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from graylane.client import ApiClient
from graylane.errors import AlreadyExists, ApiError, Conflict, NotFound, Timeout, TooManyRequests, Unavailable
from graylane.kit.effects import Bind, Create, Delete, Effect, Event, Patch, Replace
from graylane.model.kinds import POD, Kind
from graylane.model.meta import Key, Obj, key_of, uid_of

_LOG = logging.getLogger(__name__)
_PASSING = (AlreadyExists, Conflict, TooManyRequests, Unavailable, Timeout)


def is_refusal(error: ApiError) -> bool:
    """The API understood and said no, so a user should know; what a busy or racing API says passes by itself."""
    return not isinstance(error, _PASSING)


class Knowledge(Protocol):
    """Where the results of our own writes are put, so that the next view shows them."""

    def learn(self, kind: Kind, obj: Obj) -> None: ...

    def forget(self, kind: Kind, key: Key, uid: str) -> None: ...


class Recorder(Protocol):
    """Where events go."""

    async def record(self, event: Event) -> None: ...


class Applier:
    """Applies the effects of one controller."""

    def __init__(self, client: ApiClient, knowledge: Knowledge, recorder: Recorder) -> None:
        self._client = client
        self._knowledge = knowledge
        self._recorder = recorder

    async def apply(self, effects: Iterable[Effect]) -> None:
        """One after the other; raises the first `ApiError`, leaving the rest undone."""
        for effect in effects:
            await self._one(effect)

    async def _one(self, effect: Effect) -> None:
        match effect:
            case Create():
                await self._create(effect)
            case Patch():
                await self._patch(effect)
            case Replace():
                await self._replace(effect)
            case Delete():
                await self._delete(effect)
            case Bind():
                await self._bind(effect)
            case Event():
                await self._recorder.record(effect)

    async def _create(self, effect: Create) -> None:
        try:
            self._knowledge.learn(effect.kind, await self._client.create(effect.kind, effect.obj))
        except AlreadyExists:
            await self._refresh(effect.kind, key_of(effect.obj))
            raise
        except ApiError as error:
            if is_refusal(error):
                await self._suffer(effect.consequences(error.message))
            raise

    async def _suffer(self, consequences: Iterable[Effect]) -> None:
        """The refusal itself is what matters to the caller: trouble with telling it is not raised instead of it."""
        try:
            await self.apply(consequences)
        except ApiError as error:
            _LOG.debug("refusal not kept: error=%s", error)

    async def _patch(self, effect: Patch) -> None:
        namespace, name = effect.key
        try:
            result = await self._client.patch(
                effect.kind, name, namespace, effect.patch, type=effect.type, subresource=effect.subresource
            )
        except (Conflict, NotFound):
            await self._refresh(effect.kind, effect.key)
            raise
        except ApiError as error:
            if is_refusal(error):
                await self._suffer(effect.consequences(error.message))
            raise
        if effect.subresource == "scale":  # whose answer is not the object
            await self._refresh(effect.kind, effect.key)
        else:
            self._learn_or_forget(effect.kind, result)

    async def _replace(self, effect: Replace) -> None:
        try:
            result = await self._client.replace(effect.kind, effect.obj, subresource=effect.subresource)
        except (Conflict, NotFound):
            await self._refresh(effect.kind, key_of(effect.obj))
            raise
        self._learn_or_forget(effect.kind, result)

    async def _delete(self, effect: Delete) -> None:
        namespace, name = effect.key
        try:
            result = await self._client.delete(
                effect.kind,
                name,
                namespace,
                propagation=effect.propagation,
                grace_seconds=effect.grace_seconds,
                uid=effect.uid,
            )
        except NotFound:
            self._knowledge.forget(effect.kind, effect.key, effect.uid or "")
            return
        except Conflict:
            await self._refresh(effect.kind, effect.key)
            raise
        self._learn_of_deletion(effect, result)

    async def _bind(self, effect: Bind) -> None:
        """The answer does not show the pod, so it is read: else the next view would ask for a node again."""
        try:
            await self._client.bind(effect.key.name, effect.key.namespace, node=effect.node, uid=effect.uid)
        finally:
            await self._refresh(POD, effect.key)

    def _learn_of_deletion(self, effect: Delete, result: Obj) -> None:
        """Services and a few others answer with the object although it is gone; only one still held lives on."""
        answered = result.get("kind") == effect.kind.kind
        meta = result.get("metadata", {})
        held = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
        if answered and meta.get("deletionTimestamp") and held:
            self._knowledge.learn(effect.kind, result)
        elif uid := uid_of(result) if answered else effect.uid:
            self._knowledge.forget(effect.kind, effect.key, uid)

    def _learn_or_forget(self, kind: Kind, result: Obj) -> None:
        """Removing the last finalizer of a deleted object removes the object: the answer shows it a last time."""
        meta = result.get("metadata", {})
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds"):
            self._knowledge.forget(kind, key_of(result), uid_of(result))
        else:
            self._knowledge.learn(kind, result)

    async def _refresh(self, kind: Kind, key: Key) -> None:
        try:
            self._knowledge.learn(kind, await self._client.get(kind, key.name, key.namespace))
        except NotFound:
            self._knowledge.forget(kind, key, "")
