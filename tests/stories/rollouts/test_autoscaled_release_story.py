"""A HorizontalPodAutoscaler on the Deployment, during a release: stable moves, the canary follows, nobody is harmed."""

from __future__ import annotations

import pytest

from graylane.cluster.workloads.autoscaling.controller import Autoscaler
from graylane.cluster.workloads.controllers import controllers as workload_controllers
from graylane.kit.loop import Controller
from graylane.model.kinds import HORIZONTAL_POD_AUTOSCALER, NODE, TRAFFIC_ROUTING
from graylane.model.meta import Obj, name_of
from graylane.rollouts.controller import controllers
from graylane.testing.load import Load
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.release_stage import NAMESPACE, ReleaseStage, image
from graylane.testing.releases import routing

HALF = ({"replicas": "50%", "pause": {}},)
AMPLE: Obj = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "50m"}},
}


class Autoscaled(ReleaseStage):
    """Each pod is to use 50m of CPU. Whatever is asked of `web` is shared by all its ready pods, canaries too."""

    load: Load

    def restart(self) -> None:
        """Everybody dies and comes back; of the autoscaler's recommendations nobody remembers anything."""
        if not hasattr(self, "load"):
            self.load = Load(self.world)
        around = [*workload_controllers(), FakeKubelet(start_seconds=1, stop_seconds=1).controller()]
        scaling = [Autoscaler(self.load.ask).controller(), Controller("routing", TRAFFIC_ROUTING, routing)]
        self.actors = (*controllers(), *around, *scaling)

    def begin(self) -> Autoscaled:
        self.world.put(NODE, NODE_OBJECT)
        super().begin()
        self.pass_time(600)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 6, "metrics": [AMPLE]}
        self.world.put(HORIZONTAL_POD_AUTOSCALER, {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": spec})
        return self

    def busy(self, milli: int, seconds: int = 120) -> str:
        """The row once the autoscaler has had time to follow."""
        self.load.cpu = milli
        self.pass_time(seconds)
        return self.sizes()

    def pass_time(self, seconds: int) -> None:
        until = self.world.now().timestamp() + seconds
        self.settle(seconds=seconds)
        self.world.clock.advance(until - self.world.now().timestamp())

    def sizes(self) -> str:
        """`web 4×v1 | canary 2×v2`: how many pods there are, by whose they are and what they run."""
        canary = " ".join(f"{len(list(self._pods_of([name_of(item)])))}×{image(item)}" for item in self.canaries())
        stable: dict[str, int] = {}
        for pod in self._stable_pods():
            stable[image(pod)] = stable.get(image(pod), 0) + 1
        shown = "+".join(f"{count}×{version}" for version, count in sorted(stable.items()))
        return f"web {shown} | canary {canary or 'none'}"


@pytest.fixture
def paused() -> Autoscaled:
    stage = Autoscaled(2, HALF)
    stage.load.cpu = 100
    stage.begin().push("v2").settle(seconds=60)
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    return stage


def test_it_scales_a_paused_stable_and_the_canary_follows_its_share_upwards(paused: Autoscaled) -> None:
    assert paused.busy(150) == "web 2×v1 | canary 1×v2", "three pods, 50m each: just right"
    assert paused.busy(450) == "web 6×v1 | canary 3×v2"
    assert paused.row() == "Progressing 1 StepPaused | canary 3×v2 | lane on | stable v1 paused"
    assert paused.busy(100, seconds=600) == "web 2×v1 | canary 3×v2", "a canary is never made smaller"
    assert paused.harms == []


def test_it_goes_on_through_approval_and_afterwards(paused: Autoscaled) -> None:
    paused.busy(450)
    paused.allowed.add("v2")
    paused.approve()
    assert paused.busy(200) == "web 6×v2 | canary none"
    assert paused.row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert paused.busy(100, seconds=600) == "web 2×v2 | canary none"
    assert paused.busy(250) == "web 5×v2 | canary none"
    assert paused.harms == []


def test_it_scales_while_the_new_version_is_being_rolled_out(paused: Autoscaled) -> None:
    paused.allowed.add("v2")
    paused.approve().settle(until=lambda _: "v1+v2" in paused.row(), seconds=60)
    assert paused.busy(300) == "web 6×v2 | canary none"
    assert paused.row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert paused.harms == []


@pytest.mark.parametrize("milli", [100, 450])
def test_an_abort_keeps_the_size_of_the_hour(paused: Autoscaled, milli: int) -> None:
    before = paused.busy(milli)
    paused.abort()
    paused.pass_time(30)
    assert paused.sizes() == f"{before.partition(' |')[0]} | canary none"
    assert paused.row() == "Healthy 1 Completed | canary none | lane off | stable v1"
    assert paused.harms == []


def test_a_newer_version_starts_with_the_size_of_the_hour(paused: Autoscaled) -> None:
    paused.busy(450)
    paused.push("v3")
    assert paused.busy(450, seconds=60) == "web 6×v1 | canary 3×v3"
    assert paused.harms == []


def test_all_killed_at_any_moment_end_at_the_same_size(paused: Autoscaled) -> None:
    """The controllers' process dies every seven seconds while the load rises, and while the release is finished."""
    paused.load.cpu = 450
    for _ in range(20):
        paused.pass_time(7)
        paused.restart()
    assert paused.sizes() == "web 6×v1 | canary 3×v2"
    paused.allowed.add("v2")
    paused.approve()
    for _ in range(20):
        paused.pass_time(7)
        paused.restart()
    assert paused.busy(300) == "web 6×v2 | canary none"
    assert paused.harms == []
