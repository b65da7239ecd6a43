"""Releases of the real OpenKruise manager, as the API held them after each of its writes; and what we make of one.

Recorded from OpenKruise Rollouts 0.5.0 and 0.6.2 against an API server that noted every write (`tests/golden/adoption`,
named by shape, flow and version). Killed after any write, the manager leaves exactly one of these states.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graylane.model.kinds import (
    BATCH_RELEASE,
    CRD,
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    NODE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import (
    Obj,
    annotations_of,
    condition,
    controller_of,
    dig,
    finalizers_of,
    is_deleting,
    labels_of,
    name_of,
    owner_refs,
    parse_time,
)
from graylane.model.patches import merge_patch
from graylane.model.rollout import CANARY_DEPLOYMENT
from graylane.model.versions import batchrelease, rollout_conversion
from graylane.testing.joint_stage import HTTP_ROUTE, JointStage, Provider
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.release_stage import NAMESPACE, image
from graylane.trafficrouting.providers.ingress import INGRESS

FOLDER = Path(__file__).parents[2] / "golden" / "adoption"
_ROUTED = (VIRTUAL_SERVICE, DESTINATION_RULE, INGRESS, HTTP_ROUTE, SERVICE)
_OTHERS = (DEPLOYMENT, REPLICA_SET, POD, ENDPOINT_SLICE, ROLLOUT, BATCH_RELEASE, TRAFFIC_ROUTING)
_KINDS = {kind.plural: kind for kind in (*_ROUTED, *_OTHERS)}
_RELEASING = ("InRolling", "Paused", "Initializing")
State = dict[str, Obj]  # by plural and name


@dataclass(frozen=True)
class Recording:
    """`begin`: before anybody asked for a release. `writes`: object, and its merge patch; None: it is gone."""

    begin: State
    writes: list[tuple[str, Any]]

    @staticmethod
    def of(name: str) -> Recording:
        read = json.loads((FOLDER / f"{name}.json").read_text())
        return Recording(read["begin"], [tuple(write) for write in read["writes"]])

    def points(self) -> list[int]:
        """After these writes; what pods and endpoints say of themselves is no write of a manager."""
        return [at for at, (path, _) in enumerate(self.writes, 1) if not path.startswith(("pods/", "endpointslices/"))]

    def after(self, count: int) -> State:
        state = dict(self.begin)
        for path, patch in self.writes[:count]:
            if patch is None:
                state.pop(path, None)
            else:
                state[path] = merge_patch(state.get(path, {}), patch)
        return state


@dataclass
class Takeover(JointStage):
    """The world as OpenKruise left it; `settle` is our first look and what follows. `names` etc. are as recorded."""

    real: bool = True
    begun: State = field(default_factory=dict)
    before: frozenset[str] = frozenset()  # harms that were OpenKruise's

    @staticmethod
    def of(recording: Recording, count: int) -> Takeover:
        provider = Provider.ISTIO if "virtualservices/vs-web" in recording.begin else Provider.INGRESS
        stage = Takeover(provider, begun=recording.begin)
        stage._load(recording.after(count))
        return stage

    def _load(self, state: State) -> None:
        for number, (path, obj) in enumerate(sorted(state.items()), 1):
            kind = _KINDS[path.partition("/")[0]]
            metadata = obj["metadata"] | {"resourceVersion": str(number)}
            self.world.load(kind, _as_stored(kind, obj | {"metadata": metadata}))
        times = [str(obj["metadata"]["creationTimestamp"]) for obj in state.values()]
        told = dig(state.get("rollouts/web"), "status", "canaryStatus", "lastUpdateTime")
        self.world.clock.instant = max(map(parse_time, [*times, told] if told else times))
        self.world.put(NODE, NODE_OBJECT)
        self.world.put(CRD, next(obj for kind, obj in JointStage(Provider.GATEWAY).route_manifests() if kind is CRD))
        for kind, cache in self.proxies.taken.items():
            for obj in self.world.list(kind):
                cache.put(obj)
        starts = FakeKubelet(healthy=lambda pod: "bad" not in image(pod)).controller()
        self.actors = tuple(starts if actor.name == "kubelet" else actor for actor in self.actors)
        self.allowed |= set(self._approved())
        self.before = frozenset(self.present_harms())
        self.watch()

    def _approved(self) -> Iterator[str]:
        """OpenKruise had every step approved, or had let the version out without."""
        deployment = self.find(DEPLOYMENT, "web")
        done = dig(self.find(ROLLOUT, "web"), "status", "canaryStatus", "currentStepState") in (
            "StepReady",
            "Completed",
        )
        last = dig(self.find(ROLLOUT, "web"), "status", "canaryStatus", "currentStepIndex") == self.steps_asked
        free = not dig(deployment, "spec", "paused")
        if free or self.reason == "Finalising" or (done and last and self.reason == "InRolling"):
            yield image(deployment)
        yield from (image(pod) for pod in self.pods() if not _of_canary(pod))

    # -- what is to be seen

    @property
    def steps_asked(self) -> int:
        return len(dig(self.find(ROLLOUT, "web"), "spec", "strategy", "canary", "steps", default=[]))

    @property
    def reason(self) -> str:
        return str((condition(self.find(ROLLOUT, "web"), "Progressing") or {}).get("reason", ""))

    @property
    def step(self) -> int:
        return int(dig(self.find(ROLLOUT, "web"), "status", "canaryStatus", "currentStepIndex", default=0))

    def releases(self) -> bool:
        rollout = self.find(ROLLOUT, "web")
        return dig(rollout, "status", "phase") == "Progressing" and self.reason in _RELEASING

    def ended(self) -> bool:
        phase = dig(self.find(ROLLOUT, "web"), "status", "phase", default="gone")
        return phase in ("Healthy", "Disabled", "gone")

    def pods(self) -> list[Obj]:
        return [pod for pod in self.world.list(POD, NAMESPACE) if not is_deleting(pod)]

    def serving(self) -> set[str]:
        """Canary Deployments that are there to stay."""
        return {name_of(item) for item in self.canaries() if not is_deleting(item)}

    # -- what users do then

    def finish(self, act: str) -> Takeover:
        """Approve whatever asks for it, or abort; until it has ended."""
        for _ in range(6):
            self.settle(seconds=30)
            if self.ended():
                break
            if act == "abort":
                self.abort()
            elif self.reason == "Paused":
                self.edit({"strategy": {"paused": None}})
            elif condition(self.find(ROLLOUT, "web"), "graylane.dev/ApprovalOpen"):
                self.approve_step()
        return self

    def approve_step(self) -> None:
        if self.step == self.steps_asked:
            self.approve()
        else:
            self.status_patch({"currentStepState": "StepReady"})

    # -- what must never happen, and what must not be left

    def _watch(self, effect: object) -> None:
        now = frozenset(self.present_harms())
        self.before &= now
        self.harms += sorted(now - self.before - set(self.harms))

    def present_harms(self) -> list[str]:
        found = list(self._route_harms() if self.provider is Provider.ISTIO else ())
        if not self._was_let_loose():
            strange = {image(pod) for pod in self._listed("web")} - self.allowed
            if self._tells_apart_by_service() and strange:
                found.append(f"the stable Service lists {', '.join(sorted(strange))}")
        led = json.dumps([self.find(INGRESS, "web-canary").get("spec"), self.find(HTTP_ROUTE, "web").get("spec")])
        if '"web-canary"' in led and not self._listed("web-canary"):
            found.append("a route leads to a Service that lists nothing")
        if strange := {image(pod) for pod in self.pods() if not _of_canary(pod)} - self.allowed:
            found.append(f"stable runs {', '.join(sorted(strange))}, which nobody approved")
        return found

    def _route_harms(self) -> Iterator[str]:
        for kind, routed in (("dyed", self.dyed()), ("plain", self.plain())):
            if routed.problem or any(item.problem for item in routed.destinations):
                yield f"a {kind} request fails"
        if not self._tells_apart_by_service():
            met = {image(pod) for item in self.plain().destinations for pod in item.pods}
            if met - self.allowed:
                yield "a plain request meets a version that nobody approved"

    def _tells_apart_by_service(self) -> bool:
        return bool(dig(self.find(ROLLOUT, "web"), "spec", "strategy", "canary", "trafficRoutings"))

    def _was_let_loose(self) -> bool:
        """OpenKruise pins the stable Service late and frees it early; nobody can take that back at once."""
        return "pod-template-hash" not in self._selector() or self._listing_lags()

    def _listing_lags(self) -> bool:
        wanted = self._selector().get("pod-template-hash")
        return any(labels_of(pod).get("pod-template-hash") != wanted for pod in self._listed("web"))

    def _selector(self) -> dict[str, str]:
        return dict(dig(self.find(SERVICE, "web"), "spec", "selector", default={}))

    def _listed(self, service: str) -> list[Obj]:
        slices = self.world.list(ENDPOINT_SLICE, NAMESPACE)
        ours = (item for item in slices if labels_of(item).get("kubernetes.io/service-name") == service)
        ready = (end for item in ours for end in item.get("endpoints") or [] if dig(end, "conditions", "ready"))
        names = {dig(end, "targetRef", "name") for end in ready}
        return [pod for pod in self.world.list(POD, NAMESPACE) if name_of(pod) in names]

    def left(self) -> list[str]:
        """What differs from before the release, but for the version."""
        found = [f"Deployment {name_of(item)}" for item in self.canaries()]
        found += [f"{item['metadata']['name']}" for item in self.world.list(BATCH_RELEASE, NAMESPACE)]
        for kind in _ROUTED:
            was = {path.partition("/")[2]: obj for path, obj in self.begun.items() if path.startswith(kind.plural)}
            now = {name_of(obj): obj for obj in self.world.list(kind, NAMESPACE)}
            for name in sorted(was.keys() | now.keys()):
                if _told(kind, was.get(name)) != _told(kind, now.get(name)):
                    found.append(f"{kind.kind} {name}: {_told(kind, now.get(name))}")
        notes = annotations_of(self.find(DEPLOYMENT, "web"))
        found += [key for key in notes if key.endswith(("/in-progressing", "/control-info"))]
        routings = {name_of(item): finalizers_of(item) for item in self.world.list(TRAFFIC_ROUTING, NAMESPACE)}
        asked = {name_of(obj) for path, obj in self.begun.items() if path.startswith("trafficroutings")}
        found += [f"TrafficRouting {name}" for name in routings.keys() - asked]
        found += [item for held in routings.values() for item in held if item.startswith("progressing.")]
        return found


def _as_stored(kind: Kind, obj: Obj) -> Obj:
    """As our API server gives it: OpenKruise stores v1beta1."""
    if not obj["apiVersion"].endswith("/v1beta1"):
        return obj
    if kind is ROLLOUT:
        return rollout_conversion.to_v1alpha1(obj)
    return batchrelease.to_v1alpha1(obj) if kind is BATCH_RELEASE else obj


def _of_canary(pod: Obj) -> bool:
    """A ReplicaSet of Deployment `web` is named after it and the hash."""
    hashed = labels_of(pod).get("pod-template-hash", "")
    return str((controller_of(pod) or {}).get("name", "")).removesuffix(f"-{hashed}") != "web"


def _told(kind: Kind, obj: Obj | None) -> object:
    """What its owner wrote. The weight of an HTTPRoute's stable backend OpenKruise forgets: there it ends as 1."""
    if obj is None:
        return None
    text = json.dumps(obj.get("spec"), sort_keys=True)
    spec = text.replace('"weight": 7', '"weight": 1') if kind is HTTP_ROUTE else text
    return spec, labels_of(obj), annotations_of(obj), owner_refs(obj), CANARY_DEPLOYMENT in labels_of(obj)
