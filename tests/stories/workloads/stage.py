"""The stage for workload stories: the real reconcilers, a World, and pods that become ready when a story says so."""

from __future__ import annotations

import re
from collections.abc import Callable

from graylane.cluster.workloads.controllers import controllers
from graylane.model.kinds import DEPLOYMENT, NODE, POD, REPLICA_SET
from graylane.model.meta import Obj, condition, dig, is_deleting, is_true, name_of
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.world import World

NS = "shop"


def rolling(surge: int | str, unavailable: int | str) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def deployment(replicas: int = 3, image: str = "v1", **spec: object) -> Obj:
    """Deployment `web` as the API server would store it."""
    return {
        "metadata": {"name": "web", "namespace": NS, "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": rolling(1, 0),
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        }
        | spec,
    }


class Stage:
    """One Deployment `web`. `held` pods do not become ready by themselves."""

    def __init__(self, start: Obj | None = None, *, hold: bool = True, stop_seconds: float = 0) -> None:
        self.world = World()
        self.hold = hold
        self.allowed: set[str] = set()
        self.sick_images: set[str] = set()
        self.kubelet = FakeKubelet(healthy=self._healthy, stop_seconds=stop_seconds)
        self.controllers = [*controllers(), self.kubelet.controller()]
        self.world.put(NODE, NODE_OBJECT)
        self.world.patch(NODE, "", "graylane", {"status": NODE_OBJECT["status"]}, "status")
        if start is not None:
            self.world.put(DEPLOYMENT, start)
        self._seen_events = 0

    # -- what happens

    def act(self, what: str) -> None:
        """Do what a story's line says, then let everything settle."""
        for pattern, verb in self.verbs().items():
            match = re.fullmatch(pattern, what)
            if match:
                verb(*match.groups())
                self.world.run(self.controllers)
                return
        raise AssertionError(f"no verb for {what!r}")

    def verbs(self) -> dict[str, Callable[..., object]]:
        return {
            r"create": lambda: None,
            r"(\d+) ready": lambda count: self.ready(int(count)),
            r"all ready": self.all_ready,
            r"image (\S+)": self.image,
            r"scale (\d+)": lambda count: self.spec({"replicas": int(count)}),
            r"pause": lambda: self.spec({"paused": True}),
            r"resume": lambda: self.spec({"paused": None}),
            r"(\S+) is broken": self.sick_images.add,
            r"(\d+) seconds?": lambda count: self.pass_time(int(count)),
            r"a pod is deleted": self.delete_pod,
            r"undo": self.undo,
        }

    def spec(self, patch: Obj) -> None:
        self.world.patch(DEPLOYMENT, NS, "web", {"spec": patch})

    def image(self, image: str) -> None:
        containers = [{"name": "app", "image": image}]
        self.spec({"template": {"spec": {"containers": containers}}})

    def ready(self, count: int) -> None:
        waiting = [name_of(pod) for pod in self.pods() if not is_true(pod, "Ready") and self._may(pod)]
        self.allowed |= set(waiting[:count])

    def all_ready(self) -> None:
        self.hold = False
        self.world.run(self.controllers)
        self.hold = True
        self.allowed = {name_of(pod) for pod in self.pods()}

    def pass_time(self, seconds: int) -> None:
        self.world.run(self.controllers, seconds=seconds)
        self.world.clock.advance(seconds)

    def delete_pod(self) -> None:
        self.world.delete(POD, NS, name_of(self.pods()[0]))

    def undo(self) -> None:
        """What `kubectl rollout undo` does: the template of the revision before becomes the template."""
        previous = sorted(self.sets(), key=revision)[-2]
        self.world.put(DEPLOYMENT, self.deployment() | {"spec": self._template_of(previous)})

    def _template_of(self, replica_set: Obj) -> Obj:
        template = replica_set["spec"]["template"]
        labels = {k: v for k, v in template["metadata"]["labels"].items() if k != "pod-template-hash"}
        return self.deployment()["spec"] | {"template": template | {"metadata": {"labels": labels}}}

    # -- what is seen

    def deployment(self) -> Obj:
        found = self.world.get(DEPLOYMENT, NS, "web")
        assert found is not None
        return found

    def sets(self) -> list[Obj]:
        return sorted(self.world.list(REPLICA_SET, NS), key=revision)

    def pods(self) -> list[Obj]:
        return [pod for pod in self.world.list(POD, NS) if not is_deleting(pod)]

    def columns(self) -> dict[str, Callable[[], object]]:
        return {
            "sets": lambda: " ".join(map(_set, self.sets())),
            "replicas": lambda: _counts(self.deployment()),
            "progressing": lambda: reason(self.deployment(), "Progressing"),
            "available": lambda: (condition(self.deployment(), "Available") or {}).get("status", ""),
            "revisions": lambda: " ".join(f"{image(rs)}:{revision(rs)}" for rs in self.sets()),
            "says": self._new_events,
            "pods": lambda: len(self.world.list(POD, NS)),
        }

    def _new_events(self) -> str:
        fresh = [event for event in self.world.events[self._seen_events :] if event.reason == "ScalingReplicaSet"]
        self._seen_events = len(self.world.events)
        return ", ".join(self._shortly(event.message) for event in fresh)

    def _shortly(self, message: str) -> str:
        """`v1 3→2` for "Scaled down replica set web-… from 3 to 2"."""
        match = re.fullmatch(r"Scaled (up|down) replica set (\S+) from (\d+) to (\d+)", message)
        assert match is not None, message
        images = {name_of(rs): image(rs) for rs in self.world.list(REPLICA_SET, NS)}
        return f"{images[match[2]]} {match[3]}→{match[4]}"

    def _healthy(self, pod: Obj) -> bool:
        return self._may(pod) and (not self.hold or name_of(pod) in self.allowed)

    def _may(self, pod: Obj) -> bool:
        return pod["spec"]["containers"][0]["image"] not in self.sick_images


def revision(replica_set: Obj) -> int:
    return int(replica_set["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def image(replica_set: Obj) -> str:
    return str(replica_set["spec"]["template"]["spec"]["containers"][0]["image"])


def reason(obj: Obj, kind: str) -> str:
    entry = condition(obj, kind)
    return str(entry["reason"]) if entry else ""


def _set(replica_set: Obj) -> str:
    """`v1:2/3` is two available of three wanted."""
    available = dig(replica_set, "status", "availableReplicas", default=0)
    return f"{image(replica_set)}:{available}/{replica_set['spec']['replicas']}"


def _counts(deployment: Obj) -> str:
    """What `kubectl get deployment` prints: ready/desired, up-to-date, available."""
    status = deployment.get("status", {})
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    return f"{ready}/{deployment['spec']['replicas']} {updated} {status.get('availableReplicas', 0)}"
