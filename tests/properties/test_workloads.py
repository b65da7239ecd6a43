"""Whatever part of what a workload controller wants lands, in whatever order: it comes out right."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.cluster.workloads.controllers import controllers
from graylane.cluster.workloads.pods import is_active, is_ready
from graylane.errors import ApiError, Conflict
from graylane.kit import Cache, Controller, View
from graylane.model.kinds import DEPLOYMENT, ENDPOINT_SLICE, JOB, NODE, POD, REPLICA_SET, SERVICE, Kind
from graylane.model.meta import Obj, finalizers_of, is_true, key_of, name_of
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.world import World

KINDS = tuple({kind for c in controllers() for kind in (c.primary, *c.watches, *c.extra_caches)})
NS = "shop"


def deployment(replicas: int, image: str, surge: int, unavailable: int, kind: str = "RollingUpdate") -> Obj:
    strategy: Obj = {"type": kind}
    if kind == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "web", "namespace": NS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": strategy,
            "progressDeadlineSeconds": 600,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}},
        },
    }


class Chaos:
    """A world whose controllers lose and shuffle their writes and, if `stale`, see old pictures of it."""

    def __init__(self, dice: random.Random, start: Obj, *, stale: bool) -> None:
        self.dice = dice
        self.stale = stale
        self.world = World()
        self.kubelet = FakeKubelet().controller()
        self.ours = controllers()
        self.world.put(NODE, NODE_OBJECT)
        self.world.patch(NODE, "", "graylane", {"status": NODE_OBJECT["status"]}, "status")
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        self.world.put(SERVICE, {"metadata": {"name": "web", "namespace": NS}, "spec": service})
        self.world.put(DEPLOYMENT, start)
        self.pictures: list[View] = []

    def step(self) -> None:
        """One controller looks at one object and some of what it wants is done."""
        self.pictures = [*self.pictures[-4:], self.picture()]
        controller = self.dice.choice([*self.ours, self.kubelet])
        self.once(controller, self.dice.choice(self.pictures) if self.stale else self.pictures[-1])

    def once(self, controller: Controller, view: View) -> None:
        found = view.list(controller.primary)
        if not found:
            return
        obj = self.dice.choice(found)
        outcome = controller.reconcile(view, key_of(obj), self.world.now())
        wanted = list(outcome.effects)
        if controller is not self.kubelet:
            wanted = self.dice.sample(wanted, self.dice.randint(0, len(wanted)))
        for effect in wanted:
            try:
                if self.dice.random() < 0.1:
                    raise Conflict("somebody else was faster")
                self.world.apply([effect])
            except ApiError:
                continue

    def picture(self) -> View:
        return View({kind: self._copy(kind) for kind in KINDS})

    def _copy(self, kind: Kind) -> Cache:
        cache = Cache()
        for obj in self.world.list(kind):
            cache.put(obj)
        return cache

    def calm(self) -> None:
        """From now on everything lands, in order."""
        self.world.run([*self.ours, self.kubelet], seconds=30)

    def pods(self) -> list[Obj]:
        return [pod for pod in self.world.list(POD) if is_active(pod)]

    def wanted(self) -> int:
        return sum(rs["spec"]["replicas"] for rs in self.world.list(REPLICA_SET))

    def available(self) -> int:
        return sum(map(is_ready, self.pods()))

    def by_image(self) -> Counter[str]:
        return Counter(_image(pod) for pod in self.pods())

    def change(self, spec: Obj) -> None:
        self.world.patch(DEPLOYMENT, NS, "web", {"spec": spec})


def _image(pod: Obj) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _template(image: str) -> Obj:
    return {"template": {"spec": {"containers": [{"image": image}]}}}


def disturb(chaos: Chaos) -> None:
    """Something a user might do in the middle."""
    dice = chaos.dice
    match dice.randint(0, 4):
        case 0:
            chaos.change({"replicas": dice.randint(0, 6)})
        case 1:
            chaos.change(_template(dice.choice(["v1", "v2", "v3"])))
        case 2:
            chaos.change({"paused": dice.choice([True, None])})
        case 3 if chaos.pods():
            chaos.world.delete(POD, NS, name_of(dice.choice(chaos.pods())))
        case _:
            chaos.world.clock.advance(dice.randint(0, 20))


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
@settings(max_examples=25, deadline=None)
@given(dice=st.randoms(use_true_random=False))
def test_lost_and_shuffled_writes_and_stale_views_all_end_in_the_same_state(strategy: str, dice: random.Random) -> None:
    chaos = Chaos(dice, deployment(3, "v1", 1, 1, strategy), stale=True)
    for _ in range(dice.randint(10, 120)):
        chaos.step()
        if dice.random() < 0.1:
            disturb(chaos)
    chaos.change({"replicas": 4, "paused": None} | _template("v2"))
    chaos.calm()
    assert chaos.by_image() == {"v2": 4}
    found = chaos.world.get(DEPLOYMENT, NS, "web")
    assert found is not None
    counts = {name: value for name, value in found["status"].items() if name.endswith("eplicas")}
    assert counts == dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 4)
    assert {c["type"]: (c["status"], c["reason"]) for c in found["status"]["conditions"]} == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    [listed] = chaos.world.list(ENDPOINT_SLICE)
    assert {e["targetRef"]["name"] for e in listed["endpoints"]} == {name_of(pod) for pod in chaos.pods()}
    writes = chaos.world.writes
    chaos.calm()
    assert chaos.world.writes == writes, "at rest, one more reconcile changes nothing"


@settings(max_examples=40, deadline=None)
@given(
    dice=st.randoms(use_true_random=False),
    replicas=st.integers(1, 5),
    moves=st.sampled_from([(1, 0), (0, 1), (2, 1), (1, 2), (3, 0), (0, 3)]),
)
def test_no_lost_write_makes_a_rollout_exceed_its_surge_or_drop_below_its_minimum(
    dice: random.Random, replicas: int, moves: tuple[int, int]
) -> None:
    surge, unavailable = moves
    chaos = Chaos(dice, deployment(replicas, "v1", surge, unavailable), stale=False)
    chaos.calm()
    chaos.change(_template("v2"))
    lowest, most = chaos.available(), chaos.wanted()
    for _ in range(dice.randint(20, 200)):
        chaos.step()
        lowest, most = min(lowest, chaos.available()), max(most, chaos.wanted())
    assert lowest >= replicas - min(unavailable, replicas)
    assert most <= replicas + surge
    chaos.calm()
    assert chaos.by_image() == {"v2": replicas}


class Shift(Chaos):
    """A Job under the same fate; its writes are cut off anywhere, but keep their order as `kit.apply` keeps it."""

    def __init__(self, dice: random.Random, start: Obj, *, stale: bool) -> None:
        super().__init__(dice, start, stale=stale)
        self.ends: Counter[str] = Counter()

    def once(self, controller: Controller, view: View) -> None:
        for obj in view.list(controller.primary):
            wanted = list(controller.reconcile(view, key_of(obj), self.world.now()).effects)
            for effect in wanted[: self.dice.randint(0, len(wanted))]:
                try:
                    self.world.apply([effect])
                except ApiError:
                    break

    def end_one(self) -> None:
        running = [pod for pod in self.pods() if is_ready(pod)]
        if running:
            pod = self.dice.choice(running)
            self.end(pod, self.dice.choice(["Succeeded", "Succeeded", "Failed"]))
            if self.dice.random() < 0.5:
                self.world.delete(POD, NS, name_of(pod), grace_seconds=0)

    def end(self, pod: Obj, phase: str) -> None:
        self.ends[phase] += 1
        self.world.patch(POD, NS, name_of(pod), {"status": {"phase": phase, "conditions": []}}, "status")


def job(completions: int, parallelism: int, mode: str) -> Obj:
    labels = {"batch.kubernetes.io/job-name": "batch"}
    spec = {
        "completions": completions,
        "parallelism": parallelism,
        "completionMode": mode.removesuffix("PerIndex"),
        "backoffLimit": 1000,
        **({"backoffLimitPerIndex": 1000} if mode.endswith("PerIndex") else {}),
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"image": "v1"}]}},
    }
    return {"metadata": {"name": "batch", "namespace": NS}, "spec": spec}


@pytest.mark.parametrize("mode", ["NonIndexed", "Indexed", "IndexedPerIndex"])
@settings(max_examples=25, deadline=None)
@given(dice=st.randoms(use_true_random=False), completions=st.integers(1, 5), parallelism=st.integers(1, 3))
def test_a_job_counts_every_end_once_whatever_is_lost_or_deleted(
    mode: str, dice: random.Random, completions: int, parallelism: int
) -> None:
    shift = Shift(dice, deployment(0, "v1", 1, 0), stale=False)
    shift.world.put(JOB, job(completions, parallelism, mode))
    for _ in range(dice.randint(10, 150)):
        shift.step()
        if dice.random() < 0.3:
            shift.end_one()
        if dice.random() < 0.2:
            shift.world.clock.advance(dice.randint(0, 60))
    for _ in range(completions + 1):
        shift.world.run([*shift.ours, shift.kubelet], seconds=700)
        for pod in shift.pods():
            shift.end(pod, "Succeeded")
    shift.world.run([*shift.ours, shift.kubelet], seconds=700)
    found = shift.world.get(JOB, NS, "batch")
    assert found is not None
    assert is_true(found, "Complete")
    assert found["status"]["succeeded"] == shift.ends["Succeeded"] == completions
    assert found["status"].get("failed", 0) == shift.ends["Failed"]
    assert found["status"]["uncountedTerminatedPods"] == {}
    assert [pod for pod in shift.world.list(POD) if finalizers_of(pod)] == [], "none is kept"
