"""Where a pod may run, and the sentence it gets when it may not."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.workloads.fitting import fit
from graylane.cluster.workloads.scheduler import Scheduler
from graylane.kit import Event
from graylane.model.kinds import NODE, POD
from graylane.model.meta import Key, Obj, condition
from graylane.testing.world import World


def node(name: str = "n1", *, ready: bool = True, **spec: Any) -> Obj:
    labels = spec.pop("labels", {})
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def affinity(*terms: Obj) -> Obj:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def expression(key: str, operator: str, *values: str) -> Obj:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("pod_spec", "on", "reason"),
    [
        ({}, node(), None),
        ({}, node(ready=False), "node(s) were not ready"),
        ({}, node(unschedulable=True), "node(s) were unschedulable"),
        ({"nodeSelector": {"disk": "fast"}}, node(labels={"disk": "fast"}), None),
        ({"nodeSelector": {"disk": "fast"}}, node(), "node(s) didn't match Pod's node affinity/selector"),
        ({}, node(taints=[TAINT]), "node(s) had untolerated taint {gpu: yes}"),
        ({}, node(taints=[TAINT | {"effect": "PreferNoSchedule"}]), None),
        ({"tolerations": [{"key": "gpu", "value": "yes"}]}, node(taints=[TAINT]), None),
        ({"tolerations": [{"operator": "Exists"}]}, node(taints=[TAINT]), None),
        ({"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]}, node(taints=[TAINT]), "node"),
        (affinity(expression("zone", "In", "a", "b")), node(labels={"zone": "b"}), None),
        (affinity(expression("zone", "NotIn", "a")), node(labels={"zone": "a"}), "node"),
        (affinity(expression("zone", "Exists")), node(), "node"),
        (affinity(expression("zone", "DoesNotExist")), node(), None),
        (affinity(expression("cores", "Gt", "4")), node(labels={"cores": "8"}), None),
        (affinity(expression("cores", "Lt", "4")), node(labels={"cores": "8"}), "node"),
        (affinity({}), node(), "node"),
        (affinity({}, expression("zone", "DoesNotExist")), node(), None),
        (affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}), node(), None),
    ],
)
def test_the_first_objection_of_a_node_is_its_reason(pod_spec: Obj, on: Obj, reason: str | None) -> None:
    verdict = fit({"spec": pod_spec}, [on])
    assert (verdict.fitting == (on,)) == (reason is None)
    if reason is not None:
        assert next(iter(verdict.reasons)).startswith(reason)


def test_reasons_are_counted_over_nodes() -> None:
    verdict = fit({"spec": {}}, [node("a", ready=False), node("b", unschedulable=True), node("c", ready=False)])
    assert verdict.message == "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) were not ready."
    assert fit({"spec": {}}, []).message == "no nodes available to schedule pods"


class Yard:
    """Pod `p` and the nodes given."""

    def __init__(self, *nodes: Obj, **spec: Any) -> None:
        self.world = World()
        for one in nodes:
            self.put_node(one)
        self.scheduler = Scheduler()
        self.world.put(POD, {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec})

    def put_node(self, one: Obj) -> None:
        self.world.put(NODE, one)
        self.world.patch(NODE, "", one["metadata"]["name"], {"status": one["status"]}, "status")

    def run(self) -> Obj:
        self.world.run([self.scheduler.controller()])
        found = self.world.get(POD, "shop", "p")
        assert found is not None
        return found


def test_a_pod_gets_the_emptiest_node_and_hears_of_it() -> None:
    yard = Yard(node("a"), node("b"))
    yard.world.put(POD, {"metadata": {"name": "q", "namespace": "shop"}, "spec": {"nodeName": "a"}})
    found = yard.run()
    assert found["spec"]["nodeName"] == "b"
    assert (condition(found, "PodScheduled") or {})["status"] == "True"
    assert [event.message for event in yard.world.events] == ["Successfully assigned shop/p to b"]


def test_a_pod_without_a_node_says_so_once_and_waits_for_any_node_to_change() -> None:
    yard = Yard(node(ready=False))
    yard.run()
    yard.run()
    assert [(event.type, event.reason) for event in yard.world.events] == [("Warning", "FailedScheduling")]
    watch = yard.scheduler.controller().watches[NODE]
    assert list(watch(node())) == [Key("shop", "p")]
    yard.world.patch(NODE, "", "n1", {"status": node()["status"]}, "status")
    assert yard.run()["spec"]["nodeName"] == "n1"
    assert list(watch(node())) == []


@pytest.mark.parametrize("spec", [{"schedulerName": "theirs"}, {"schedulingGates": [{"name": "later"}]}])
def test_pods_of_other_schedulers_and_gated_ones_are_not_placed(spec: Obj) -> None:
    yard = Yard(node(), **spec)
    assert "nodeName" not in yard.run()["spec"]
    assert not any(isinstance(event, Event) and event.type == "Warning" for event in yard.world.events)
