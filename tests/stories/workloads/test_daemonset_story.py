"""What a DaemonSet does, told row by row.

`pods` reads node:image, `-` behind one that is not ready, `~` behind one that is stopping; `status` reads
desired/current, ready, up-to-date and available, as `kubectl get daemonset` prints them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graylane.cluster.workloads.daemon_pods import node_of
from graylane.cluster.workloads.history import CONTROLLER_REVISION, template_of
from graylane.model.kinds import DAEMON_SET, NODE, POD
from graylane.model.meta import Obj, controller_of, labels_of, name_of
from graylane.testing.pods import NODE_OBJECT

from .cast import Cast, Verbs, image_of, template
from .stage import NS
from .table import tell


def rolling(unavailable: int | str = 1, surge: int | str = 0) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}


def daemon_set(**spec: Any) -> Obj:
    """DaemonSet `web` as the API server would store it."""
    return {
        "metadata": {"name": "web", "namespace": NS},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "updateStrategy": rolling(),
            "revisionHistoryLimit": 10,
            "template": template(),
        }
        | spec,
    }


def with_pod_spec(**fields: Any) -> Obj:
    return {"template": template() | {"spec": template()["spec"] | fields}}


class Fields(Cast):
    """`web` on the node `graylane`, or on that and more; a pod is called by its node."""

    kind = DAEMON_SET

    def __init__(self, start: Obj, *nodes: str, **how: Any) -> None:
        super().__init__(start, **how)
        for name in nodes:
            self.node(name)

    def verbs(self) -> Verbs:
        return {
            r"node (\S+)": self.node,
            r"node (\S+) goes": lambda name: self.world.delete(NODE, "", name),
            r"taint (\S+) (\S+)": self.taint,
            r"cordon (\S+)": lambda name: self.world.patch(NODE, "", name, {"spec": {"unschedulable": True}}),
            r"label (\S+) (\S+)": lambda name, disk: self.world.patch(
                NODE, "", name, {"metadata": {"labels": {"disk": disk}}}
            ),
        }

    def node(self, name: str) -> None:
        self.world.put(NODE, NODE_OBJECT | {"metadata": {"name": name}})
        self.world.patch(NODE, "", name, {"status": NODE_OBJECT["status"]}, "status")

    def taint(self, name: str, effect: str) -> None:
        self.world.patch(NODE, "", name, {"spec": {"taints": [{"key": "mine", "effect": effect}]}})

    def named(self, name: str) -> str:
        """The newest pod on the node."""
        return max((pod for pod in self.pods() if node_of(pod) == name), key=lambda pod: int(_version(pod)))[
            "metadata"
        ]["name"]

    def ready(self, name: str) -> None:
        super().ready(self.named(name))

    def columns(self) -> dict[str, Callable[[], object]]:
        return {"pods": self.by_node, "status": self.counts, "revisions": self.revisions, "says": self.says}

    def by_node(self) -> str:
        told = dict(zip(map(name_of, self.pods()), self.shown().split(), strict=True))
        pods = sorted(self.pods(), key=lambda pod: (node_of(pod), int(_version(pod))))
        return " ".join(f"{node_of(pod)}:{told[name_of(pod)].partition(':')[2]}" for pod in pods)

    def counts(self) -> str:
        names = ("desired", "current")
        desired, current = (self.status(f"{name}NumberScheduled") for name in names)
        updated = self.status("updatedNumberScheduled")
        return f"{desired}/{current} {self.status('numberReady')} {updated} {self.status('numberAvailable')}"

    def revisions(self) -> str:
        found = sorted(self.world.list(CONTROLLER_REVISION, NS), key=lambda revision: revision["revision"])
        return " ".join(f"{revision['revision']}:{image_of(template_of(revision))}" for revision in found)


def _version(pod: Obj) -> str:
    return str(pod["metadata"]["uid"]).removeprefix("uid-")


def told(story: str, fields: Fields) -> Fields:
    tell(story, fields.act, fields.columns())
    return fields


def test_an_update_replaces_pods_node_by_node_within_max_unavailable() -> None:
    told(
        """
        what happens ‖ pods                     | status    | revisions
        create       ‖ a:v1- b:v1- graylane:v1- | 3/3 0 3 0 | 1:v1
        all ready    ‖ a:v1 b:v1 graylane:v1    | 3/3 3 3 3 | 1:v1
        image v2     ‖ a:v2- b:v1 graylane:v1   | 3/3 2 1 2 | 1:v1 2:v2
        b ready      ‖ a:v2- b:v1 graylane:v1   | 3/3 2 1 2 | 1:v1 2:v2
        all ready    ‖ a:v2 b:v2 graylane:v2    | 3/3 3 3 3 | 1:v1 2:v2
        image v1     ‖ a:v1- b:v2 graylane:v2   | 3/3 2 1 2 | 2:v2 3:v1
        all ready    ‖ a:v1 b:v1 graylane:v1    | 3/3 3 3 3 | 2:v2 3:v1
        """,
        Fields(daemon_set(), "a", "b", hold=True),
    )


def test_a_broken_version_costs_no_more_nodes_than_allowed_and_is_replaced_by_the_next() -> None:
    told(
        """
        what happens ‖ pods                         | status
        create       ‖ a:v1 b:v1 c:v1 graylane:v1   | 4/4 4 4 4
        v2 is sick   ‖ a:v1 b:v1 c:v1 graylane:v1   | 4/4 4 4 4
        image v2     ‖ a:v2- b:v2- c:v1 graylane:v1 | 4/4 2 2 2
        image v3     ‖ a:v3 b:v3 c:v3 graylane:v3   | 4/4 4 4 4
        """,
        Fields(daemon_set(updateStrategy=rolling("50%")), "a", "b", "c"),
    )


def test_with_a_surge_the_new_pod_serves_before_the_old_one_goes() -> None:
    told(
        """
        what happens ‖ pods                          | status
        create       ‖ a:v1- graylane:v1-            | 2/2 0 2 0
        all ready    ‖ a:v1 graylane:v1              | 2/2 2 2 2
        1 second     ‖ a:v1 graylane:v1              | 2/2 2 2 2
        image v2     ‖ a:v1 a:v2- graylane:v1        | 2/2 2 0 2
        a ready      ‖ a:v2 graylane:v1 graylane:v2- | 2/2 2 1 2
        all ready    ‖ a:v2 graylane:v2              | 2/2 2 2 2
        """,
        Fields(daemon_set(updateStrategy=rolling(0, 1)), "a", hold=True),
    )


def test_on_delete_changes_a_pod_when_its_user_deletes_it() -> None:
    fields = Fields(daemon_set(updateStrategy={"type": "OnDelete"}), "a")
    fields.act("create")
    fields.act("image v2")
    assert fields.by_node() == "a:v1 graylane:v1"
    fields.world.delete(POD, NS, fields.named("a"))
    fields.settle()
    assert fields.by_node() == "a:v2 graylane:v1"
    assert fields.revisions() == "1:v1 2:v2"


def test_nodes_come_and_go_with_their_pods() -> None:
    told(
        """
        what happens       ‖ pods             | status
        create             ‖ graylane:v1      | 1/1 1 1 1
        node a             ‖ a:v1 graylane:v1 | 2/2 2 2 2
        cordon a           ‖ a:v1 graylane:v1 | 2/2 2 2 2
        taint a NoSchedule ‖ a:v1 graylane:v1 | 1/1 1 1 1
        taint a NoExecute  ‖ graylane:v1      | 1/1 1 1 1
        """,
        Fields(daemon_set()),
    )


def test_only_nodes_that_the_template_selects_get_a_pod() -> None:
    told(
        """
        what happens ‖ pods | status
        create       ‖      | 0/0 0 0 0
        label a fast ‖ a:v1 | 1/1 1 1 1
        label a slow ‖      | 0/0 0 0 0
        """,
        Fields(daemon_set(**with_pod_spec(nodeSelector={"disk": "fast"})), "a"),
    )


def test_a_cordoned_node_gets_its_daemon_all_the_same() -> None:
    fields = Fields(daemon_set())
    fields.act("cordon graylane")
    assert fields.by_node() == "graylane:v1"


def test_a_failed_pod_is_replaced_after_a_pause() -> None:
    fields = Fields(daemon_set())
    fields.act("create")
    name = fields.named("graylane")
    fields.finish(name, "Failed")
    fields.settle()
    assert fields.named("graylane") == name, "a node that refuses pods must not be asked without end"
    fields.act("10 seconds")
    assert fields.named("graylane") != name
    assert fields.by_node() == "graylane:v1"
    assert "FailedDaemonPod" in fields.says()


def test_a_second_pod_on_a_node_is_one_too_many() -> None:
    fields = Fields(daemon_set())
    fields.act("create")
    first = fields.named("graylane")
    fields.world.clock.advance(5)
    stray = {"metadata": {"name": "stray", "namespace": NS, "labels": {"app": "web"}}}
    fields.world.put(POD, stray | {"spec": {"nodeName": "graylane", **template()["spec"]}})
    fields.settle()
    assert [name_of(pod) for pod in fields.pods()] == [first]


def test_a_pod_counts_as_available_only_after_min_ready_seconds() -> None:
    told(
        """
        what happens ‖ pods        | status
        create       ‖ graylane:v1 | 1/1 1 1 0
        9 seconds    ‖ graylane:v1 | 1/1 1 1 0
        2 seconds    ‖ graylane:v1 | 1/1 1 1 1
        """,
        Fields(daemon_set(minReadySeconds=10)),
    )


def test_a_daemon_is_bound_to_its_node_by_affinity_and_tolerates_a_sick_one() -> None:
    fields = Fields(daemon_set(**with_pod_spec(hostNetwork=True, tolerations=[{"key": "mine", "operator": "Exists"}])))
    fields.act("create")
    [pod] = fields.pods()
    assert node_of({"spec": {"affinity": pod["spec"]["affinity"]}}) == "graylane"
    keys = [toleration["key"].removeprefix("node.kubernetes.io/") for toleration in pod["spec"]["tolerations"]]
    assert keys[0] == "mine"
    assert {"not-ready", "unschedulable", "network-unavailable"} <= set(keys)
    [revision] = fields.world.list(CONTROLLER_REVISION)
    assert labels_of(pod)["controller-revision-hash"] == name_of(revision).removeprefix("web-")
    assert (controller_of(pod) or {})["kind"] == "DaemonSet"
