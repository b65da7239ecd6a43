"""Acts out a release that OpenKruise's own managers were watched at, and tells what is there in the same words.

Pure but for its world. In: a golden of `tests/golden/openkruise/`. Out: at each of its points, what users and tools
see, with the names, times and hashes that differ from run to run replaced.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graylane.model.kinds import (
    BATCH_RELEASE,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    DESTINATION_RULE,
    HTTP_ROUTE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Obj, annotations_of, controller_of, dig, is_deleting, is_true, labels_of, name_of
from graylane.model.patches import merge_patch
from graylane.model.rollout import CANARY_DEPLOYMENT
from graylane.testing.joint_stage import JointStage
from graylane.testing.release_stage import NAMESPACE
from graylane.trafficrouting.providers.ingress import INGRESS
from graylane.trafficrouting.scripts import config_map_key

WIDGET = Kind("example.io", "v1", "Widget", "widgets")
KINDS = (
    *(SERVICE, DEPLOYMENT, ROLLOUT, BATCH_RELEASE, TRAFFIC_ROUTING),
    *(VIRTUAL_SERVICE, DESTINATION_RULE, INGRESS, HTTP_ROUTE, WIDGET),
)
ROUTED = frozenset({VIRTUAL_SERVICE, DESTINATION_RULE, INGRESS, HTTP_ROUTE, WIDGET})
SCRIPT = """
obj.data.spec.routes[2] = {to = obj.canaryService, weight = obj.canaryWeight}
obj.data.spec.routes[1].weight = obj.stableWeight
obj.data.labels = {lane = "on"}
return obj.data
"""
_PATIENCE = 8  # seconds that may pass by themselves: less than any pause of a golden lasts
_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
_UNTOLD = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")
_TIMES = frozenset({"lastUpdateTime", "lastTransitionTime", "batchReadyTime", "since"})
_HERE = re.compile(rf"(?<![\w.]){NAMESPACE}(?![\w.])")
_REVISION = re.compile(r'"(canaryRevision|updateRevision)": "([^"<]+)"')


@dataclass
class Retold(JointStage):
    """The golden's objects in place of the stage's own; pods and ReplicaSets by the embedded cluster's controllers."""

    objects: list[Obj] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    real: bool = True

    def manifests(self) -> Iterator[tuple[Kind, Obj]]:
        yield from (_definition(kind) for kind in (HTTP_ROUTE, WIDGET))
        key = config_map_key()
        data = {f"lua.traffic.routing.{WIDGET.kind}.{WIDGET.group}": SCRIPT}
        yield CONFIG_MAP, {"metadata": {"namespace": key.namespace, "name": key.name}, "data": data}
        for obj in self.objects:
            yield _kind(obj["kind"]), _defaulted(obj)

    def begin(self) -> Retold:
        super().begin()
        self.world.after_write = None  # what may be met is other suites' matter
        return self

    def push(self, version: str, name: str = "web") -> Retold:
        container = dig(self.get(DEPLOYMENT, name), "spec", "template", "spec", "containers")[0]
        containers = [container | {"image": version}]
        self.edit_deployment({"spec": {"template": {"spec": {"containers": containers}}}}, name)
        return self

    def move(self, what: str, how: Any) -> None:
        match what:
            case "push":
                self.push(how)
            case "approve":
                self.approve(how)
            case "patch" if how["kind"] == DEPLOYMENT.kind:
                self.edit_deployment(how["with"], how["name"])
            case "patch":
                self.world.patch(_kind(how["kind"]), NAMESPACE, how["name"], how["with"])
            case "wait":
                self.settle(seconds=how)
            case _:
                raise AssertionError(f"no move is called {what}")
        self.settle(seconds=_PATIENCE)

    # -- what is there

    def look(self) -> dict[str, Obj]:
        self._learn()
        found = {
            f"{kind.kind} {name_of(obj)}": _without(_cut(kind, obj))
            for kind in KINDS
            for obj in self.world.list(kind, NAMESPACE)
        }
        found["Pods"] = dict(Counter(_pod(pod) for pod in self.world.list(POD, NAMESPACE) if not is_deleting(pod)))
        text = json.dumps(found, ensure_ascii=False)
        for word, said in self.words.items():
            text = text.replace(word, said)
        return json.loads(_REVISION.sub(self._revision, _HERE.sub("NS", text)))  # type: ignore[no-any-return]

    def _learn(self) -> None:
        """The words for this run's names: hashes by what they are hashes of."""
        for owned in self.world.list(REPLICA_SET, NAMESPACE):
            template = owned["spec"]["template"]
            gray = "+gray" if labels_of(template).get("version") == "canary" else ""
            said = f"<rs {template['spec']['containers'][0]['image']}{gray}>"
            self.words[labels_of(owned)["pod-template-hash"]] = said
        for obj in self.world.list(DEPLOYMENT, NAMESPACE):
            if stable := labels_of(obj).get(CANARY_DEPLOYMENT):
                self.words = {name_of(obj): f"{stable}-<{_image(obj['spec']['template'])}>"} | self.words

    def _revision(self, found: re.Match[str]) -> str:
        said = self.revisions.setdefault(found[2], f"<revision {len(self.revisions) + 1}>")
        return f'"{found[1]}": "{said}"'


def _definition(kind: Kind) -> tuple[Kind, Obj]:
    names = {"kind": kind.kind, "plural": kind.plural}
    versions = [{"name": kind.version, "served": True, "storage": True}]
    spec = {"group": kind.group, "names": names, "versions": versions}
    return CRD, {"metadata": {"name": f"{kind.plural}.{kind.group}"}, "spec": spec}


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.kind == name)


def _defaulted(obj: Obj) -> Obj:
    """What an API server would fill in, as far as it is looked at."""
    obj = merge_patch(copy.deepcopy(obj), {"metadata": {"namespace": NAMESPACE}})
    if obj["kind"] == DEPLOYMENT.kind:
        obj["spec"].setdefault("strategy", {"type": "RollingUpdate"})
    if obj["kind"] == HTTP_ROUTE.kind:
        gateway = {"group": HTTP_ROUTE.group, "kind": "Gateway"}
        obj["spec"]["parentRefs"] = [gateway | each for each in obj["spec"]["parentRefs"]]
        for rule in obj["spec"]["rules"]:
            rule["backendRefs"] = [{"group": "", "kind": "Service", "weight": 1} | each for each in rule["backendRefs"]]
    return obj


def _image(template: Obj) -> str:
    return str(template["spec"]["containers"][0]["image"])


def _pod(pod: Obj) -> str:
    labels = {key: text for key, text in labels_of(pod).items() if key != "pod-template-hash"}
    ready = "ready" if is_true(pod, "Ready") else "unready"
    return f"{_image(pod)} {json.dumps(labels, sort_keys=True)} {json.dumps(annotations_of(pod))} {ready}"


def _cut(kind: Kind, obj: Obj) -> Obj:
    """What the golden holds of an object of this kind."""
    metadata = {name: copy.deepcopy(obj["metadata"][name]) for name in _METADATA if obj["metadata"].get(name)}
    for name in _UNTOLD:
        metadata.get("annotations", {}).pop(name, None)
    if owner := controller_of(obj):
        metadata["ownerReferences"] = [{name: value for name, value in owner.items() if name != "uid"}]
    if kind == ROLLOUT:
        metadata.pop("annotations", None)
    if kind == SERVICE:
        metadata.pop("ownerReferences", None)
        return {"metadata": metadata, "spec": {"selector": obj["spec"]["selector"]}}
    if kind == DEPLOYMENT:
        spec, template = obj["spec"], obj["spec"]["template"]
        told = {name: spec[name] for name in ("replicas", "paused") if name in spec}
        return {"metadata": metadata, "spec": told | {"template": template["metadata"], "image": _image(template)}}
    parts = {"spec"} if kind in ROUTED else {"status"} if kind in (ROLLOUT, TRAFFIC_ROUTING) else {"spec", "status"}
    return {"metadata": metadata} | {part: obj.get(part, {}) for part in sorted(parts)}


def _without(value: Any) -> Any:
    """Without times, generations, hashes of plans, and without what is empty."""
    if isinstance(value, list):
        return [_without(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(name, _without(inner)) for name, inner in value.items() if name not in _TIMES}
    return {name: inner for name, inner in plain.items() if inner not in ({}, [], None, "")}


def _plain(name: str, value: Any) -> Any:
    if name in ("rolloutHash", "observedReleasePlanHash", "rollouts.kruise.io/hash"):
        return "HASH" if value else value
    if name in ("observedGeneration", "observedWorkloadGeneration"):
        return "N" if value else "0"
    return value
