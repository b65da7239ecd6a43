"""Which pods a ReplicaSet counts, takes, lets go, creates and deletes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graylane.cluster.workloads import replicaset
from graylane.cluster.workloads.pods import available_at, from_template, is_available, new_names
from graylane.cluster.workloads.ranking import deletion_order
from graylane.kit import Create, Delete, Event, Patch
from graylane.model.kinds import POD, REPLICA_SET
from graylane.model.meta import Key, Obj, controller_of, format_time, key_of, name_of
from graylane.testing.world import World

NS = "shop"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str = "p", *, ready_for: float | None = None, age: float = 100, **fields: Any) -> Obj:
    """A pod on a node; `ready_for` seconds, or not ready."""
    annotations = {"controller.kubernetes.io/pod-deletion-cost": str(fields["cost"])} if "cost" in fields else {}
    since = format_time(NOW - timedelta(seconds=ready_for or 0))
    ready = {"type": "Ready", "status": str(ready_for is not None), "lastTransitionTime": since}
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": format_time(NOW - timedelta(seconds=age)),
            "annotations": annotations,
        },
        "spec": {"nodeName": fields.get("node", "n1")},
        "status": {
            "phase": fields.get("phase", "Running"),
            "conditions": [ready],
            "containerStatuses": [{"restartCount": fields.get("restarts", 0)}],
        },
    }


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        (pod(node="", ready_for=50), pod()),  # nobody runs it
        (pod(phase="Pending", ready_for=50), pod()),
        (pod(phase="Unknown"), pod()),
        (pod(), pod(ready_for=1)),
        (pod(ready_for=50, cost=-5), pod(ready_for=1)),
        (pod(ready_for=50, node="n1"), pod(ready_for=1, node="n2")),  # n1 is crowded
        (pod(ready_for=1, restarts=0), pod(ready_for=50, restarts=9)),
        (pod(ready_for=50, restarts=9), pod(ready_for=50)),
        (pod(age=1), pod(age=1000)),
    ],
)
def test_pods_that_are_missed_least_go_first(goes: Obj, stays: Obj) -> None:
    goes["metadata"]["uid"], stays["metadata"]["uid"] = "z", "a"
    assert deletion_order([stays, goes], {"n1": 3, "n2": 1}, NOW) == [goes, stays]


def test_pods_of_about_the_same_age_take_their_turns_by_uid() -> None:
    first, second = pod("a", ready_for=50), pod("b", ready_for=45)
    assert deletion_order([second, first], {}, NOW) == [first, second]


def test_names_repeat_for_the_same_version_of_the_owner_and_avoid_those_taken() -> None:
    owner = {"metadata": {"name": "web-abc", "uid": "u", "resourceVersion": "7"}}
    names = new_names(owner, 3, lambda _: False)
    assert names == new_names(owner, 3, lambda _: False)
    assert new_names(owner, 2, lambda name: name == names[0]) == names[1:]
    later = {"metadata": owner["metadata"] | {"resourceVersion": "8"}}
    assert not set(names) & set(new_names(later, 3, lambda _: False))
    assert all(name.startswith("web-abc-") and len(name) == len("web-abc-") + 5 for name in names)


def test_a_long_owner_name_is_cut_so_that_pods_keep_valid_names() -> None:
    owner = {"metadata": {"name": "x" * 80, "uid": "u"}}
    assert len(new_names(owner, 1, lambda _: False)[0]) == 63


def test_a_pod_made_from_a_template_belongs_to_its_maker() -> None:
    template = {"metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}}, "spec": {"containers": []}}
    owner = {"metadata": {"name": "web-abc", "namespace": NS, "uid": "u"}}
    made = from_template(template, owner, REPLICA_SET, "web-abc-xyz12")
    assert made["metadata"] | {"ownerReferences": None} == {
        "name": "web-abc-xyz12",
        "generateName": "web-abc-",
        "namespace": NS,
        "labels": {"app": "web"},
        "annotations": {"a": "b"},
        "ownerReferences": None,
    }
    reference = controller_of(made)
    assert reference is not None
    assert (reference["kind"], reference["uid"], reference["blockOwnerDeletion"]) == ("ReplicaSet", "u", True)


def test_a_ready_pod_is_available_after_min_ready_seconds() -> None:
    young = pod(ready_for=4)
    assert is_available(young, 0, NOW)
    assert not is_available(young, 5, NOW)
    assert available_at(young, 5) == NOW + timedelta(seconds=1)
    assert is_available(young, 5, NOW + timedelta(seconds=1))
    assert not is_available(pod(), 0, NOW)


class Shop:
    """A ReplicaSet `web` of two pods in a World."""

    def __init__(self) -> None:
        self.world = World()
        spec = {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web", "v": "1"}}, "spec": {"containers": []}},
        }
        self.world.put(REPLICA_SET, {"metadata": {"name": "web", "namespace": NS}, "spec": spec})

    def look(self) -> list[object]:
        """Reconcile once, apply, and tell the effects in order."""
        outcome = replicaset.reconcile(self.world.view(), Key(NS, "web"), self.world.now())
        self.world.apply(outcome)
        return list(outcome.effects)

    def settle(self) -> None:
        while self.look():
            pass

    def stray(self, name: str, **labels: str) -> None:
        self.world.put(POD, {"metadata": {"name": name, "namespace": NS, "labels": labels}, "spec": {}})

    def owned(self) -> list[str]:
        return sorted(name_of(p) for p in self.world.list(POD, NS) if controller_of(p))

    def status(self) -> Obj:
        found = self.world.get(REPLICA_SET, NS, "web")
        assert found is not None
        status: Obj = found["status"]
        return status


def test_missing_pods_are_created_and_told_of() -> None:
    shop = Shop()
    effects = shop.look()
    created = [effect.obj for effect in effects if isinstance(effect, Create)]
    told = [effect.message for effect in effects if isinstance(effect, Event)]
    assert told == [f"Created pod: {name_of(obj)}" for obj in created]
    shop.settle()
    assert shop.status() == {"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1}


def test_a_matching_pod_without_a_controller_is_adopted_instead_of_making_another() -> None:
    shop = Shop()
    shop.stray("mine", app="web")
    shop.stray("other", app="db")
    shop.settle()
    assert len(shop.owned()) == 2
    assert "mine" in shop.owned()
    assert shop.status()["fullyLabeledReplicas"] == 1, "an adopted pod may lack labels of the template"


def test_a_pod_of_another_controller_is_left_alone() -> None:
    shop = Shop()
    shop.stray("theirs", app="web")
    theirs = {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "someone", "controller": True}
    shop.world.patch(POD, NS, "theirs", {"metadata": {"ownerReferences": [theirs]}})
    shop.settle()
    assert shop.status()["replicas"] == 2
    assert len(shop.world.list(POD, NS)) == 3


def test_a_relabelled_pod_is_released_and_replaced() -> None:
    shop = Shop()
    shop.settle()
    quarantined = shop.owned()[0]
    shop.world.patch(POD, NS, quarantined, {"metadata": {"labels": {"app": "quarantine"}}})
    shop.settle()
    assert quarantined not in shop.owned()
    assert len(shop.owned()) == 2


def test_surplus_pods_are_deleted_by_uid_and_told_of() -> None:
    shop = Shop()
    shop.settle()
    shop.world.patch(REPLICA_SET, NS, "web", {"spec": {"replicas": 0}})
    effects = shop.look()
    deleted = [effect for effect in effects if isinstance(effect, Delete)]
    assert len(deleted) == 2
    assert all(effect.uid for effect in deleted)
    told = [effect.message for effect in effects if isinstance(effect, Event)]
    assert told == [f"Deleted pod: {effect.key.name}" for effect in deleted]


def test_finished_pods_do_not_count_and_stay_for_their_logs() -> None:
    shop = Shop()
    shop.settle()
    failed = shop.owned()[0]
    shop.world.patch(POD, NS, failed, {"status": {"phase": "Failed"}}, "status")
    shop.settle()
    assert len(shop.owned()) == 3
    assert shop.status()["replicas"] == 2


def test_a_deleting_replica_set_only_keeps_its_status() -> None:
    shop = Shop()
    shop.stray("mine", app="web")
    shop.world.patch(REPLICA_SET, NS, "web", {"metadata": {"finalizers": ["foregroundDeletion"]}})
    shop.world.delete(REPLICA_SET, NS, "web")
    effects = shop.look()
    assert [(type(effect), effect.subresource) for effect in effects if isinstance(effect, Patch)] == [
        (Patch, "status")
    ]
    assert len(effects) == 1


def test_a_lost_write_is_not_written_twice() -> None:
    shop = Shop()
    wanted = replicaset.reconcile(shop.world.view(), Key(NS, "web"), shop.world.now()).effects
    first = next(effect for effect in wanted if isinstance(effect, Create))
    shop.world.apply([first])  # then we crashed
    shop.settle()
    assert len(shop.owned()) == 2
    assert key_of(first.obj).name in shop.owned()
