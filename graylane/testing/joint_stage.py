"""Acts out whole releases: the real Rollout and TrafficRouting controllers, and stand-ins for all else, in one world.

Pure but for its `World` and what its proxies remember. In: user actions. Out: a settled world, one line that describes
it, and `harms`: requests that would have met nobody, or a version that nobody approved, judged after every write by
what the proxies have taken so far.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from graylane.chain.requests import Dye, Request
from graylane.chain.routing import Routed, ready_endpoints, route
from graylane.cluster.workloads import controllers as workloads
from graylane.kit.cache import View
from graylane.kit.effects import Delete, Effect
from graylane.kit.loop import Controller
from graylane.model.kinds import (
    CRD,
    DEPLOYMENT,
    DESTINATION_RULE,
    NODE,
    POD,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, annotations_of, dig, is_true, key_of, labels_of, name_of
from graylane.model.patches import json_patch, merge_patch
from graylane.model.rollout import ABORT, CANARY_DEPLOYMENT, TRAFFIC_ROUTING_NAME
from graylane.rollouts import controller as rollouts
from graylane.testing.inline import INLINE, at_once, run_at_once
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.proxies import Proxies
from graylane.testing.release_stage import NAMESPACE, ONE_STEP, image
from graylane.testing.releases import stand_ins
from graylane.testing.world import World
from graylane.trafficrouting import controller as trafficrouting
from graylane.trafficrouting.keeping import keep
from graylane.trafficrouting.providers.ingress import INGRESS
from graylane.webhooks.deployments import mutate_deployment
from graylane.webhooks.keeping import keep_hold

HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
LANE: Obj = {"matches": [{"headers": [{"type": "Exact", "name": "my-request-id", "value": "canary"}]}]}
SERVED = "web"  # the one Service; several Deployments may stand behind it


class Provider(StrEnum):
    """What carries the lane."""

    ISTIO = "istio"
    INGRESS = "ingress"
    GATEWAY = "gateway"


@dataclass
class JointStage:
    """One Service `web`; for each of `names` a Deployment behind it with its Rollout; all share TrafficRouting `lane`.

    `routed` False: the Rollouts release pods only. `admission` False: the webhook is down. `allowed`: the images that
    plain requests may meet. `real`: with the embedded cluster's own workload controllers instead of stand-ins.
    """

    provider: Provider = Provider.ISTIO
    replicas: int = 1
    steps: tuple[Obj, ...] = ONE_STEP
    names: tuple[str, ...] = ("web",)
    routed: bool = True
    real: bool = False
    admission: bool = True
    world: World = field(default_factory=World)
    proxies: Proxies = field(default_factory=Proxies)
    harms: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=lambda: {"v1"})

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Controllers that know nothing but what the API holds."""
        self.ours = [*rollouts.controllers(), *map(at_once, trafficrouting.controllers(INLINE, lambda *_: True))]
        around = [*workloads.controllers(), FakeKubelet().controller()] if self.real else stand_ins()
        others = [actor for actor in around if actor.name != "routing"]
        self.actors: tuple[Controller, ...] = (*self.ours, *others, *self.proxies.controllers())

    def watch(self) -> None:
        """Judge after every write from now on."""
        self.world.after_write = self._watch

    def fork(self) -> JointStage:
        """An equal stage with restarted controllers that goes its own way from here."""
        world, proxies = self.world.fork(), self.proxies.fork()
        twin = replace(self, world=world, proxies=proxies, harms=list(self.harms), allowed=set(self.allowed))
        twin.watch()
        return twin

    # -- what users do

    def begin(self) -> JointStage:
        """Version v1 runs everywhere, the Rollouts rest."""
        if self.real:
            self.world.put(NODE, NODE_OBJECT)
        for kind, obj in self.manifests():
            self.world.put(kind, obj)
        self.settle().watch()
        return self

    def manifests(self) -> Iterator[tuple[Kind, Obj]]:
        yield from self.route_manifests()
        for name in self.names:
            yield DEPLOYMENT, named(name, deployment_spec(name, "v1", self.replicas))
        yield TRAFFIC_ROUTING, self.routing_manifest()
        for name in self.names:
            yield ROLLOUT, self.rollout_manifest(name)

    def route_manifests(self) -> Iterator[tuple[Kind, Obj]]:
        """The Services and what leads to them, as their owner wrote them."""
        match self.provider:
            case Provider.ISTIO:
                yield SERVICE, named(SERVED, {"selector": {"app": SERVED}, "ports": [{"port": 80}]})
                yield VIRTUAL_SERVICE, named("vs-web", {"hosts": [SERVED], "http": [{"route": [_base()]}]})
                subsets = [{"name": "base", "labels": {"version": "base"}}]
                yield DESTINATION_RULE, named("dr-web", {"host": SERVED, "subsets": subsets})
            case Provider.INGRESS:
                yield from _two_services()
                yield INGRESS, named("web", {"ingressClassName": "nginx", "rules": [_ingress_rule()]})
            case Provider.GATEWAY:
                yield from _two_services()
                yield CRD, _http_route_crd()
                backend = {"group": "", "kind": "Service", "name": SERVED, "port": 80, "weight": 1}
                yield HTTP_ROUTE, named("web", {"rules": [{"matches": [_ROOT], "backendRefs": [backend]}]})

    def routing_manifest(self) -> Obj:
        istio = [_reference(VIRTUAL_SERVICE, "vs-web"), _reference(DESTINATION_RULE, "dr-web")]
        references: dict[Provider, Obj] = {
            Provider.ISTIO: {"customNetworkRefs": istio},
            Provider.INGRESS: {"ingress": {"name": "web"}},
            Provider.GATEWAY: {"gateway": {"httpRouteName": "web"}},
        }
        return named("lane", {"strategy": LANE, "objectRef": [{"service": SERVED} | references[self.provider]]})

    def rollout_manifest(self, name: str = "web") -> Obj:
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        overlay = {"labels": {"istio.service.tag": "gray", "version": "canary"}}
        canary = {"steps": list(self.steps), "patchPodTemplateMetadata": overlay}
        spec = {"objectRef": {"workloadRef": workload}, "strategy": {"canary": canary}}
        return named(name, spec, {TRAFFIC_ROUTING_NAME: "lane"} if self.routed else None)

    def push(self, version: str, name: str = "web") -> JointStage:
        """`kubectl set image`, through admission unless that is down."""
        return self.edit_deployment({"spec": {"template": template(name, version)}}, name)

    def edit_deployment(self, patch: Obj, name: str = "web") -> JointStage:
        old = self.get(DEPLOYMENT, name)
        new = merge_patch(old, patch)
        if self.admission:
            request = {"operation": "UPDATE", "namespace": NAMESPACE, "object": new, "oldObject": old}
            new = json_patch(new, list(mutate_deployment(request, self.world.view()).patch))
        self.world.put(DEPLOYMENT, new)
        return self

    def write(self, kind: Kind, obj: Obj) -> JointStage:
        """A whole object by somebody's hand or tool (`kubectl replace`), through admission unless that is down."""
        typed, old = {"apiVersion": kind.api_version, "kind": kind.kind} | obj, self.find(kind, name_of(obj))
        if self.admission and old:
            view, request = self.world.view(), {"operation": "UPDATE", "object": typed, "oldObject": old}
            typed = run_at_once(keep(INLINE, old, typed, view))[0] or typed
            typed = json_patch(typed, list(keep_hold(request, view).patch)) if kind == TRAFFIC_ROUTING else typed
        self.world.put(kind, typed)
        return self

    def change(self, kind: Kind, name: str, patch: Obj) -> JointStage:
        """A merge patch by somebody's hand, through admission as well."""
        return self.write(kind, merge_patch(self.get(kind, name), patch))

    def approve(self, name: str = "web") -> JointStage:
        """What is approved may be met by everybody from now on."""
        self.allowed.add(image(self.get(DEPLOYMENT, name)))
        return self.status_patch({"currentStepState": "StepReady"}, name)

    def status_patch(self, canary: Obj, name: str = "web") -> JointStage:
        self.world.patch(ROLLOUT, NAMESPACE, name, {"status": {"canaryStatus": canary}}, "status")
        return self

    def abort(self, name: str = "web") -> JointStage:
        revision = str(dig(self.get(ROLLOUT, name), "status", "canaryStatus", "canaryRevision"))
        self.world.patch(ROLLOUT, NAMESPACE, name, {"metadata": {"annotations": {ABORT: revision}}})
        return self

    def edit(self, patch: Obj, name: str = "web") -> JointStage:
        """A merge patch on the Rollout's spec."""
        self.world.patch(ROLLOUT, NAMESPACE, name, {"spec": patch})
        return self

    def delete(self, kind: Kind, name: str = "web") -> JointStage:
        self.world.delete(kind, NAMESPACE, name)
        return self

    def lose(self, pod: Obj) -> JointStage:
        """A pod is gone with its node, and endpoints know it at once."""
        self.world.apply([Delete(POD, key_of(pod), grace_seconds=0)])
        return self

    def settle(self, until: Callable[[World], bool] | None = None, seconds: float = 0) -> JointStage:
        self.proxies.forget_missing(self.world)
        self.world.run(self.actors, until=until, seconds=seconds)
        return self

    # -- what users see

    def get(self, kind: Kind, name: str) -> Obj:
        found = self.world.get(kind, NAMESPACE, name)
        if found is None:
            raise LookupError(f"{kind} {name} does not exist")
        return found

    def find(self, kind: Kind, name: str) -> Obj:
        """{} when it is not there."""
        return self.world.get(kind, NAMESPACE, name) or {}

    def canaries(self) -> list[Obj]:
        return [item for item in self.world.list(DEPLOYMENT, NAMESPACE) if CANARY_DEPLOYMENT in labels_of(item)]

    def state(self, name: str = "web") -> str:
        """`Progressing StepPaused`, or `gone`."""
        status = self.find(ROLLOUT, name).get("status")
        if status is None:
            return "gone"
        return f"{status.get('phase')} {dig(status, 'canaryStatus', 'currentStepState', default='-')}"

    def rest(self) -> dict[str, Any]:
        """What is left in the end: every object, without what only says how often something was written."""
        return self.world.dump()

    # -- what must never happen

    def _watch(self, effect: Effect) -> None:
        self.harms += [harm for harm in self.present_harms() if harm not in self.harms]

    def present_harms(self) -> list[str]:
        """None is ours while a part of the user's own routes is missing."""
        if not all(self.world.get(kind, *key_of(obj)) for kind, obj in self.route_manifests()):
            return []
        found = list(self._mesh_harms() if self.provider is Provider.ISTIO else self._backend_harms())
        return [f"{harm} ({', '.join(f'{name}: {self.state(name)}' for name in self.names)})" for harm in found]

    def dyed(self) -> Routed:
        """How the proxies would send a dyed request now."""
        dye = Dye.all_of(self.routing_manifest())[0]
        return route(self._as_proxies_see(), _request().dyed(dye))

    def plain(self) -> Routed:
        return route(self._as_proxies_see(), _request())

    def _mesh_harms(self) -> Iterator[str]:
        plain = self.plain()
        for kind, routed in (("dyed", self.dyed()), ("plain", plain)):
            broken = [item for item in routed.destinations if item.problem]
            if broken and not (broken[0].subset == "base" and self._is_listing_late()):
                yield f"a {kind} request gets {broken[0].problem}"
            elif routed.problem:
                yield f"a {kind} request gets {routed.problem}"
        met = {image(pod) for item in plain.destinations for pod in item.pods}
        if met - self.allowed:
            yield f"a plain request meets {', '.join(sorted(met - self.allowed))}, which nobody approved"

    def _is_listing_late(self) -> bool:
        """A ready stable pod is not in the EndpointSlices yet: a race of workloads, which Kubernetes has too."""
        listed = {name_of(pod) for pod in ready_endpoints(self.world.view(), Key(NAMESPACE, SERVED))}
        pods = (pod for pod in self.world.list(POD, NAMESPACE) if labels_of(pod).get("version") == "base")
        return any(is_true(pod, "Ready") and name_of(pod) not in listed for pod in pods)

    def _backend_harms(self) -> Iterator[str]:
        view = self.world.view()
        pods = ready_endpoints(view, Key(NAMESPACE, f"{SERVED}-canary"))
        if self.diverted() and not pods:
            yield "a dyed request is led to a Service without pods"
        met = {image(pod) for pod in ready_endpoints(view, Key(NAMESPACE, SERVED))}
        if met - self.allowed:
            yield f"a plain request meets {', '.join(sorted(met - self.allowed))}, which nobody approved"

    def diverted(self) -> bool:
        """Whether the stored routes lead anybody to a canary."""
        match self.provider:
            case Provider.ISTIO:
                return any(item.subset == "canary" for item in self.dyed().destinations)
            case Provider.INGRESS:
                return bool(self.find(INGRESS, "web-canary"))
            case Provider.GATEWAY:
                return f"{SERVED}-canary" in json.dumps(self.find(HTTP_ROUTE, "web").get("spec"))

    def _as_proxies_see(self) -> View:
        return self.proxies.view(self.world)


def _request() -> Request:
    return Request(f"{SERVED}.{NAMESPACE}.svc.cluster.local", source_namespace=NAMESPACE)


# -- manifests

_ROOT: Obj = {"path": {"type": "PathPrefix", "value": "/"}}


def template(name: str, version: str) -> Obj:
    labels = {"app": SERVED, "part": name, "version": "base"}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "default", "image": version}]}}


def deployment_spec(name: str, version: str, replicas: int) -> Obj:
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": SERVED, "part": name}},
        "strategy": {"type": "RollingUpdate"},
        "template": template(name, version),
    }


def named(name: str, spec: Obj, annotations: Obj | None = None) -> Obj:
    metadata: Obj = {"name": name, "namespace": NAMESPACE}
    return {"metadata": metadata | ({"annotations": annotations} if annotations else {}), "spec": spec}


def _reference(kind: Kind, name: str) -> Obj:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "name": name}


def _base() -> Obj:
    return {"destination": {"host": SERVED, "subset": "base"}}


def _two_services() -> Iterable[tuple[Kind, Obj]]:
    for name, version in ((SERVED, "base"), (f"{SERVED}-canary", "canary")):
        yield SERVICE, named(name, {"selector": {"app": SERVED, "version": version}, "ports": [{"port": 80}]})


def _ingress_rule() -> Obj:
    backend = {"service": {"name": SERVED, "port": {"number": 80}}}
    return {"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}


def _http_route_crd() -> Obj:
    names = {"kind": HTTP_ROUTE.kind, "plural": HTTP_ROUTE.plural}
    versions = [{"name": "v1", "served": True, "storage": True}]
    spec = {"group": HTTP_ROUTE.group, "names": names, "versions": versions}
    return {"metadata": {"name": f"{HTTP_ROUTE.plural}.{HTTP_ROUTE.group}"}, "spec": spec}


def restored(stage: JointStage) -> bool:
    """Whether every route is as its owner wrote it, with nothing of ours left on it."""
    return all(
        stage.find(kind, obj["metadata"]["name"]).get("spec") == obj["spec"]
        and not annotations_of(stage.find(kind, obj["metadata"]["name"]))
        for kind, obj in stage.route_manifests()
        if kind not in (SERVICE, CRD)
    ) and not stage.find(INGRESS, "web-canary")
