"""GET with `watch=true`: what is there, then every change, until the client leaves or time is up.

Shell (a stream per client). In: a call. Out: lines of JSON events in revision order, each change once. A watcher that
falls too far behind is cut off; it lists again and nothing is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from graylane.cluster.apiserver import failures, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import CutOff, Query, Stream
from graylane.cluster.apiserver.media import Shape
from graylane.cluster.apiserver.render import View
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, forbidden, not_supported
from graylane.cluster.apiserver.selection import Selection, view_of
from graylane.cluster.apiserver.store import Compacted, Entry, Event, EventType, Overflow, Subscription
from graylane.cluster.apiserver.verbs.list import too_large, wrong_version
from graylane.errors import ApiError, Unclassified

BOOKMARK_SECONDS = 60.0
_SHORTEST, _LONGEST = 1800, 3600
_MATCH = "NotOlderThan"
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of one watch. `revision` None starts with what is there; a number, with what came after it."""

    revision: int | None
    bookmarks: bool
    initial_end: bool
    seconds: float

    @staticmethod
    def of(query: Query) -> Wish:
        _check_options(query)
        revision = _revision(query.text("resourceVersion"))
        query.number("limit")
        streamed = query.flag("sendInitialEvents")
        fresh = streamed or (revision == 0 and not query.text("sendInitialEvents"))
        bookmarks = query.flag("allowWatchBookmarks")
        return Wish(
            revision=None if fresh else revision,
            bookmarks=bookmarks,
            initial_end=fresh and bookmarks,
            seconds=query.number("timeoutSeconds") or random.uniform(_SHORTEST, _LONGEST),
        )


def _revision(text: str) -> int:
    if text and not text.isdigit():
        raise Unclassified(str(wrong_version(text)))
    return int(text or 0)


async def watch(call: Call) -> Stream:
    selection, wish, view = Selection.of(call), Wish.of(call.request.query), view_of(call)
    try:
        present, subscription = _open(call, wish, selection)
    except ApiError as error:
        return Stream(_only(_error_line(error)))
    try:
        initial = await _initial(call, wish, present, view)
    except BaseException:
        call.api.store.unsubscribe(subscription)
        raise
    return Stream(_lines(call, _Watch(wish, selection, view, initial, subscription, call.api.clock)))


@dataclass(frozen=True, slots=True)
class _Watch:
    wish: Wish
    selection: Selection
    view: View
    initial: bytes
    subscription: Subscription
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Present:
    """What is there when a watch begins, and the revision that it is the state of."""

    entries: tuple[Entry, ...] = ()
    revision: int = 0


def _open(call: Call, wish: Wish, selection: Selection) -> tuple[_Present, Subscription]:
    """What to send first, and the changes after it: taken in the same instant, so that none falls between."""
    store, name = call.api.store, call.resource.store
    if wish.revision is None:
        entries = (entry for entry in store.entries(name, selection.namespace) if selection.includes(entry))
        return _Present(tuple(entries), store.revision), store.subscribe(name)
    if wish.revision == 0:  # sendInitialEvents=false without a version: from now on
        return _Present(), store.subscribe(name)
    if wish.revision > store.revision:
        raise too_large(wish.revision, store.revision)
    try:
        return _Present(), store.subscribe(name, wish.revision)
    except Compacted as error:
        raise failures.expired(error.asked, error.oldest) from None


async def _initial(call: Call, wish: Wish, present: _Present, view: View) -> bytes:
    entries = await call.api.converter.entries(call.resource, present.entries)
    lines = [_line("ADDED", render.one(entry, view)) for entry in entries]
    if wish.initial_end:
        lines.append(_line("BOOKMARK", render.bookmark(present.revision, view, _INITIAL_END)))
    return b"".join(lines)


class Alarm:
    """Rings every `period` seconds, and a last time after `seconds`."""

    def __init__(self, seconds: float, period: float, wake: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._end, self._period, self._wake = self._loop.time() + seconds, period, wake
        self._has_rung = self.over = False
        self._wind()

    def rang(self) -> bool:
        """Whether it rang since it was last asked."""
        rang, self._has_rung = self._has_rung, False
        return rang

    def stop(self) -> None:
        self._timer.cancel()

    def _wind(self) -> None:
        left = self._end - self._loop.time()
        self._timer = self._loop.call_later(min(left, self._period), self._ring, left <= self._period)

    def _ring(self, is_last: bool) -> None:
        self._has_rung, self.over = True, is_last
        self._wake()
        if not is_last:
            self._wind()


async def _lines(call: Call, watch: _Watch) -> AsyncIterator[bytes]:
    store, subscription = call.api.store, watch.subscription
    clock = Alarm(watch.wish.seconds, BOOKMARK_SECONDS, subscription.wake)
    try:
        yield watch.initial
        while not clock.over and not subscription.closed:
            if lines := _encode(await _batch(call, watch), watch):
                yield lines
            if clock.rang() and watch.wish.bookmarks and subscription.idle and not clock.over:
                yield _line("BOOKMARK", render.bookmark(store.revision, watch.view))
    except Overflow as error:
        raise CutOff(str(error)) from None
    except ApiError as error:  # an object cannot be shown in this version: the client has to list again
        yield _error_line(error)
    finally:
        clock.stop()
        store.unsubscribe(subscription)


async def _batch(call: Call, watch: _Watch) -> list[Event]:
    events = await watch.subscription.batch()
    if not call.api.converter.asks(call.resource):
        return events
    concerned = [event for event in events if watch.selection.concerns(event.entry)]
    return await call.api.converter.events(call.resource, concerned)


def _encode(events: list[Event], watch: _Watch) -> bytes:
    view = watch.view
    if events and view.wanted.shape is Shape.TABLE:  # whose rows tell ages
        view = replace(view, now=watch.clock())
    shape = view.shape
    return b"".join([_frame(event, watch.selection, view, shape) for event in events])


def _frame(event: Event, selection: Selection, view: View, shape: tuple[str, ...]) -> bytes:
    """The event as this watcher sees it, encoded once for all who see it alike; b"" if it is none of theirs."""
    kind = _seen_as(event, selection)
    if kind is None:
        return b""
    key = (kind, shape)
    frame = event.frames.get(key)
    if frame is None:
        frame = event.frames[key] = _line(kind, render.one(_subject(event, kind), view))
    return frame


def _seen_as(event: Event, selection: Selection) -> EventType | None:
    """An object that starts to match a selector is ADDED for its watcher, one that stops matching is DELETED."""
    after = selection.includes(event.entry)
    if event.type is EventType.ADDED:
        return EventType.ADDED if after else None
    # The predecessor is unknown only for changes older than a restart: assume it matched. At worst a client is told
    # that something it never had is gone.
    before = selection.includes(event.previous) if event.previous else selection.concerns(event.entry)
    if event.type is EventType.DELETED:
        return EventType.DELETED if before else None
    if after:
        return EventType.MODIFIED if before else EventType.ADDED
    return EventType.DELETED if before else None


def _subject(event: Event, kind: EventType) -> Entry:
    """For an object that merely left the selection, the last state that was in it, stamped with the change."""
    if kind is not EventType.DELETED or event.type is EventType.DELETED or event.previous is None:
        return event.entry
    obj = event.previous.obj
    metadata = {**obj["metadata"], "resourceVersion": str(event.revision)}
    return Entry.of(event.entry.key, {**obj, "metadata": metadata})


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), body)


async def _only(line: bytes) -> AsyncIterator[bytes]:
    yield line


def _error_line(error: ApiError) -> bytes:
    """A version that cannot be watched is said inside the stream, as kube-apiserver's watch cache does."""
    return _line("ERROR", orjson.dumps(error.to_status()))


def _check_options(query: Query) -> None:
    errors: list[FieldError] = []
    match = query.text("resourceVersionMatch")
    if query.text("sendInitialEvents"):
        if match != _MATCH:
            detail = f"sendInitialEvents requires setting resourceVersionMatch to {_MATCH}"
            errors.append(forbidden("resourceVersionMatch", detail))
    elif match:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.append(forbidden("resourceVersionMatch", detail))
    if match and match != _MATCH:
        errors.append(not_supported("resourceVersionMatch", match, (_MATCH,)))
    if errors:
        raise as_api_error("meta.k8s.io", "v1", "ListOptions", "", errors)
