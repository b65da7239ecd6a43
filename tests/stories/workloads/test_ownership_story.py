"""Who owns what when selectors overlap: nobody takes from another, orphans find exactly one new owner."""

from __future__ import annotations

from collections import Counter

from graylane.model.kinds import DEPLOYMENT, POD, REPLICA_SET
from graylane.model.meta import Obj, controller_of, is_deleting, name_of, owner_reference, uid_of

from .stage import NS, Stage, deployment


def named(name: str, replicas: int, image: str = "v1") -> Obj:
    """A Deployment with the selector of all others here."""
    made = deployment(replicas, image)
    return made | {"metadata": made["metadata"] | {"name": name}}


def replica_set(name: str, replicas: int, **more: object) -> Obj:
    template = deployment()["spec"]["template"]
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"name": name, "namespace": NS}, "spec": spec | more}


def pod(name: str, **metadata: object) -> Obj:
    spec = {"containers": [{"name": "app", "image": "v1"}]}
    return {"metadata": {"name": name, "namespace": NS, "labels": {"app": "web"}} | metadata, "spec": spec}


class Town(Stage):
    def __init__(self, *deployments: Obj) -> None:
        super().__init__(hold=False)
        for each in deployments:
            self.world.put(DEPLOYMENT, each)
        self.settle()

    def settle(self) -> None:
        self.world.run(self.controllers)
        writes = self.world.writes
        self.world.run(self.controllers)
        assert self.world.writes == writes, "nobody fights over anything"

    def owners(self) -> dict[str, int]:
        """How many pods each has: Deployments by name, ReplicaSets of nobody's by theirs, "" for pods of nobody's."""
        return dict(Counter(self._owner(pod) for pod in self.pods()))

    def _owner(self, pod: Obj) -> str:
        of_pod = controller_of(pod)
        if of_pod is None:
            return ""
        found = self.world.get(REPLICA_SET, NS, of_pod["name"])
        of_set = controller_of(found) if found else None
        return str(of_set["name"] if of_set else of_pod["name"])


def test_two_deployments_with_one_selector_leave_each_other_alone() -> None:
    town = Town(named("web", 2), named("shop", 3))
    assert town.owners() == {"web": 2, "shop": 3}
    before = {uid_of(each) for each in town.pods() if town._owner(each) == "shop"}
    town.world.patch(DEPLOYMENT, NS, "web", {"spec": {"replicas": 1}})
    town.settle()
    town.image("v2")
    town.settle()
    assert town.owners() == {"web": 1, "shop": 3}
    assert {uid_of(each) for each in town.pods() if town._owner(each) == "shop"} == before


def test_what_a_deployment_left_behind_goes_to_the_other_that_selects_it() -> None:
    """Of two sets of its present template the older one is kept, as Kubernetes does; the other one is emptied."""
    town = Town(named("web", 2), named("shop", 3))
    for each in town.sets():
        if (controller_of(each) or {}).get("name") == "web":  # what deletion with --cascade=orphan does
            town.world.patch(REPLICA_SET, NS, name_of(each), {"metadata": {"ownerReferences": None}})
    town.world.delete(DEPLOYMENT, NS, "web")
    town.settle()
    assert town.owners() == {"shop": 3}
    assert {str((controller_of(each) or {}).get("name")) for each in town.sets()} == {"shop"}


def test_a_pod_of_nobodys_is_taken_by_one_set_and_counts_there() -> None:
    town = Town()
    town.world.put(POD, pod("stray"))
    for name in ("a", "b"):
        town.world.put(REPLICA_SET, replica_set(name, 2))
    town.settle()
    assert town.owners() == {"a": 2, "b": 2}
    assert "stray" in {name_of(each) for each in town.pods()}


def test_a_set_that_has_enough_takes_a_stray_pod_in_and_lets_one_go() -> None:
    town = Town()
    town.world.put(REPLICA_SET, replica_set("a", 1))
    town.settle()
    town.world.put(POD, pod("stray"))
    town.settle()
    assert town.owners() == {"a": 1}


def test_a_pod_that_is_going_or_belongs_to_somebody_is_not_taken() -> None:
    town = Town()
    town.world.put(REPLICA_SET, replica_set("other", 1, selector={"matchLabels": {"tier": "back"}}))
    owner = town.world.get(REPLICA_SET, NS, "other")
    assert owner is not None
    other = owner_reference(owner, REPLICA_SET)
    town.world.put(POD, pod("theirs", ownerReferences=[other], labels={"app": "web", "tier": "back"}))
    town.world.put(POD, pod("going", finalizers=["example.org/hold"]))
    town.world.delete(POD, NS, "going")
    town.world.put(REPLICA_SET, replica_set("a", 1))
    town.settle()
    found = {name_of(each): each for each in town.world.list(POD, NS)}
    assert controller_of(found["theirs"]) == other
    assert is_deleting(found["going"])
    assert controller_of(found["going"]) is None
    assert town.owners()["a"] == 1
