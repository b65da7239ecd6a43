"""Acts out releases: what users do, what they see, and whether anybody was sent where nothing serves.

Pure but for its `World`. In: user actions. Out: a world that has settled, one line that describes it, and the list of
`harms`, which must stay empty whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from graylane.kit.effects import Effect
from graylane.kit.loop import Controller
from graylane.model.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
)
from graylane.model.meta import Obj, controller_of, dig, is_deleting, is_true, labels_of, name_of
from graylane.model.patches import json_patch, merge_patch
from graylane.model.rollout import ABORT, CANARY_DEPLOYMENT, TRAFFIC_ROUTING_NAME
from graylane.rollouts.controller import controllers
from graylane.testing.releases import stand_ins
from graylane.testing.world import World
from graylane.webhooks.deployments import mutate_deployment

NAMESPACE = "shop"
ONE_STEP: tuple[Obj, ...] = ({"replicas": 1, "pause": {}},)


@dataclass
class ReleaseStage:
    """One service `web` of `replicas` pods, its Rollout `web` and its TrafficRouting `web`.

    `admission` False: the webhook is down. `harms` collects what must never happen, checked after every write.
    """

    replicas: int = 1
    steps: tuple[Obj, ...] = ONE_STEP
    routed: bool = True
    admission: bool = True
    world: World = field(default_factory=World)
    harms: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=lambda: {"v1"})

    def __post_init__(self) -> None:
        self.restart()
        self.world.after_write = self._watch

    def restart(self) -> None:
        """Everybody dies and comes back, knowing only what the API holds."""
        self.actors: tuple[Controller, ...] = (*controllers(), *stand_ins())

    # -- what users do

    def begin(self) -> ReleaseStage:
        """Version v1 runs, the Rollout rests."""
        labels = {"app": "web"}
        self.world.put(SERVICE, _named("web", spec={"selector": labels}))
        self.world.put(DEPLOYMENT, _named("web", spec=deployment_spec("v1", self.replicas)))
        if self.routed:
            self.add_routing()
        self.world.put(ROLLOUT, self.manifest())
        return self.settle()

    def add_routing(self, route: bool = True) -> None:
        if route:
            self.world.put(VIRTUAL_SERVICE, _named("vs-web", spec={"lane": False}))
        self.world.put(TRAFFIC_ROUTING, _named("web", spec={"objectRef": [{"service": "web"}]}))

    def manifest(self) -> Obj:
        annotations = {TRAFFIC_ROUTING_NAME: "web"} if self.routed else {}
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        patch = {"labels": {"lane": "gray"}}
        canary = {"steps": list(self.steps), "patchPodTemplateMetadata": patch}
        spec = {"objectRef": {"workloadRef": workload}, "strategy": {"canary": canary}}
        return _named("web", spec=spec, annotations=annotations)

    def push(self, version: str) -> ReleaseStage:
        """`kubectl set image`, through admission unless that is down."""
        return self.edit_deployment({"spec": {"template": template(version)}})

    def edit_deployment(self, patch: Obj) -> ReleaseStage:
        old = self.deployment()
        new = merge_patch(old, patch)
        if self.admission:
            request = {"operation": "UPDATE", "namespace": NAMESPACE, "object": new, "oldObject": old}
            new = json_patch(new, list(mutate_deployment(request, self.world.view()).patch))
        self.world.put(DEPLOYMENT, new)
        return self

    def approve(self) -> ReleaseStage:
        return self.status_patch({"currentStepState": "StepReady"})

    def status_patch(self, canary: Obj) -> ReleaseStage:
        self.world.patch(ROLLOUT, NAMESPACE, "web", {"status": {"canaryStatus": canary}}, "status")
        return self

    def abort(self, revision: str = "") -> ReleaseStage:
        named = revision or str(dig(self.rollout(), "status", "canaryStatus", "canaryRevision"))
        self.world.patch(ROLLOUT, NAMESPACE, "web", {"metadata": {"annotations": {ABORT: named}}})
        return self

    def edit(self, patch: Obj) -> ReleaseStage:
        """A merge patch on the Rollout's spec."""
        self.world.patch(ROLLOUT, NAMESPACE, "web", {"spec": patch})
        return self

    def delete_rollout(self) -> ReleaseStage:
        self.world.delete(ROLLOUT, NAMESPACE, "web")
        return self

    # -- time

    def settle(self, until: Callable[[World], bool] | None = None, seconds: float = 0) -> ReleaseStage:
        self.world.run(self.actors, until=until, seconds=seconds)
        return self

    # -- what users see

    def rollout(self) -> Obj:
        return self._get(ROLLOUT, "web")

    def deployment(self) -> Obj:
        return self._get(DEPLOYMENT, "web")

    def status(self, *path: str | int) -> Any:
        return dig(self.rollout(), "status", *path)

    def condition(self, kind: str) -> Obj:
        entries = dig(self.rollout(), "status", "conditions", default=[])
        return next((entry for entry in entries if entry["type"] == kind), {})

    def canaries(self) -> list[Obj]:
        return [item for item in self.world.list(DEPLOYMENT, NAMESPACE) if CANARY_DEPLOYMENT in labels_of(item)]

    def lane(self) -> bool:
        return bool(dig(self.world.get(VIRTUAL_SERVICE, NAMESPACE, "vs-web"), "spec", "lane"))

    def row(self) -> str:
        """One line: phase, step, state, canaries, lane, what stable runs and whether it is paused."""
        if self.world.get(ROLLOUT, NAMESPACE, "web") is None:
            where = "gone"
        else:
            index, state = (
                self.status("canaryStatus", "currentStepIndex"),
                self.status("canaryStatus", "currentStepState"),
            )
            where = f"{self.status('phase')} {index or '-'} {state or '-'}"
        canaries = " ".join(f"{dig(item, 'spec', 'replicas')}×{image(item)}" for item in self.canaries()) or "none"
        stable = "none"
        if self.world.get(DEPLOYMENT, NAMESPACE, "web"):
            runs = "+".join(sorted({image(pod) for pod in self._stable_pods()})) or "nothing"
            stable = f"{runs}{' paused' if dig(self.deployment(), 'spec', 'paused') else ''}"
        return f"{where} | canary {canaries} | lane {'on' if self.lane() else 'off'} | stable {stable}"

    # -- what must never happen

    def _watch(self, effect: Effect) -> None:
        self.harms += self.present_harms()

    def present_harms(self) -> list[str]:
        """The lane leads to no ready pod; or plain requests meet a version nobody approved."""
        found: list[str] = []
        if self.lane() and not self._ready_canary_pods():
            found.append("the lane leads to nothing")
        strange = {image(pod) for pod in self._stable_pods()} - self.allowed
        if strange:
            found.append(f"stable runs {', '.join(sorted(strange))} without approval")
        return found

    def _ready_canary_pods(self) -> list[Obj]:
        listed = {
            dig(endpoint, "targetRef", "name")
            for item in self.world.list(ENDPOINT_SLICE, NAMESPACE)
            for endpoint in item.get("endpoints", [])
            if dig(endpoint, "conditions", "ready")
        }
        pods = self._pods_of(name_of(item) for item in self.canaries())
        return [pod for pod in pods if is_true(pod, "Ready") and name_of(pod) in listed]

    def _stable_pods(self) -> list[Obj]:
        return list(self._pods_of(["web"]))

    def _pods_of(self, deployments: Iterable[str]) -> Iterable[Obj]:
        wanted = set(deployments)
        for pod in self.world.list(POD, NAMESPACE):
            owner = controller_of(pod) or {}
            owning = self.world.get(REPLICA_SET, NAMESPACE, str(owner.get("name"))) or {}
            if (controller_of(owning) or {}).get("name") in wanted and not is_deleting(pod):
                yield pod

    def _get(self, kind: Any, name: str) -> Obj:
        found = self.world.get(kind, NAMESPACE, name)
        if found is None:
            raise LookupError(f"{kind} {name} does not exist")
        return found


def image(workload: Obj) -> str:
    """The version, as the first container's image says it, of a workload or a pod."""
    spec = dig(workload, "spec", "template", "spec") or dig(workload, "spec", default={})
    return str(dig(spec, "containers", 0, "image", default=""))


def template(version: str) -> Obj:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "default", "image": version}]}}


def deployment_spec(version: str, replicas: int) -> Obj:
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate"},
        "template": template(version),
    }


def _named(name: str, *, spec: Obj, annotations: Obj | None = None) -> Obj:
    metadata: Obj = {"name": name, "namespace": NAMESPACE}
    return {"metadata": metadata | ({"annotations": annotations} if annotations else {}), "spec": spec}
