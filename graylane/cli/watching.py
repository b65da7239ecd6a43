"""Waits for one object to become what we want, woken by the API, never by a clock.

Shell. In: a client, an object, a predicate, a deadline. Out: the object as it then is, or `GaveUp` with what it
said last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from graylane.cli.exits import GaveUp
from graylane.client import ApiClient
from graylane.errors import Gone, Unavailable
from graylane.model.kinds import Kind
from graylane.model.meta import Key, Obj, dig, key_of, rv_of

_RECONNECT_SECONDS = 0.5


async def until(client: ApiClient, kind: Kind, obj: Obj, done: Callable[[Obj], bool], seconds: float, what: str) -> Obj:
    """`obj` is what we know of it. Raises `NotFound` when the object goes away meanwhile."""
    last = [obj]
    try:
        async with asyncio.timeout(seconds):
            return await _follow(client, kind, key_of(obj), done, last)
    except TimeoutError as error:
        message = dig(last[0], "status", "message", default="no status")
        raise GaveUp(f"waited {seconds:g} s for {what}; it says: {message}") from error


async def _follow(client: ApiClient, kind: Kind, key: Key, done: Callable[[Obj], bool], last: list[Obj]) -> Obj:
    while True:
        last[:] = [obj := await client.get(kind, key.name, key.namespace)]
        if done(obj):
            return obj
        fields = f"metadata.name={key.name}"
        try:
            async for event in client.watch(kind, key.namespace, resource_version=str(rv_of(obj)), fields=fields):
                if event.type in ("BOOKMARK", "DELETED"):
                    continue
                last[:] = [event.object]
                if done(event.object):
                    return event.object
        except (Gone, Unavailable):
            await asyncio.sleep(_RECONNECT_SECONDS)
