"""Two Deployments with one selector, and everything users do to them: at rest each has exactly its own pods."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from graylane.model.kinds import DEPLOYMENT, POD, REPLICA_SET
from graylane.model.meta import name_of
from tests.stories.workloads.stage import NS, rolling
from tests.stories.workloads.test_ownership_story import Town, named, pod

WALKS, ACTS = 40, 12
NAMES = ("web", "shop")
Act = Callable[[Town, random.Random], object]


def scale(town: Town, chance: random.Random) -> None:
    edit(town, chance, {"replicas": chance.randint(0, 5)})


def push(town: Town, chance: random.Random) -> None:
    containers = [{"name": "app", "image": chance.choice(("v1", "v2", "v3"))}]
    edit(town, chance, {"template": {"spec": {"containers": containers}}})


def pause_or_resume(town: Town, chance: random.Random) -> None:
    edit(town, chance, {"paused": chance.random() < 0.5})


def change_strategy(town: Town, chance: random.Random) -> None:
    surge = chance.randint(0, 2)
    recreate = {"type": "Recreate", "rollingUpdate": None}
    edit(town, chance, {"strategy": chance.choice((recreate, rolling(surge, chance.randint(not surge, 2))))})


def break_or_mend(town: Town, chance: random.Random) -> None:
    town.sick_images ^= {chance.choice(("v2", "v3"))}


def delete_a_pod(town: Town, chance: random.Random) -> None:
    for each in chance.sample(town.pods(), min(1, len(town.pods()))):
        town.world.delete(POD, NS, name_of(each))


def delete_a_set(town: Town, chance: random.Random) -> None:
    for each in chance.sample(town.sets(), min(1, len(town.sets()))):
        town.world.delete(REPLICA_SET, NS, name_of(each))


def orphan(town: Town, chance: random.Random) -> None:
    relate(town, chance, {"ownerReferences": None})


def relabel(town: Town, chance: random.Random) -> None:
    relate(town, chance, {"labels": {"app": chance.choice(("web", "other"))}})


def stray(town: Town, chance: random.Random) -> None:
    town.world.put(POD, pod(f"stray-{chance.random()}"))


def wait(town: Town, chance: random.Random) -> None:
    town.world.clock.advance(chance.randint(1, 5))


ALL: tuple[Act, ...] = (
    scale,
    push,
    pause_or_resume,
    change_strategy,
    break_or_mend,
    delete_a_pod,
    delete_a_set,
    orphan,
    relabel,
    stray,
    wait,
)


def edit(town: Town, chance: random.Random, spec: object) -> None:
    town.world.patch(DEPLOYMENT, NS, chance.choice(NAMES), {"spec": spec})


def relate(town: Town, chance: random.Random, metadata: object) -> None:
    kind, found = chance.choice(((POD, town.pods()), (REPLICA_SET, town.sets())))
    for each in chance.sample(found, min(1, len(found))):
        town.world.patch(kind, NS, name_of(each), {"metadata": metadata})


@pytest.mark.parametrize("seed", range(WALKS))
def test_whatever_happens_each_has_its_own_pods_in_the_end(seed: int) -> None:
    chance = random.Random(seed)
    town = Town(*(named(name, chance.randint(0, 4)) for name in NAMES))
    for _ in range(chance.randint(3, ACTS)):
        chance.choice(ALL)(town, chance)
        if chance.random() < 0.6:
            town.world.run(town.controllers)
    town.sick_images.clear()
    for name in NAMES:
        town.world.patch(DEPLOYMENT, NS, name, {"spec": {"paused": None}})
    town.settle()
    town.world.clock.advance(60)
    town.settle()
    for name in NAMES:
        found = town.world.get(DEPLOYMENT, NS, name)
        assert found is not None
        desired, status = found["spec"]["replicas"], found["status"]
        counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
        assert (town.owners().get(name, 0), counts) == (desired, [desired] * 3)
