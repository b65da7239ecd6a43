"""The shipped scenario as lists of objects, before and during a release, for tests of the proof."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from graylane.mesh.explain.reading import Lists
from graylane.mesh.prove.proof import Proof
from graylane.mesh.prove.walk import prove_lists
from graylane.model import kinds
from graylane.model.kinds import Kind
from graylane.model.meta import Obj
from graylane.model.rollout import CANARY_DEPLOYMENT

EXAMPLES = Path(__file__).parents[3] / "examples" / "end-to-end-canary"
_OTHER = ("gateway.networking.k8s.io",)  # has a kind Gateway too
KINDS = {kind.kind: kind for kind in vars(kinds).values() if isinstance(kind, Kind) and kind.group not in _OTHER}
LANE = {"headers": {"my-request-id": {"exact": "canary"}}}


class Scene:
    """A mutable bag of objects."""

    def __init__(self, *texts: str) -> None:
        self.objects: dict[tuple[str, str], Obj] = {}
        for text in texts:
            self.apply(text)

    def apply(self, text: str) -> None:
        for obj in yaml.safe_load_all(text):
            self.put(obj)

    def put(self, obj: Obj) -> Obj:
        obj["metadata"].setdefault("namespace", "default")
        self.objects[obj["kind"], obj["metadata"]["name"]] = obj
        return obj

    def get(self, kind: str, name: str) -> Any:
        return self.objects[kind, name]

    def copy(self) -> Scene:
        return copy.deepcopy(self)

    def lists(self) -> Lists:
        found: dict[Kind, list[Obj]] = {}
        for (kind, _), obj in self.objects.items():
            found.setdefault(KINDS[kind], []).append(obj)
        return found

    def prove(self) -> Proof:
        """Of the only lane there is."""
        (proof,) = prove_lists(self.lists())
        return proof


def scenario(*released: str) -> Scene:
    """01 to 06 of the shipped scenario, with canaries of `released` and their routes."""
    scene = Scene(*(path.read_text() for path in sorted(EXAMPLES.glob("0[1-6]*.yaml"))))
    for app in released:
        release(scene, app)
    return scene


def release(scene: Scene, app: str) -> None:
    """What the release controllers make of a canary."""
    canary(scene, app)
    subsets = scene.get("DestinationRule", f"dr-{app}")["spec"]["subsets"]
    subsets.append({"name": "canary", "labels": {"istio.service.tag": "gray"}})
    rule = {"match": [copy.deepcopy(LANE)], "route": [{"destination": {"host": app, "subset": "canary"}}]}
    scene.get("VirtualService", f"vs-{app}")["spec"]["http"].insert(0, rule)


def canary(scene: Scene, app: str) -> None:
    deployment = copy.deepcopy(scene.get("Deployment", f"{app}-base"))
    deployment["metadata"] = {"name": f"{app}-canary", "labels": {CANARY_DEPLOYMENT: f"{app}-base"}}
    labels = {"app": app, "version": "canary", "istio.service.tag": "gray"}
    deployment["spec"]["template"]["metadata"]["labels"] = labels
    scene.put(deployment)
