"""A `ReleaseStage` whose routes are real: our TrafficRouting controller, its scripts, and a mesh that acknowledges.

Beside the Service, a VirtualService and a DestinationRule; `harms` then also knows plain requests that reach a canary
which nobody approved for them, and routes to a subset or Service that nothing stands behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from graylane.model.kinds import (
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    POD,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Obj, dig, is_deleting, name_of
from graylane.testing.inline import INLINE, at_once
from graylane.testing.release_stage import NAMESPACE, ReleaseStage, deployment_spec, image
from graylane.trafficrouting.controller import controllers as routing_controllers
from tests.stories.trafficrouting.stage import Mesh

WEIGHTED: tuple[Obj, ...] = (
    {"replicas": 1, "weight": 20, "pause": {}},
    {"replicas": "50%", "weight": 50, "pause": {}},
)
ISTIO = [
    {"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "name": "web"},
    {"apiVersion": "networking.istio.io/v1beta1", "kind": "DestinationRule", "name": "web"},
]
LANE = {"matches": [{"headers": [{"type": "Exact", "name": "my-request-id", "value": "canary"}]}]}


@dataclass
class RoutedStage(ReleaseStage):
    """`embedded`: the routes are in the Rollout itself; else in a TrafficRouting `web` with the strategy `LANE`."""

    replicas: int = 4
    steps: tuple[Obj, ...] = WEIGHTED
    embedded: Obj | None = field(default_factory=lambda: {"service": "web", "customNetworkRefs": ISTIO[:1]})
    overlay: Obj = field(default_factory=lambda: {"istio.service.tag": "gray", "version": "canary"})
    mesh: Mesh = field(default_factory=Mesh)

    def restart(self) -> None:
        super().restart()
        others = tuple(actor for actor in self.actors if actor.name != "routing")
        ours = routing_controllers(INLINE, lambda kind, keys: True)
        self.actors = (*others, *map(at_once, ours), *self.mesh.controllers())

    def begin(self) -> RoutedStage:
        self.put(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
        self.put(VIRTUAL_SERVICE, "web", virtual_service("version-base" if self.embedded is None else ""))
        self.put(DESTINATION_RULE, "web", destination_rule())
        spec = deployment_spec("v1", self.replicas)
        spec["template"]["metadata"]["labels"]["version"] = "base"
        self.put(DEPLOYMENT, "web", spec)
        if self.embedded is None:
            refs = [{"service": "web", "customNetworkRefs": ISTIO}]
            self.put(TRAFFIC_ROUTING, "web", {"objectRef": refs, "strategy": LANE})
        self.world.put(ROLLOUT, self.manifest())
        self.settle()
        self.harms.clear()  # until its first pods run, nothing stands behind the Service
        return self

    def manifest(self) -> Obj:
        obj = super().manifest()
        canary = obj["spec"]["strategy"]["canary"] | {"patchPodTemplateMetadata": {"labels": self.overlay}}
        if self.embedded is not None:
            obj["metadata"].pop("annotations", None)
            canary["trafficRoutings"] = [self.embedded]
        obj["spec"]["strategy"]["canary"] = canary
        return obj

    def put(self, kind: Kind, name: str, spec: Obj) -> None:
        self.world.put(kind, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    def push(self, version: str) -> RoutedStage:
        template = self.deployment()["spec"]["template"]
        containers = [{"name": "default", "image": version}]
        self.edit_deployment({"spec": {"template": template | {"spec": {"containers": containers}}}})
        return self

    # -- what is to be seen

    def get(self, kind: Kind, name: str = "web") -> Obj | None:
        return self.world.get(kind, NAMESPACE, name)

    def selector(self, name: str = "web") -> Obj:
        return dict(dig(self.get(SERVICE, name), "spec", "selector", default={}))

    def rules(self) -> list[Obj]:
        return list(dig(self.get(VIRTUAL_SERVICE), "spec", "http", default=[]))

    def shares(self) -> dict[str, int]:
        """Weight by destination of the first rule."""
        return {_target(route): int(route.get("weight", 100)) for route in self.rules()[0]["route"]}

    def lane(self) -> bool:
        return any(_is_canary(route) for rule in self.rules() for route in rule["route"])

    def present_harms(self) -> list[str]:
        return [*super().present_harms(), *self._leaks(), *self._dead_ends()]

    def _leaks(self) -> list[str]:
        """Plain requests meet an unapproved canary: the stable Service lists one, and no subset tells it apart."""
        if self.embedded is None:
            return []
        pods = (pod for pod in self.world.list(POD, NAMESPACE) if not is_deleting(pod))
        listed = self._listed("web") & {name_of(pod) for pod in pods if image(pod) not in self.allowed}
        return [f"the stable Service lists {', '.join(sorted(listed))}"] if listed else []

    def _dead_ends(self) -> list[str]:
        hosts = {str(route["destination"]["host"]) for rule in self.rules() for route in rule["route"]}
        return [f"a route leads to Service {host}, which lists nothing" for host in hosts if not self._listed(host)]

    def _listed(self, service: str) -> set[str]:
        slices = dig(self.get(ENDPOINT_SLICE, f"{service}-slice"), "endpoints", default=[])
        return {str(dig(item, "targetRef", "name")) for item in slices if dig(item, "conditions", "ready")}


def virtual_service(subset: str = "") -> Obj:
    destination = {"host": "web"} | ({"subset": subset} if subset else {})
    return {"hosts": ["web"], "http": [{"route": [{"destination": destination}]}]}


def destination_rule() -> Obj:
    return {"host": "web", "subsets": [{"name": "version-base", "labels": {"version": "base"}}]}


def _target(route: Obj) -> str:
    destination = route["destination"]
    return str(destination["host"]) + (f"/{destination['subset']}" if destination.get("subset") else "")


def _is_canary(route: Obj) -> bool:
    return _target(route) in ("web-canary", "web/canary")


Act = Callable[[RoutedStage], object]
