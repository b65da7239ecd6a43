"""What becomes of a patch: its answer is learnt, unless it is another object; a refusal is told and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from graylane.client import ApiClient
from graylane.errors import Conflict, Forbidden
from graylane.kit.apply import Applier
from graylane.kit.effects import Event, Patch
from graylane.model.kinds import DEPLOYMENT, Kind
from graylane.model.meta import Key, Obj

WEB: Obj = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "7"},
    "spec": {"replicas": 3},
}
TO_THREE = Patch(
    DEPLOYMENT,
    Key("shop", "web"),
    {"spec": {"replicas": 3}},
    subresource="scale",
    refused=Event(DEPLOYMENT, WEB, "Warning", "FailedRescale", "New size: 3; error: "),
    kept=lambda words: Patch(DEPLOYMENT, Key("shop", "web"), {"status": {"why": words}}, subresource="status"),
)


@dataclass
class Api:
    """Answers a patch of `/scale` with a Scale, or with `trouble`; remembers what was asked, learnt and told."""

    trouble: Exception | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)
    learnt: list[Obj] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Obj:
        self.asked.append(("get", name))
        return WEB

    async def patch(self, kind: Kind, name: str, namespace: str, patch: Any, *, subresource: str, **_: Any) -> Obj:
        self.asked.append((subresource, patch))
        if subresource == "scale" and self.trouble is not None:
            raise self.trouble
        return {"kind": "Scale", "apiVersion": "autoscaling/v1"} if subresource == "scale" else WEB

    def learn(self, kind: Kind, obj: Obj) -> None:
        self.learnt.append(obj)

    def forget(self, kind: Kind, key: Key, uid: str) -> None:
        raise AssertionError("nothing is gone")

    async def record(self, event: Event) -> None:
        self.told.append(event)

    async def apply(self) -> None:
        await Applier(cast(ApiClient, self), self, self).apply([TO_THREE])


async def test_a_scale_is_no_deployment_so_that_is_read() -> None:
    api = Api()
    await api.apply()
    assert api.asked == [("scale", {"spec": {"replicas": 3}}), ("get", "web")]
    assert api.learnt == [WEB]
    assert api.told == []


async def test_a_refused_patch_is_told_and_kept_before_it_is_raised() -> None:
    api = Api(Forbidden("no more than one in this house"))
    with pytest.raises(Forbidden):
        await api.apply()
    assert [event.message for event in api.told] == ["New size: 3; error: no more than one in this house"]
    assert api.asked[-1] == ("status", {"status": {"why": "no more than one in this house"}})


async def test_a_race_is_no_refusal() -> None:
    api = Api(Conflict("somebody was faster"))
    with pytest.raises(Conflict):
        await api.apply()
    assert (api.told, api.asked[-1], api.learnt) == ([], ("get", "web"), [WEB])
