"""What the proxies are told of pods that come, fall ill and go."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.workloads import endpoints, legacy_endpoints
from graylane.kit import Controller
from graylane.model.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from graylane.model.meta import Key, Obj, labels_of, name_of, owner_refs
from graylane.testing.world import World

from .stage import NS
from .table import tell

CONTROLLERS = [
    Controller("endpointslices", SERVICE, endpoints.reconcile),
    Controller("endpoints", SERVICE, legacy_endpoints.reconcile),
]


class Town:
    """Service `web` and pods named by letters, driven by the lines of a story."""

    def __init__(self, **spec: Any) -> None:
        self.world = World()
        service = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8000}]}
        self.world.put(SERVICE, {"metadata": {"name": "web", "namespace": NS}, "spec": service | spec})
        self.addresses: dict[str, str] = {}

    def act(self, what: str) -> None:
        verb, _, name = what.partition(" ")
        getattr(self, verb)(*name.split())
        self.settle()

    def settle(self) -> None:
        self.world.run(CONTROLLERS)
        writes = self.world.writes
        self.world.run(CONTROLLERS)
        assert self.world.writes == writes, "at rest, one more reconcile changes nothing"

    def start(self, name: str, label: str = "web", port: str = "main=8000") -> None:
        port_name, _, number = port.partition("=")
        container = {"name": "app", "ports": [{"name": port_name, "containerPort": int(number)}]}
        spec = {"nodeName": "graylane", "containers": [container]}
        self.world.put(POD, {"metadata": {"name": name, "namespace": NS, "labels": {"app": label}}, "spec": spec})
        self.addresses[name] = f"127.20.0.{len(self.addresses) + 1}"
        self.status(name, phase="Running", podIP=self.addresses[name])

    def ready(self, name: str, value: str = "True") -> None:
        self.status(name, conditions=[{"type": "Ready", "status": value}])

    def unready(self, name: str) -> None:
        self.ready(name, "False")

    def stop(self, name: str) -> None:
        self.world.delete(POD, NS, name)

    def gone(self, name: str) -> None:
        self.world.delete(POD, NS, name, grace_seconds=0)

    def finish(self, name: str) -> None:
        self.status(name, phase="Succeeded")

    def relabel(self, name: str, label: str) -> None:
        self.world.patch(POD, NS, name, {"metadata": {"labels": {"app": label}}})

    def status(self, name: str, **fields: Any) -> None:
        self.world.patch(POD, NS, name, {"status": fields}, "status")

    def slices(self) -> list[Obj]:
        return self.world.list(ENDPOINT_SLICE, NS)

    def columns(self) -> dict[str, Any]:
        return {"slice": self.in_slices, "endpoints": self.in_endpoints}

    def in_slices(self) -> str:
        return " ".join(_told(endpoint) for s in self.slices() for endpoint in s["endpoints"])

    def in_endpoints(self) -> str:
        legacy = self.world.get(ENDPOINTS, NS, "web")
        assert legacy is not None
        names = []
        for subset in legacy["subsets"]:
            names += [address["targetRef"]["name"] for address in subset.get("addresses", [])]
            names += [f"({address['targetRef']['name']})" for address in subset.get("notReadyAddresses", [])]
        return " ".join(names)


def _told(endpoint: Obj) -> str:
    """`a`: ready. `a-`: not ready. `a~`: terminating but serving. `a~-`: terminating and not serving."""
    says = endpoint["conditions"]
    marks = ("~" if says["terminating"] else "") + ("" if says["serving"] else "-")
    assert says["ready"] == (marks == ""), "ready is: serving and not terminating"
    return str(endpoint["targetRef"]["name"]) + marks


def test_pods_are_listed_when_ready_and_marked_the_moment_they_stop() -> None:
    town = Town()
    town.settle()
    tell(
        """
        what happens  ‖ slice  | endpoints
        start a       ‖ a-     | (a)
        ready a       ‖ a      | a
        start b       ‖ a b-   | a (b)
        ready b       ‖ a b    | a b
        unready a     ‖ a- b   | b (a)
        ready a       ‖ a b    | a b
        stop a        ‖ a~ b   | b
        unready a     ‖ a~- b  | b
        gone a        ‖ b      | b
        start c db    ‖ b      | b
        relabel c web ‖ b c-   | b (c)
        relabel c db  ‖ b      | b
        finish b      ‖        |
        """,
        town.act,
        town.columns(),
    )


def test_a_service_that_publishes_unready_addresses_lists_every_pod_as_ready() -> None:
    town = Town(publishNotReadyAddresses=True)
    town.act("start a")
    town.act("stop a")
    assert town.slices()[0]["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": True}
    assert town.in_endpoints() == "a"


def test_a_slice_says_whose_it_is_and_where_each_pod_runs() -> None:
    town = Town()
    town.act("start a")
    [found] = town.slices()
    assert labels_of(found) == {
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP"}]
    assert found["endpoints"][0]["addresses"] == ["127.20.0.1"]
    assert found["endpoints"][0]["nodeName"] == "graylane"
    assert found["endpoints"][0]["targetRef"]["kind"] == "Pod"
    assert owner_refs(found)[0]["kind"] == "Service"
    assert name_of(found).startswith("web-")


def test_a_named_target_port_is_looked_up_in_each_pod_and_pods_that_differ_get_slices_of_their_own() -> None:
    town = Town(ports=[{"name": "http", "port": 80, "targetPort": "main"}])
    for pod in ("start a web main=8000", "start b web main=9000", "start c web other=1"):
        town.act(pod)
    ports = {s["endpoints"][0]["targetRef"]["name"]: [port["port"] for port in s["ports"]] for s in town.slices()}
    assert ports == {"a": [8000], "b": [9000], "c": []}


@pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName", "externalName": "example.org"}])
def test_services_that_select_no_pods_are_left_to_their_makers(spec: dict[str, Any]) -> None:
    town = Town(**spec)
    town.act("start a")
    assert town.slices() == []
    assert town.world.get(ENDPOINTS, NS, "web") is None


def test_a_headless_service_says_so_on_its_slices() -> None:
    town = Town(clusterIP="None")
    town.act("start a")
    assert labels_of(town.slices()[0])["service.kubernetes.io/headless"] == ""


def test_a_deleted_service_takes_its_endpoints_along_but_not_those_of_users() -> None:
    town = Town()
    town.act("start a")
    town.world.put(ENDPOINTS, {"metadata": {"name": "mine", "namespace": NS}, "subsets": []})
    town.world.delete(SERVICE, NS, "web")
    town.world.run(CONTROLLERS)
    assert legacy_endpoints.reconcile(town.world.view(), Key(NS, "mine"), town.world.now()).effects == ()
    town.world.apply(legacy_endpoints.reconcile(town.world.view(), Key(NS, "web"), town.world.now()))
    assert [name_of(obj) for obj in town.world.list(ENDPOINTS, NS)] == ["mine"]


def test_many_pods_fill_slices_of_a_hundred_and_leaving_touches_one_slice() -> None:
    town = Town()
    for number in range(230):
        town.start(f"p{number:03}")
    town.settle()
    assert sorted(len(s["endpoints"]) for s in town.slices()) == [30, 100, 100]
    before = {name_of(s): s["metadata"]["resourceVersion"] for s in town.slices()}
    town.world.delete(POD, NS, "p005")
    town.settle()
    after = {name_of(s): s["metadata"]["resourceVersion"] for s in town.slices()}
    assert sum(before[name] != after[name] for name in before) == 1
