"""A release ends the same way whatever part of each plan lands, and on the way nobody is sent where nothing serves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from graylane.errors import ApiError, Conflict, InternalError
from graylane.kit.effects import Effect
from graylane.model.kinds import DEPLOYMENT, POD, TRAFFIC_ROUTING
from graylane.model.meta import dig, key_of, name_of
from graylane.model.rollout import CANARY_FINALIZER, PROGRESSING_FINALIZER
from graylane.testing.release_stage import NAMESPACE, ReleaseStage
from graylane.testing.world import Crash
from tests.stories.rollouts.routed import RoutedStage

TWO_STEPS = ({"replicas": 1, "pause": {}}, {"replicas": "100%", "pause": {"duration": 10}})


@dataclass(frozen=True)
class Flow:
    """User actions, each taken when the world has settled after the one before."""

    name: str
    acts: tuple[Callable[[ReleaseStage], object], ...]
    stage: Callable[[], ReleaseStage] = ReleaseStage
    approved: tuple[str, ...] = ("v1",)


def push(version: str) -> Callable[[ReleaseStage], object]:
    return lambda stage: stage.push(version)


def approve(stage: ReleaseStage) -> None:
    stage.approve()


def abort(stage: ReleaseStage) -> None:
    stage.abort()


def delete(stage: ReleaseStage) -> None:
    stage.delete_rollout()


def disable(stage: ReleaseStage) -> None:
    stage.edit({"disabled": True})


def enable(stage: ReleaseStage) -> None:
    stage.edit({"disabled": False})


def without_admission() -> ReleaseStage:
    return ReleaseStage(admission=False)


def with_own_routes() -> ReleaseStage:
    return RoutedStage(2, ({"replicas": 1, "weight": 20, "pause": {}},))


def delete_workload(stage: ReleaseStage) -> None:
    stage.world.delete(DEPLOYMENT, NAMESPACE, "web")


def delete_routing(stage: ReleaseStage) -> None:
    stage.world.delete(TRAFFIC_ROUTING, NAMESPACE, "web")


def add_routing(stage: ReleaseStage) -> None:
    stage.add_routing(route=False)


def delete_canary(stage: ReleaseStage) -> None:
    stage.world.delete(DEPLOYMENT, NAMESPACE, name_of(stage.canaries()[0]))


FLOWS = (
    Flow("finished", (push("v2"), approve), approved=("v1", "v2")),
    Flow("finished in two steps", (push("v2"), approve), lambda: ReleaseStage(4, TWO_STEPS), ("v1", "v2")),
    Flow("finished without routes", (push("v2"), approve), lambda: ReleaseStage(routed=False), ("v1", "v2")),
    Flow("rolled back", (push("v2"), push("v1"))),
    Flow("aborted", (push("v2"), abort)),
    Flow("superseded", (push("v2"), push("v3"), approve), approved=("v1", "v3")),
    Flow("superseded and rolled back", (push("v2"), push("v3"), push("v1"))),
    Flow("deleted", (push("v2"), delete)),
    Flow("disabled and enabled", (push("v2"), disable, enable)),
    Flow("workload deleted", (push("v2"), delete_workload)),
    Flow("routing deleted and created", (push("v2"), delete_routing, add_routing, approve), approved=("v1", "v2")),
    Flow("canary deleted by hand", (push("v2"), delete_canary, abort)),
    Flow("not admitted", (push("v2"), approve), without_admission, ("v1", "v2")),
    Flow("not admitted, aborted", (push("v2"), abort), without_admission),
    Flow("own routes, finished", (push("v2"), approve), with_own_routes, ("v1", "v2")),
    Flow("own routes, aborted", (push("v2"), abort), with_own_routes),
    Flow("own routes, superseded", (push("v2"), push("v3"), approve), with_own_routes, ("v1", "v3")),
    Flow("own routes, deleted", (push("v2"), delete), with_own_routes),
)
BY_NAME = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name.replace(" ", "-"))


def act(flow: Flow, run: Callable[[ReleaseStage], object]) -> ReleaseStage:
    stage = flow.stage()
    stage.allowed = set(flow.approved)
    stage.begin()
    for step in flow.acts:
        step(stage)
        run(stage)
    return stage


def settle(stage: ReleaseStage) -> None:
    stage.settle(seconds=60)


def final(stage: ReleaseStage) -> dict[str, object]:
    """The objects, without what only says how often something was written."""
    return stage.world.dump()


# -- random partial application


ADMITTED = [flow for flow in FLOWS if flow.stage is not without_admission]  # else luck decides how far stable rolls


@pytest.mark.parametrize("flow", ADMITTED, ids=lambda flow: flow.name.replace(" ", "-"))
@pytest.mark.parametrize("seed", range(5))
def test_whatever_part_of_each_plan_lands_in_whatever_order_the_end_is_the_same(flow: Flow, seed: int) -> None:
    calm = act(flow, settle)
    chance = random.Random(f"{flow.name}{seed}")
    stage = act(flow, lambda stage: _stumble(stage, chance))
    assert stage.harms == []
    assert final(stage) == final(calm)


def _stumble(stage: ReleaseStage, chance: random.Random) -> None:
    """Looks in random order, of each answer only a random, shuffled part landing; then a calm end."""
    world = stage.world
    for _ in range(120):
        actor = chance.choice(stage.actors if chance.random() < 0.7 else stage.actors[:1])
        keys = [key_of(obj) for obj in world.list(actor.primary)]
        if not keys:
            continue
        outcome = actor.reconcile(world.view(), chance.choice(keys), world.now())
        effects = [effect for effect in outcome.effects if chance.random() < 0.6]
        chance.shuffle(effects)
        _apply(stage, effects, chance)
        if chance.random() < 0.3:
            world.collect_garbage()
        if chance.random() < 0.1:
            world.clock.advance(chance.choice((0.2, 3, 11)))
    settle(stage)


def _apply(stage: ReleaseStage, effects: Iterable[Effect], chance: random.Random) -> None:
    for effect in effects:
        try:
            if chance.random() < 0.1:
                raise InternalError("the answer was lost")
            stage.world.apply([effect])
        except ApiError:
            return


# -- invariants at the moment of the write


@BY_NAME
def test_routes_are_asked_for_only_with_a_ready_pod_and_canaries_go_only_without_routes(flow: Flow) -> None:
    broken: list[str] = []

    def check(stage: ReleaseStage) -> Callable[[Effect], None]:
        def before(effect: Effect) -> None:
            broken.extend(_broken_rules(stage, effect))

        return before

    def run(stage: ReleaseStage) -> None:
        stage.world.before_write = check(stage)
        settle(stage)

    act(flow, run)
    assert broken == []


def _broken_rules(stage: ReleaseStage, effect: Effect) -> Iterable[str]:
    kind, key, patch = getattr(effect, "kind", None), getattr(effect, "key", None), getattr(effect, "patch", {})
    finalizers = dig(patch, "metadata", "finalizers") if isinstance(patch, dict) else None
    if kind == TRAFFIC_ROUTING and finalizers is not None:
        asks = any(item.startswith(PROGRESSING_FINALIZER) for item in finalizers)
        if asks and not stage._ready_canary_pods():
            yield f"{effect} asks for routes to nothing"
    if kind == DEPLOYMENT and finalizers is not None and CANARY_FINALIZER not in finalizers:
        others = [item for item in stage.canaries() if name_of(item) != key.name]
        routing = stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web")
        led = stage.lane() or dig(routing, "status", "activeFor", default=[])
        if led and not (others and stage._ready_canary_pods()):
            yield f"{effect} lets a canary go that routes lead to"


def test_unready_canary_pods_lose_their_routes_and_get_them_back() -> None:
    stage = ReleaseStage().begin().push("v2").settle()
    assert stage.lane()
    pod = next(iter(stage._ready_canary_pods()))
    ready = {"conditions": [{"type": "Ready", "status": "False"}]}
    stage.world.patch(POD, NAMESPACE, name_of(pod), {"status": ready}, "status")
    stage.settle()
    assert not stage.lane()
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"
    assert "0 of 1 pods ready" in stage.status("message")
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    stage.world.patch(POD, NAMESPACE, name_of(pod), {"status": ready}, "status")
    stage.settle()
    assert stage.lane()


def test_an_api_that_refuses_now_and_then_changes_nothing() -> None:
    calm = act(FLOWS[0], settle)
    chance = random.Random(7)

    def run(stage: ReleaseStage) -> None:
        def flaky(_: Effect) -> None:
            if chance.random() < 0.3:
                raise chance.choice((Conflict, InternalError))("not now")

        stage.world.before_write = flaky
        settle(stage)
        stage.world.before_write = None
        settle(stage)

    stage = act(FLOWS[0], run)
    assert stage.harms == []
    assert final(stage) == final(calm)


# -- killed at a write


OWN = [flow for flow in FLOWS if flow.stage is with_own_routes]  # the others are killed in test_joint_releases.py


@pytest.mark.parametrize("flow", OWN, ids=lambda flow: flow.name.replace(" ", "-"))
def test_killed_before_or_after_a_write_a_release_with_own_routes_ends_the_same(flow: Flow) -> None:
    calm = act(flow, settle)
    chance = random.Random(flow.name)
    writes = calm.world.writes
    for point in chance.sample(range(writes), 6):
        stage = act(flow, lambda stage, point=point: _killed_once(stage, point, after=chance.random() < 0.5))  # type: ignore[misc]
        assert stage.harms == []
        assert final(stage) == final(calm)


def _killed_once(stage: ReleaseStage, point: int, *, after: bool) -> None:
    """At the first write past `point` everything dies; who comes back knows only what the API holds."""

    def kill(_: Effect) -> None:
        if stage.world.writes >= point:
            raise Crash

    watch = stage.world.after_write
    if after:
        stage.world.after_write = kill
    else:
        stage.world.before_write = kill
    try:
        settle(stage)
    except Crash:
        stage.restart()
    stage.world.before_write, stage.world.after_write = None, watch
    settle(stage)
