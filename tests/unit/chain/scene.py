"""The shipped scenario as objects, before and during a release, for tests of pure views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from graylane.chain.observed import KINDS, observed
from graylane.kit.cache import View
from graylane.model.kinds import Kind
from graylane.model.meta import Obj

_EXAMPLES = Path(__file__).parents[3] / "examples" / "end-to-end-canary"
_BY_NAME = {kind.kind: kind for kind in KINDS}
MESSAGE = "Rollout is in step(1/1), and you need manually confirm to enter the next step"


class Scene:
    """A mutable bag of objects; `observed()` freezes it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Obj] = {}

    def put(self, obj: Obj) -> Obj:
        obj["metadata"].setdefault("namespace", "default")
        self.objects[obj["kind"], obj["metadata"]["name"]] = obj
        return obj

    def get(self, kind: str, name: str) -> Obj:
        return self.objects[kind, name]

    def observed(self) -> View:
        lists: dict[Kind, list[Obj]] = {kind: [] for kind in KINDS}
        for (kind, _), obj in self.objects.items():
            lists[_BY_NAME[kind]].append(obj)
        return observed(lists)

    def confirm(self, *names: str) -> None:
        for name in names:
            obj = self.get("VirtualService" if name.startswith("vs") else "DestinationRule", name)
            obj["metadata"]["generation"] = 2
            obj["status"] = {
                "observedGeneration": 2,
                "conditions": [{"type": "Reconciled", "status": "True", "message": "3/3 proxies up to date"}],
            }


def base() -> Scene:
    """01–06 applied, one ready base pod each, Rollouts and TrafficRoutings healthy."""
    scene = Scene()
    for path in sorted(_EXAMPLES.glob("0[1-6]*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            scene.put(document)
    for app in ("mocka", "mockb"):
        deployment = scene.get("Deployment", f"{app}-base")
        run(scene, app, deployment, "10.0.0." + ("1" if app == "mocka" else "2"))
    for rollout in ("rollouts-a", "rollouts-b"):
        scene.get("Rollout", rollout)["status"] = {"phase": "Healthy", "message": "rollout is healthy"}
    scene.confirm("vs-mocka", "vs-mockb", "dr-mocka", "dr-mockb")
    return scene


def run(scene: Scene, app: str, deployment: Obj, ip: str, *, ready: bool = True) -> Obj:
    """A ReplicaSet, one pod and its endpoint for a Deployment."""
    name = deployment["metadata"]["name"]
    template = deployment["spec"]["template"]
    replica_set = scene.put(
        {
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name}-rs",
                "labels": {"pod-template-hash": "5d4f"},
                "ownerReferences": [_owner("Deployment", name)],
            },
            "spec": {"template": template},
            "status": {"replicas": 1},
        }
    )
    pod = scene.put(
        {
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-pod",
                "labels": dict(template["metadata"]["labels"]),
                "ownerReferences": [_owner("ReplicaSet", replica_set["metadata"]["name"])],
            },
            "spec": template["spec"],
            "status": {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
        }
    )
    endpoint = {"addresses": [ip], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": f"{name}-pod"}}
    scene.put(
        {
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-slice", "labels": {"kubernetes.io/service-name": app}},
            "ports": [{"name": "http", "port": 8000}],
            "endpoints": [endpoint],
        }
    )
    return pod


def start_canary(scene: Scene, app: str, rollout: str, *, ready: bool = True) -> Obj:
    """A canary Deployment with one pod, the Rollout paused; routes are not touched."""
    stable = scene.get("Deployment", f"{app}-base")
    template = _with_version(stable["spec"]["template"], "canary")
    stable["spec"] = stable["spec"] | {"paused": True, "template": template}
    labels = template["metadata"]["labels"] | {"istio.service.tag": "gray", "version": "canary"}
    template = template | {"metadata": {"labels": labels}}
    canary = scene.put(
        {
            "kind": "Deployment",
            "metadata": {
                "name": f"{app}-base-x7k2p",
                "labels": {"rollouts.kruise.io/canary-deployment": f"{app}-base"},
            },
            "spec": {"replicas": 1, "template": template},
        }
    )
    scene.get("Rollout", rollout)["status"] = {
        "phase": "Progressing",
        "message": MESSAGE,
        "conditions": [{"type": "Progressing", "status": "True", "reason": "InRolling"}],
        "canaryStatus": {
            "currentStepIndex": 1,
            "currentStepState": "StepPaused",
            "canaryRevision": "c4n",
            "lastUpdateTime": "2030-01-01T00:00:00Z",
        },
    }
    return run(scene, app, canary, "10.0.1." + ("1" if app == "mocka" else "2"), ready=ready)


def open_lane(scene: Scene, app: str) -> None:
    """What the TrafficRouting controller writes into the VirtualService and the DestinationRule."""
    virtual_service = scene.get("VirtualService", f"vs-{app}")
    match = [{"headers": {"my-request-id": {"exact": "canary"}}}]
    rule = {"match": match, "route": [{"destination": {"host": app, "subset": "canary"}}]}
    virtual_service["spec"]["http"].insert(0, rule)
    subset = {"name": "canary", "labels": {"istio.service.tag": "gray"}}
    scene.get("DestinationRule", f"dr-{app}")["spec"]["subsets"].append(subset)


def release(scene: Scene, app: str, rollout: str) -> None:
    start_canary(scene, app, rollout)
    open_lane(scene, app)


def _owner(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}


def _with_version(template: Obj, version: str) -> Obj:
    container = template["spec"]["containers"][0]
    env = [entry | {"value": version} if entry["name"] == "version" else entry for entry in container["env"]]
    return template | {"spec": {"containers": [container | {"env": env}]}}
