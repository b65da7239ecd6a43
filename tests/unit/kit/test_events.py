"""Events as their readers get them: in order, counted, and never lost because an older one was forgotten."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from graylane.client import ApiClient
from graylane.errors import AlreadyExists, NotFound
from graylane.kit.effects import Event
from graylane.kit.events import EventRecorder, Teller
from graylane.model.kinds import POD, Kind
from graylane.model.meta import Obj, name_of
from graylane.testing.waiting import eventually
from graylane.testing.world import VirtualClock

SUBJECT: Obj = {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}}
STORY = ["Scheduled", "Pulled", "Created", "Started"]


class Events:
    """An API that holds events and lists them by name, as every API server does."""

    def __init__(self) -> None:
        self.held: dict[str, Obj] = {}

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        if name_of(obj) in self.held:
            raise AlreadyExists("there is one")
        self.held[name_of(obj)] = obj
        return obj

    async def patch(self, kind: Kind, name: str, namespace: str, patch: Obj, **_: Any) -> Obj:
        if name not in self.held:
            raise NotFound("forgotten")
        self.held[name] |= patch
        return self.held[name]

    def told(self) -> list[tuple[str, int]]:
        return [(self.held[name]["reason"], self.held[name]["count"]) for name in sorted(self.held)]


@pytest.fixture
def api() -> Events:
    return Events()


def recorder(api: Events, clock: VirtualClock, component: str = "test") -> EventRecorder:
    return EventRecorder(cast(ApiClient, api), clock, component)


def event(reason: str) -> Event:
    return Event(POD, SUBJECT, "Normal", reason, f"{reason} happened")


async def test_events_of_one_second_are_listed_in_the_order_in_which_they_happened(api: Events) -> None:
    clock = VirtualClock()
    ours = recorder(api, clock)
    for reason in STORY:
        await ours.record(event(reason))
        clock.advance(0.001)
    assert [reason for reason, _ in api.told()] == STORY


async def test_events_of_one_instant_keep_their_order_too(api: Events) -> None:
    ours = recorder(api, VirtualClock())
    for reason in STORY:
        await ours.record(event(reason))
    assert [reason for reason, _ in api.told()] == STORY


async def test_a_repeated_event_is_counted_and_its_last_time_moves(api: Events) -> None:
    clock = VirtualClock()
    ours = recorder(api, clock)
    for _ in range(3):
        await ours.record(event("Failed"))
        clock.advance(10)
    assert api.told() == [("Failed", 3)]
    [held] = api.held.values()
    assert (held["firstTimestamp"], held["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z")


async def test_an_event_that_the_api_has_forgotten_is_told_anew(api: Events) -> None:
    ours = recorder(api, VirtualClock())
    await ours.record(event("Failed"))
    api.held.clear()
    await ours.record(event("Failed"))
    assert api.told() == [("Failed", 1)]


async def test_two_components_may_tell_of_one_subject_at_one_instant(api: Events) -> None:
    clock = VirtualClock()
    await recorder(api, clock, "scheduler").record(event("Scheduled"))
    await recorder(api, clock, "kubelet").record(event("Pulled"))
    assert len(api.held) == 2


async def test_a_name_has_the_form_of_kubernetes_own_events(api: Events) -> None:
    await recorder(api, VirtualClock()).record(event("Started"))
    [name] = api.held
    subject, _, digits = name.partition(".")
    assert subject == "web"
    assert len(digits) == 16
    assert int(digits, 16) // 10**9 == VirtualClock().now().timestamp()


async def test_a_teller_lets_nobody_wait_and_tells_of_each_subject_in_order(api: Events) -> None:
    teller = Teller(recorder(api, VirtualClock()))
    for reason in [*STORY, STORY[-1]]:
        await teller.record(Event(POD, SUBJECT, "Normal", reason, "told"))
    assert api.told() == []
    running = asyncio.create_task(teller.run())
    await eventually(lambda: sum(count for _, count in api.told()) > len(STORY))
    assert [reason for reason, _ in api.told()] == STORY
    assert api.told()[-1] == (STORY[-1], 2)
    running.cancel()
