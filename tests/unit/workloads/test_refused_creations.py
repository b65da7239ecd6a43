"""What the applier does when the API says no to a creation."""

from __future__ import annotations

from typing import Any, cast

import pytest

from graylane.client import ApiClient
from graylane.errors import ApiError, Forbidden, InternalError, Invalid, TooManyRequests, Unavailable
from graylane.kit import Create, Event, Patch
from graylane.kit.apply import Applier
from graylane.kit.events import EventRecorder
from graylane.model.kinds import EVENT, POD, REPLICA_SET, Kind
from graylane.model.meta import Key, Obj
from graylane.testing.world import VirtualClock

OWNER: Obj = {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}}


class Refusing:
    """An API that takes events and answers every other creation with `error`, every patch with `trouble`."""

    def __init__(self, error: ApiError, trouble: ApiError | None = None) -> None:
        self.error, self.trouble = error, trouble
        self.events: list[str] = []
        self.patches: list[Obj] = []

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        if kind != EVENT:
            raise self.error
        self.events.append(obj["message"])
        return obj

    async def patch(self, kind: Kind, name: str, namespace: str, patch: Obj, **_: Any) -> Obj:
        if self.trouble:
            raise self.trouble
        self.patches.append(patch)
        return OWNER


class Forgetful:
    def learn(self, kind: Kind, obj: Obj) -> None: ...

    def forget(self, kind: Kind, key: Key, uid: str) -> None: ...


def keep(words: str) -> Patch:
    return Patch(REPLICA_SET, Key("shop", "web"), {"status": {"said": words}}, subresource="status")


async def create(api: Refusing) -> None:
    refused = Event(REPLICA_SET, OWNER, "Warning", "FailedCreate", "Error creating: ")
    client = cast(ApiClient, api)
    applier = Applier(client, Forgetful(), EventRecorder(client, VirtualClock(), "test"))
    await applier.apply([Create(POD, {"metadata": {"name": "p", "namespace": "shop"}}, refused, keep)])


@pytest.mark.parametrize("error", [Forbidden("no"), Invalid("no"), InternalError("no")])
async def test_a_refusal_is_told_and_kept_before_it_is_raised(error: ApiError) -> None:
    api = Refusing(error)
    with pytest.raises(type(error)):
        await create(api)
    assert api.events == ["Error creating: no"]
    assert api.patches == [{"status": {"said": "no"}}]


@pytest.mark.parametrize("error", [TooManyRequests("later"), Unavailable("later")])
async def test_what_passes_by_itself_is_only_raised(error: ApiError) -> None:
    api = Refusing(error)
    with pytest.raises(type(error)):
        await create(api)
    assert (api.events, api.patches) == ([], [])


async def test_trouble_with_keeping_a_refusal_does_not_hide_it() -> None:
    api = Refusing(Forbidden("no"), trouble=Unavailable("gone"))
    with pytest.raises(Forbidden):
        await create(api)
