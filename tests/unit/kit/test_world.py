"""The stage for stories keeps kube-apiserver's rules where reconcilers can tell."""

from datetime import datetime, timedelta

import pytest

from graylane.errors import Conflict
from graylane.kit import Controller, Create, Outcome, Patch, View
from graylane.model.kinds import CONFIG_MAP, DEPLOYMENT, POD, REPLICA_SET
from graylane.model.meta import Key, dig, owner_reference
from graylane.testing.world import World


def test_generation_moves_with_the_spec_only() -> None:
    world = World()
    world.put(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "d"}, "spec": {"replicas": 1}})
    world.patch(DEPLOYMENT, "d", "web", {"status": {"replicas": 1}}, "status")
    world.patch(DEPLOYMENT, "d", "web", {"metadata": {"labels": {"a": "b"}}, "status": {"replicas": 9}})
    web = world.get(DEPLOYMENT, "d", "web")
    assert (dig(web, "metadata", "generation"), dig(web, "status", "replicas")) == (1, 1)
    web = world.patch(DEPLOYMENT, "d", "web", {"spec": {"replicas": 2}})
    assert dig(web, "metadata", "generation") == 2


def test_a_conditional_patch_on_an_old_version_conflicts() -> None:
    world = World()
    old = world.put(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "d"}, "data": {"a": "1"}})
    world.patch(CONFIG_MAP, "d", "c", {"data": {"a": "2"}})
    with pytest.raises(Conflict):
        world.patch(CONFIG_MAP, "d", "c", {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}})


def test_finalizers_hold_an_object_and_garbage_follows_its_owner() -> None:
    world = World()
    owner = world.put(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "d", "finalizers": ["x"]}, "spec": {}})
    reference = owner_reference(owner, DEPLOYMENT)
    world.put(
        REPLICA_SET, {"metadata": {"name": "web-1", "namespace": "d", "ownerReferences": [reference]}, "spec": {}}
    )
    world.delete(DEPLOYMENT, "d", "web")
    assert world.get(DEPLOYMENT, "d", "web") is not None
    world.patch(DEPLOYMENT, "d", "web", {"metadata": {"finalizers": None}})
    world.run([])
    assert world.get(DEPLOYMENT, "d", "web") is None
    assert world.get(REPLICA_SET, "d", "web-1") is None


def test_a_running_pod_goes_in_two_steps() -> None:
    world = World()
    world.put(POD, {"metadata": {"name": "p", "namespace": "d"}, "spec": {"nodeName": "n"}})
    world.delete(POD, "d", "p")
    assert dig(world.get(POD, "d", "p"), "metadata", "deletionTimestamp")
    world.delete(POD, "d", "p", grace_seconds=0)
    assert world.get(POD, "d", "p") is None


def test_run_reconciles_until_quiet_and_lets_time_pass_to_wake_ups() -> None:
    def count_up(view: View, key: Key, now: datetime) -> Outcome:
        data = dig(view.get(CONFIG_MAP, *key), "data", "n", default="0")
        if int(data) >= 3:
            return Outcome(
                (Create(POD, {"metadata": {"name": "done", "namespace": "d"}}),) if not view.list(POD) else ()
            )
        later = now + timedelta(seconds=10)
        due = dig(view.get(CONFIG_MAP, *key), "data", "due")
        if due is not None and now.isoformat() < due:
            return Outcome(wake_at=datetime.fromisoformat(due))
        return Outcome((Patch(CONFIG_MAP, key, {"data": {"n": str(int(data) + 1), "due": later.isoformat()}}),), later)

    world = World()
    world.put(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "d"}, "data": {"n": "0"}})
    start = world.now()
    world.run([Controller("counter", CONFIG_MAP, count_up)], seconds=60)
    assert world.get(POD, "d", "done") is not None
    assert world.now() - start == timedelta(seconds=20)


def test_who_rests_is_asked_again_when_what_it_read_changes_and_at_its_wake_up_alone() -> None:
    looks: list[tuple[str, float]] = []
    world = World()
    began = world.now()

    def look(name: str, view: View, key: Key, now: datetime) -> Outcome:
        looks.append((name, (now - began).total_seconds()))
        return Outcome(wake_at=began + timedelta(seconds=5) if name == "sleeper" and now == began else None)

    def writer(view: View, key: Key, now: datetime) -> Outcome:
        if view.get(POD, "d", "p") is None and now > began:
            return Outcome((Create(POD, {"metadata": {"name": "p", "namespace": "d"}}),))
        return Outcome(wake_at=began + timedelta(seconds=9) if now < began + timedelta(seconds=9) else None)

    def reader(view: View, key: Key, now: datetime) -> Outcome:
        view.get(POD, "d", "p")
        return look("reader", view, key, now)

    world.put(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "d"}})
    sleeper = Controller("sleeper", CONFIG_MAP, lambda *asked: look("sleeper", *asked))
    world.run([sleeper, Controller("reader", CONFIG_MAP, reader), Controller("writer", CONFIG_MAP, writer)], seconds=60)
    assert looks == [("sleeper", 0), ("reader", 0), ("sleeper", 5), ("reader", 9)]
