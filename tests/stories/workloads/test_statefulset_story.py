"""What a StatefulSet does, told row by row.

`pods` reads name:image, `-` behind one that is not ready, `~` behind one that is stopping; `status` reads
ready/replicas, current and updated; `revisions` reads number:image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graylane.cluster.workloads.history import CONTROLLER_REVISION, template_of
from graylane.model.kinds import POD, STATEFUL_SET
from graylane.model.meta import Obj, controller_of, labels_of, name_of, uid_of

from .cast import Cast, Verbs, image_of, template
from .stage import NS
from .table import tell


def stateful_set(replicas: int = 3, *, partition: int = 0, **spec: Any) -> Obj:
    """StatefulSet `web` as the API server would store it."""
    return {
        "metadata": {"name": "web", "namespace": NS},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "web"}},
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
            "revisionHistoryLimit": 10,
            "template": template(),
        }
        | spec,
    }


class Orchestra(Cast):
    kind = STATEFUL_SET

    def verbs(self) -> Verbs:
        return {
            r"scale (\d+)": lambda count: self.spec({"replicas": int(count)}),
            r"partition (\d+)": lambda least: self.spec(
                {"updateStrategy": {"rollingUpdate": {"partition": int(least)}}}
            ),
            r"relabel (\S+)": lambda name: self.world.patch(POD, NS, name, {"metadata": {"labels": {"app": "other"}}}),
        }

    def columns(self) -> dict[str, Callable[[], object]]:
        return {"pods": self.shown, "status": self.counts, "revisions": self.revisions, "says": self.says}

    def counts(self) -> str:
        names = ("readyReplicas", "replicas", "currentReplicas", "updatedReplicas")
        ready, replicas, current, updated = map(self.status, names)
        return f"{ready}/{replicas} {current} {updated}"

    def history(self) -> list[Obj]:
        return sorted(self.world.list(CONTROLLER_REVISION, NS), key=lambda found: found["revision"])

    def revisions(self) -> str:
        return " ".join(f"{found['revision']}:{image_of(template_of(found))}" for found in self.history())


def told(story: str, cast: Orchestra) -> Orchestra:
    tell(story, cast.act, cast.columns())
    return cast


def test_pods_come_one_after_the_other_and_go_from_the_last() -> None:
    told(
        """
        what happens ‖ pods                       | status
        create       ‖ web-0:v1-                  | 0/1 1 1
        web-0 ready  ‖ web-0:v1 web-1:v1-         | 1/2 2 2
        web-1 ready  ‖ web-0:v1 web-1:v1 web-2:v1- | 2/3 3 3
        web-2 ready  ‖ web-0:v1 web-1:v1 web-2:v1 | 3/3 3 3
        scale 1      ‖ web-0:v1 web-1:v1 web-2:v1~ | 3/3 2 2
        5 seconds    ‖ web-0:v1 web-1:v1~         | 2/2 1 1
        5 seconds    ‖ web-0:v1                   | 1/1 1 1
        """,
        Orchestra(stateful_set(), hold=True, stop_seconds=5),
    )


def test_an_update_goes_down_from_the_last_pod_and_waits_for_each() -> None:
    told(
        """
        what happens ‖ pods                        | status  | revisions
        create       ‖ web-0:v1-                   | 0/1 1 1 | 1:v1
        all ready    ‖ web-0:v1 web-1:v1 web-2:v1  | 3/3 3 3 | 1:v1
        image v2     ‖ web-0:v1 web-1:v1 web-2:v2- | 2/3 2 1 | 1:v1 2:v2
        web-2 ready  ‖ web-0:v1 web-1:v2- web-2:v2 | 2/3 1 2 | 1:v1 2:v2
        web-1 ready  ‖ web-0:v2- web-1:v2 web-2:v2 | 2/3 0 3 | 1:v1 2:v2
        web-0 ready  ‖ web-0:v2 web-1:v2 web-2:v2  | 3/3 3 3 | 1:v1 2:v2
        v3 is sick   ‖ web-0:v2 web-1:v2 web-2:v2  | 3/3 3 3 | 1:v1 2:v2
        image v3     ‖ web-0:v2 web-1:v2 web-2:v3- | 2/3 2 1 | 1:v1 2:v2 3:v3
        all ready    ‖ web-0:v2 web-1:v2 web-2:v3- | 2/3 2 1 | 1:v1 2:v2 3:v3
        image v2     ‖ web-0:v2 web-1:v2 web-2:v3- | 2/3 2 2 | 1:v1 3:v3 4:v2
        delete web-2 ‖ web-0:v2 web-1:v2 web-2:v2- | 2/3 3 3 | 1:v1 3:v3 4:v2
        all ready    ‖ web-0:v2 web-1:v2 web-2:v2  | 3/3 3 3 | 1:v1 3:v3 4:v2
        """,
        Orchestra(stateful_set(), hold=True),
    )


def test_pods_below_the_partition_keep_their_template_even_when_they_come_back() -> None:
    told(
        """
        what happens ‖ pods                                | status  | revisions
        create       ‖ web-0:v1 web-1:v1 web-2:v1          | 3/3 3 3 | 1:v1
        image v2     ‖ web-0:v1 web-1:v1 web-2:v2          | 3/3 2 1 | 1:v1 2:v2
        delete web-0 ‖ web-0:v1 web-1:v1 web-2:v2          | 3/3 2 1 | 1:v1 2:v2
        delete web-2 ‖ web-0:v1 web-1:v1 web-2:v2          | 3/3 2 1 | 1:v1 2:v2
        scale 4      ‖ web-0:v1 web-1:v1 web-2:v2 web-3:v2 | 4/4 2 2 | 1:v1 2:v2
        partition 0  ‖ web-0:v2 web-1:v2 web-2:v2 web-3:v2 | 4/4 4 4 | 1:v1 2:v2
        """,
        Orchestra(stateful_set(partition=2)),
    )


def test_on_delete_changes_a_pod_when_its_user_deletes_it() -> None:
    told(
        """
        what happens ‖ pods                       | status
        create       ‖ web-0:v1 web-1:v1 web-2:v1 | 3/3 3 3
        image v2     ‖ web-0:v1 web-1:v1 web-2:v1 | 3/3 3 0
        delete web-1 ‖ web-0:v1 web-1:v2 web-2:v1 | 3/3 2 1
        """,
        Orchestra(stateful_set(updateStrategy={"type": "OnDelete"})),
    )


def test_parallel_pods_come_and_go_at_once_but_change_one_by_one() -> None:
    told(
        """
        what happens ‖ pods                          | status  | says
        create       ‖ web-0:v1- web-1:v1- web-2:v1- | 0/3 3 3 | SuccessfulCreate, SuccessfulCreate, SuccessfulCreate
        all ready    ‖ web-0:v1 web-1:v1 web-2:v1    | 3/3 3 3 |
        image v2     ‖ web-0:v1 web-1:v1 web-2:v2-   | 2/3 2 1 | SuccessfulDelete, SuccessfulCreate
        web-2 ready  ‖ web-0:v1 web-1:v2- web-2:v2   | 2/3 1 2 | SuccessfulDelete, SuccessfulCreate
        all ready    ‖ web-0:v2 web-1:v2 web-2:v2    | 3/3 3 3 | SuccessfulDelete, SuccessfulCreate
        scale 0      ‖                               | 0/0 0 0 | SuccessfulDelete, SuccessfulDelete, SuccessfulDelete
        """,
        Orchestra(stateful_set(podManagementPolicy="Parallel"), hold=True),
    )


def test_several_pods_change_at_once_where_they_may_be_away_together() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1, "maxUnavailable": "60%"}}
    cast = Orchestra(stateful_set(4, podManagementPolicy="Parallel", updateStrategy=strategy), hold=True)
    told(
        """
        what happens ‖ pods                                | status
        create       ‖ web-0:v1- web-1:v1- web-2:v1- web-3:v1- | 0/4 4 4
        all ready    ‖ web-0:v1 web-1:v1 web-2:v1 web-3:v1 | 4/4 4 4
        image v2     ‖ web-0:v1 web-1:v1 web-2:v2- web-3:v2- | 2/4 2 2
        web-2 ready  ‖ web-0:v1 web-1:v2- web-2:v2 web-3:v2- | 2/4 1 3
        all ready    ‖ web-0:v1 web-1:v2 web-2:v2 web-3:v2 | 4/4 1 3
        """,
        cast,
    )


def test_going_back_to_an_old_template_numbers_its_revision_anew_and_old_ones_are_forgotten() -> None:
    told(
        """
        what happens ‖ pods     | revisions
        create       ‖ web-0:v1 | 1:v1
        image v2     ‖ web-0:v2 | 1:v1 2:v2
        image v1     ‖ web-0:v1 | 2:v2 3:v1
        image v3     ‖ web-0:v3 | 3:v1 4:v3
        image v4     ‖ web-0:v4 | 4:v3 5:v4
        """,
        Orchestra(stateful_set(1, revisionHistoryLimit=1)),
    )


def test_finished_and_lost_pods_come_back_under_their_name() -> None:
    told(
        """
        what happens    ‖ pods              | says
        create          ‖ web-0:v1 web-1:v1 | SuccessfulCreate, SuccessfulCreate
        delete web-0    ‖ web-0:v1 web-1:v1 | SuccessfulCreate
        web-1 Failed    ‖ web-0:v1 web-1:v1 | RecreatingFailedPod, SuccessfulCreate
        web-0 Succeeded ‖ web-0:v1 web-1:v1 | RecreatingTerminatedPod, SuccessfulCreate
        """,
        Orchestra(stateful_set(2)),
    )


def test_a_pod_counts_only_after_min_ready_seconds() -> None:
    told(
        """
        what happens ‖ pods              | status
        create       ‖ web-0:v1          | 1/1 1 1
        9 seconds    ‖ web-0:v1          | 1/1 1 1
        2 seconds    ‖ web-0:v1 web-1:v1 | 2/2 2 2
        """,
        Orchestra(stateful_set(2, minReadySeconds=10)),
    )


def test_ordinals_may_start_elsewhere() -> None:
    told(
        """
        what happens ‖ pods
        create       ‖ web-5:v1 web-6:v1
        """,
        Orchestra(stateful_set(2, ordinals={"start": 5})),
    )


def test_a_name_taken_by_a_stranger_is_told_and_taken_once_it_is_free() -> None:
    cast = Orchestra(stateful_set(2))
    cast.act("create")
    cast.act("relabel web-1")
    assert [controller_of(pod) is not None for pod in cast.pods()] == [True, False], "released, but still there"
    [said] = {event.message for event in cast.world.events if event.reason == "FailedCreate"}
    assert said == 'create Pod web-1 in StatefulSet web failed error: pods "web-1" already exists'
    cast.world.delete(POD, NS, "web-1")
    cast.act("5 seconds")
    assert [controller_of(pod) is not None for pod in cast.pods()] == [True, True]


def test_a_pod_knows_its_name_its_index_and_its_revision() -> None:
    cast = Orchestra(stateful_set(2))
    cast.act("create")
    pod = cast.pods()[1]
    assert labels_of(pod) == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-1",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": cast.status("updateRevision"),
    }
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-1", "db")
    cast.world.patch(POD, NS, "web-1", {"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": None}}})
    cast.settle()
    assert labels_of(cast.pods()[1]) == labels_of(pod), "a Service of one pod finds it again"


def test_pods_and_revisions_without_an_owner_are_taken_up_again() -> None:
    cast = Orchestra(stateful_set(2))
    cast.act("create")
    pods, revisions = [uid_of(pod) for pod in cast.pods()], [uid_of(found) for found in cast.history()]
    for kind in (POD, CONTROLLER_REVISION):
        for obj in cast.world.list(kind):
            cast.world.patch(kind, NS, name_of(obj), {"metadata": {"ownerReferences": None}})
    cast.settle()
    assert all(map(controller_of, [*cast.pods(), *cast.history()]))
    assert ([uid_of(pod) for pod in cast.pods()], [uid_of(found) for found in cast.history()]) == (pods, revisions)


def test_a_revision_name_taken_by_a_stranger_is_avoided() -> None:
    probe = Orchestra(stateful_set(1))
    probe.act("create")
    [name] = map(name_of, probe.history())
    start = stateful_set(1)
    cast = Orchestra(start | {"spec": start["spec"] | {"replicas": 0}, "metadata": start["metadata"]})
    cast.world.put(CONTROLLER_REVISION, {"metadata": {"name": name, "namespace": NS}, "revision": 7, "data": {}})
    cast.act("scale 1")
    assert cast.status("collisionCount") == 1
    assert cast.status("updateRevision") != name
    assert cast.shown() == "web-0:v1"
