"""What a user sees when the API refuses pods, and how it goes away."""

from __future__ import annotations

import itertools

from graylane.cluster.workloads import replicaset
from graylane.cluster.workloads.controllers import controllers
from graylane.errors import ApiError, Conflict, Forbidden
from graylane.kit import Create
from graylane.model.kinds import DEPLOYMENT, NODE, POD, REPLICA_SET
from graylane.model.meta import Key, Obj, condition, name_of
from graylane.testing.pods import NODE_OBJECT, FakeKubelet

from .refusing import RefusingWorld
from .stage import NS, deployment

QUOTA = "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2"


class Quota:
    """Deployment `web` where a quota lets only `room` pods in."""

    def __init__(self, replicas: int, room: int) -> None:
        self.room = room
        self.world = RefusingWorld(refuse=self.refuse)
        self.world.put(NODE, NODE_OBJECT)
        self.world.patch(NODE, "", "graylane", {"status": NODE_OBJECT["status"]}, "status")
        self.world.put(DEPLOYMENT, deployment(replicas))
        self.controllers = [*controllers(), FakeKubelet().controller()]

    def refuse(self, create: Create) -> ApiError | None:
        if create.kind != POD or len(self.world.list(POD)) < self.room:
            return None
        return Forbidden(f'pods "{name_of(create.obj)}" is forbidden: {QUOTA}')

    def settle(self) -> None:
        """A refused step asks for another at once, for ever; a few are enough to see where it leads."""
        for _, controller in itertools.product(range(8), self.controllers):
            for obj in self.world.list(controller.primary):
                self.look(controller.reconcile, Key(NS, name_of(obj)))

    def look(self, reconcile: object, key: Key) -> None:
        try:
            self.world.apply(reconcile(self.world.view(), key, self.world.now()))  # type: ignore[operator]
        except ApiError:
            return

    def deployment(self) -> Obj:
        found = self.world.get(DEPLOYMENT, NS, "web")
        assert found is not None
        return found

    def failure(self) -> Obj | None:
        return condition(self.deployment(), "ReplicaFailure")


def test_a_refused_pod_is_told_as_an_event_and_as_a_condition_that_the_deployment_repeats() -> None:
    quota = Quota(3, room=2)
    quota.settle()
    [replica_set] = quota.world.list(REPLICA_SET)
    told = [event for event in quota.world.events if event.reason == "FailedCreate"]
    assert told[0].type == "Warning"
    assert told[0].obj["metadata"]["uid"] == replica_set["metadata"]["uid"]
    assert told[0].message.startswith('Error creating: pods "web-')
    assert told[0].message.endswith(QUOTA)
    own = condition(replica_set, "ReplicaFailure")
    assert own is not None
    assert (own["status"], own["reason"]) == ("True", "FailedCreate")
    assert own["message"].startswith('pods "web-')
    assert (quota.failure() or {})["message"] == own["message"]
    assert quota.deployment()["status"]["readyReplicas"] == 2, "what was let in serves"


def test_a_lasting_refusal_is_written_once() -> None:
    quota = Quota(3, room=2)
    quota.settle()
    writes = quota.world.writes
    quota.settle()
    assert quota.world.writes == writes, "each write would make us try again at once"
    assert len({event.message for event in quota.world.events[-8:]}) == 1, "one event, counted up"


def test_once_there_is_room_the_condition_goes_everywhere() -> None:
    quota = Quota(3, room=2)
    quota.settle()
    quota.room = 9
    quota.settle()
    [replica_set] = quota.world.list(REPLICA_SET)
    assert "conditions" not in replica_set["status"]
    assert quota.failure() is None
    assert quota.deployment()["status"]["readyReplicas"] == 3


def test_wanting_fewer_pods_ends_the_failure_too() -> None:
    quota = Quota(3, room=2)
    quota.settle()
    quota.world.patch(DEPLOYMENT, NS, "web", {"spec": {"replicas": 2}})
    quota.settle()
    assert quota.failure() is None


def test_a_race_is_not_a_refusal() -> None:
    quota = Quota(1, room=9)
    quota.world.refuse = lambda create: Conflict("somebody else was faster") if create.kind == POD else None
    quota.settle()
    assert [event for event in quota.world.events if event.reason == "FailedCreate"] == []
    assert quota.failure() is None


def test_a_refused_replica_set_is_told_at_the_deployment() -> None:
    quota = Quota(1, room=9)
    quota.world.refuse = lambda create: Forbidden("no more sets") if create.kind == REPLICA_SET else None
    quota.settle()
    told = [event for event in quota.world.events if event.reason == "ReplicaSetCreateError"]
    assert told[0].message.endswith('": no more sets')
    assert told[0].message.startswith('Failed to create new replica set "web-')


def test_a_restarted_controller_knows_of_the_refusal_from_the_api() -> None:
    quota = Quota(3, room=2)
    quota.settle()
    [replica_set] = quota.world.list(REPLICA_SET)
    outcome = replicaset.reconcile(quota.world.view(), Key(NS, name_of(replica_set)), quota.world.now())
    creates = [effect for effect in outcome.effects if isinstance(effect, Create)]
    assert [create.kept for create in creates] == [None], "it is kept already"
