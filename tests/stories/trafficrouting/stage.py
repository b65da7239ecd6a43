"""A TrafficRouting with its Service, VirtualService and DestinationRule, a mesh, and users who interfere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graylane.kit import Controller, Outcome, Patch, View
from graylane.model.kinds import (
    DESTINATION_RULE,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, annotations_of, condition, dig, generation_of
from graylane.model.trafficrouting import PROGRESSING_FINALIZER
from graylane.testing.inline import Inline
from graylane.testing.world import World
from graylane.trafficrouting.controller import controllers

NS = "default"
LANE = {"matches": [{"headers": [{"type": "Exact", "name": "my-request-id", "value": "canary"}]}]}


def virtual_service(name: str = "vs-mocka", service: str = "mocka") -> Obj:
    return {
        "metadata": {"name": name, "namespace": NS},
        "spec": {
            "hosts": [service],
            "http": [{"route": [{"destination": {"host": service, "subset": "version-base"}}]}],
        },
    }


def destination_rule(name: str = "dr-mocka", service: str = "mocka") -> Obj:
    subsets = [{"name": "version-base", "labels": {"version": "base"}}]
    return {"metadata": {"name": name, "namespace": NS}, "spec": {"host": service, "subsets": subsets}}


def traffic_routing(
    name: str = "mocka-tr", strategy: Obj = LANE, refs: list[tuple[str, str]] | None = None, service: str = "mocka"
) -> Obj:
    networks = [
        {"apiVersion": "networking.istio.io/v1alpha3", "kind": kind, "name": target}
        for kind, target in refs or [("VirtualService", "vs-mocka"), ("DestinationRule", "dr-mocka")]
    ]
    return {
        "metadata": {"name": name, "namespace": NS},
        "spec": {"strategy": strategy, "objectRef": [{"service": service, "customNetworkRefs": networks}]},
    }


@dataclass
class Mesh:
    """Acknowledges what it is allowed to. `silent`: a real Istio, which reports nothing."""

    silent: bool = False
    holds_back: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)

    def controllers(self) -> list[Controller]:
        return [
            Controller(f"mesh-{kind.kind}", kind, lambda view, key, now, kind=kind: self._report(view, kind, key))
            for kind in (VIRTUAL_SERVICE, DESTINATION_RULE)
        ]

    def _report(self, view: View, kind: Kind, key: Key) -> Outcome:
        obj = view.get(kind, *key)
        if obj is None or self.silent or key.name in self.holds_back:
            return Outcome()
        entry = {"type": "Reconciled", "status": "True", "reason": "Acknowledged", "message": "2/2 proxies up to date"}
        if key.name in self.refuses:
            entry |= {"status": "False", "reason": "Rejected", "message": "proxy a: duplicate domain"}
        status = {"observedGeneration": generation_of(obj), "conditions": [entry]}
        return (
            Outcome()
            if obj.get("status") == status
            else Outcome((Patch(kind, key, {"status": status}, subresource="status"),))
        )


@dataclass
class Stage:
    """`await stage.settle()` lets everybody act until nothing changes; `seconds` of virtual time may pass."""

    world: World = field(default_factory=World)
    mesh: Mesh = field(default_factory=Mesh)
    reads: bool = True  # whether the objects of kinds that it learns of while it runs are known already

    def __post_init__(self) -> None:
        self.restart()
        self.put(SERVICE, {"metadata": {"name": "mocka", "namespace": NS}, "spec": {}})

    def restart(self) -> None:
        """A controller that knows nothing but what the API holds."""
        self.controllers = [*controllers(Inline(), lambda kind, keys: self.reads), *self.mesh.controllers()]

    def put(self, kind: Kind, *objects: Obj) -> None:
        for obj in objects:
            self.world.put(kind, obj)

    def usual(self) -> Stage:
        self.put(VIRTUAL_SERVICE, virtual_service())
        self.put(DESTINATION_RULE, destination_rule())
        self.put(TRAFFIC_ROUTING, traffic_routing())
        return self

    async def settle(self, seconds: float = 0) -> Stage:
        await self.world.settle(self.controllers, seconds=seconds)
        return self

    async def reconcile(self, routing: str) -> None:
        """One look at one, as its own DELETED event asks for it."""
        outcome = self.controllers[0].reconcile(self.world.view(), Key(NS, routing), self.world.now())
        self.world.apply(await outcome)  # type: ignore[misc]

    async def settles_without_writing(self) -> bool:
        before = self.world.writes
        await self.settle()
        return self.world.writes == before

    # -- what Rollouts do

    def hold(self, rollout: str, routing: str = "mocka-tr") -> None:
        self._finalizers(routing, lambda known: [*known, PROGRESSING_FINALIZER + rollout])

    def release(self, rollout: str, routing: str = "mocka-tr") -> None:
        self._finalizers(routing, lambda known: [name for name in known if name != PROGRESSING_FINALIZER + rollout])

    def _finalizers(self, routing: str, change: Callable[[list[str]], list[str]]) -> None:
        known = dig(self.get(TRAFFIC_ROUTING, routing), "metadata", "finalizers", default=[])
        self.world.patch(TRAFFIC_ROUTING, NS, routing, {"metadata": {"finalizers": change(known)}})

    # -- what is to be seen

    def get(self, kind: Kind, name: str) -> Obj:
        obj = self.world.get(kind, NS, name)
        assert obj is not None, f"{kind.kind} {name} is gone"
        return obj

    def spec(self, kind: Kind, name: str) -> Any:
        return self.get(kind, name)["spec"]

    def edit(self, kind: Kind, name: str, spec: Any) -> None:
        self.world.patch(kind, NS, name, {"spec": spec})

    def phase(self, routing: str = "mocka-tr") -> str:
        return str(dig(self.get(TRAFFIC_ROUTING, routing), "status", "phase"))

    def message(self, routing: str = "mocka-tr") -> str:
        return str(dig(self.get(TRAFFIC_ROUTING, routing), "status", "message"))

    def active_for(self, routing: str = "mocka-tr") -> list[str]:
        return list(dig(self.get(TRAFFIC_ROUTING, routing), "status", "activeFor", default=[]))

    def condition(self, kind: str, routing: str = "mocka-tr") -> Obj:
        entry = condition(self.get(TRAFFIC_ROUTING, routing), kind)
        assert entry is not None
        return entry

    def has_subset(self, name: str = "dr-mocka") -> bool:
        return "canary" in [subset["name"] for subset in self.spec(DESTINATION_RULE, name)["subsets"]]

    def has_route(self, name: str = "vs-mocka") -> bool:
        return "canary" in str(self.spec(VIRTUAL_SERVICE, name))

    def reasons(self) -> list[str]:
        return [event.reason for event in self.world.events]

    def clean(self, kind: Kind, obj: Obj) -> bool:
        """Whether the object is as the user wrote it, with nothing of ours left."""
        live = self.get(kind, obj["metadata"]["name"])
        return live["spec"] == obj["spec"] and annotations_of(live) == (obj["metadata"].get("annotations") or {})
