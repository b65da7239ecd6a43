"""A stage for workloads other than Deployments: one object `web`, its pods by name, held back until a story lets go."""

from __future__ import annotations

import re
from collections.abc import Callable

from graylane.cluster.workloads.controllers import controllers
from graylane.kit import Controller, Outcome, View
from graylane.model.kinds import NODE, POD, Kind
from graylane.model.meta import Key, Obj, dig, is_deleting, is_true, name_of, uid_of
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.world import World

from .stage import NS

Verbs = dict[str, Callable[..., object]]


def template(image: str = "v1") -> Obj:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image}]}}


class Cast:
    """`held` pods do not become ready; pods of `sick` images never do. The garbage collector is the World's."""

    kind: Kind

    def __init__(self, start: Obj, *, hold: bool = False, stop_seconds: float = 0) -> None:
        self.world = World()
        self.hold, self.sick = hold, set[str]()
        self.allowed: set[str] = set()
        kubelet = FakeKubelet(healthy=self._healthy, stop_seconds=stop_seconds)
        self.controllers = [*controllers(), kubelet.controller()]
        self.world.put(NODE, NODE_OBJECT)
        self.world.patch(NODE, "", "graylane", {"status": NODE_OBJECT["status"]}, "status")
        self.world.put(self.kind, start)
        self._seen_events = 0

    def act(self, what: str) -> None:
        """Do what a story's line says, let everything settle, and see that at rest nothing more is done."""
        for pattern, verb in (self._common() | self.verbs()).items():
            match = re.fullmatch(pattern, what)
            if match:
                verb(*match.groups())
                return self.settle()
        raise AssertionError(f"no verb for {what!r}")

    def settle(self) -> None:
        self.world.run(self.controllers)
        writes = self.world.writes
        self.world.run(self.controllers)
        assert self.world.writes == writes, "at rest, one more reconcile changes nothing"

    def _common(self) -> Verbs:
        return {
            r"create": lambda: None,
            r"all ready": self.all_ready,
            r"(\S+) ready": self.ready,
            r"image (\S+)": self.image,
            r"(\S+) is sick": self.sick.add,
            r"(\d+) seconds?": lambda count: self.pass_time(int(count)),
            r"delete (\S+)": lambda name: self.world.delete(POD, NS, name),
            r"(\S+) (Failed|Succeeded)": self.finish,
        }

    def verbs(self) -> Verbs:
        return {}

    def spec(self, patch: Obj) -> None:
        self.world.patch(self.kind, NS, "web", {"spec": patch})

    def image(self, image: str) -> None:
        self.spec({"template": {"spec": {"containers": [{"name": "app", "image": image}]}}})

    def ready(self, name: str) -> None:
        """This very pod; its successor of the same name is held back again."""
        pod = self.world.get(POD, NS, name)
        assert pod is not None, f"{name} is not there"
        self.allowed.add(uid_of(pod))

    def all_ready(self) -> None:
        before, self.hold = self.hold, False
        self.world.run(self.controllers)
        self.hold = before
        self.allowed = {uid_of(pod) for pod in self.pods()}

    def pass_time(self, seconds: int) -> None:
        until = self.world.now().timestamp() + seconds
        self.world.run(self.controllers, seconds=seconds)
        self.world.clock.advance(until - self.world.now().timestamp())

    def finish(self, name: str, phase: str) -> None:
        conditions = [{"type": "Ready", "status": "False"}]
        self.world.patch(POD, NS, name, {"status": {"phase": phase, "conditions": conditions}}, "status")

    def seen(self) -> Obj:
        found = self.world.get(self.kind, NS, "web")
        assert found is not None
        return found

    def status(self, name: str) -> object:
        return dig(self.seen(), "status", name, default=0)

    def pods(self) -> list[Obj]:
        return self.world.list(POD, NS)

    def shown(self) -> str:
        """`web-0:v1` is ready, `web-0:v1-` is not, `web-0:v1~` is stopping."""
        return " ".join(f"{name_of(pod)}:{image_of(pod)}{_mark(pod)}" for pod in self.pods())

    def says(self) -> str:
        fresh = self.world.events[self._seen_events :]
        self._seen_events = len(self.world.events)
        return ", ".join(event.reason for event in fresh if event.obj["metadata"]["name"] == "web")

    def look(self, controller: Controller) -> Outcome:
        """One reconcile of `web`, without its effects."""
        view: View = self.world.view()
        outcome = controller.reconcile(view, Key(NS, "web"), self.world.now())
        assert isinstance(outcome, Outcome)
        return outcome

    def _healthy(self, pod: Obj) -> bool:
        return image_of(pod) not in self.sick and (not self.hold or uid_of(pod) in self.allowed)


def image_of(pod: Obj) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _mark(pod: Obj) -> str:
    if is_deleting(pod):
        return "~"
    return "" if is_true(pod, "Ready") else "-"
