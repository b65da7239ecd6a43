"""The spoof guard: what a gateway takes from a request, by an annotation of its Gateway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graylane.chain.match import Request
from graylane.mesh.compile.guard import findings, stripped
from graylane.mesh.compile.plan import plan
from graylane.mesh.encode.snapshot import encode
from graylane.mesh.inputs import Inputs
from graylane.mesh.memo import Memo
from graylane.mesh.read import SPOOF_GUARD, gateway
from graylane.mesh.simulate import Decision, simulate
from graylane.mesh.snapshot import Type
from graylane.mesh.store import Store
from graylane.model.kinds import GATEWAY
from graylane.model.meta import Key, Obj
from graylane.testing import meshes

LANES = frozenset({"my-request-id"})
RULES = """
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 8000}], selector: {app: a}}
---
kind: VirtualService
metadata: {name: vs}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - match: [{headers: {my-request-id: {exact: canary}}}]
    directResponse: {status: 299}
  - route: [{destination: {host: a}}]
"""


def gateway_object(guard: str | None) -> Obj:
    annotations = {} if guard is None else {SPOOF_GUARD: guard}
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    return {
        "kind": "Gateway",
        "metadata": {"name": "gw", "annotations": annotations, "generation": 1, "uid": "1"},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": servers},
    }


@pytest.mark.parametrize(
    ("guard", "names"),
    [
        (None, set()),
        ("false", set()),
        ("lanes", {"my-request-id"}),
        ("true", {"my-request-id"}),
        (" X-Tenant , my-lane", {"x-tenant", "my-lane"}),
        ("x-tenant,:path,host,two words", {"x-tenant"}),
    ],
)
def test_the_annotation_names_headers_or_all_that_mark_a_lane(guard: str | None, names: set[str]) -> None:
    assert stripped(gateway(gateway_object(guard)), LANES) == names


def test_what_cannot_be_taken_away_is_told_on_the_gateway() -> None:
    messages = [each.message for each in findings(gateway(gateway_object("x-tenant,:path,host")))]
    assert [message.partition(": ")[2] for message in messages] == [
        f"annotation {SPOOF_GUARD}: ':path' is no header that a gateway may take away",
        f"annotation {SPOOF_GUARD}: 'host' is no header that a gateway may take away",
    ]
    found = plan(inputs("host"), Memo()).findings
    assert [told.code for source, told_of in found.items() if source.kind == "Gateway" for told in told_of] == [
        "IST0106"
    ]


def inputs(guard: str | None, lanes: frozenset[str] = LANES) -> Inputs:
    cluster = meshes.Cluster()
    cluster.pods = [meshes.gateway_pod("127.9.0.1", "127.0.0.1"), meshes.pod("a1", "127.9.0.2", {"app": "a"})]
    service = meshes.gateway_service(30080)
    cluster.apply(*meshes.manifests(RULES), {**service, "metadata": {**service["metadata"], "generation": 1}})
    cluster.apply({**gateway_object(guard), "metadata": {**gateway_object(guard)["metadata"], "namespace": "default"}})
    return replace(cluster.inputs(), lanes=lanes)


def decided(guard: str | None, listener: str = "127.0.0.1_30080") -> Decision:
    request = Request("shop", headers=(("my-request-id", "canary"), ("user", "ann")))
    return simulate(plan(inputs(guard), Memo()), listener, request)


def test_a_guarded_gateway_routes_as_if_the_client_had_not_dyed_its_request() -> None:
    assert (decided(None).route or decided("lanes").route).place == "http[0]"  # type: ignore[union-attr]
    for listener in ("127.0.0.1_30080", "127.9.0.1_8080"):
        found = decided("lanes", listener)
        assert (found.route.place if found.route else "") == "http[1]"
        assert found.stripped == (("my-request-id", "canary"),)


def test_what_the_edge_itself_dyes_is_not_taken_away() -> None:
    dyed = Request("shop", headers=(("my-request-id", "canary"),))
    found = simulate(plan(inputs("lanes"), Memo()), "127.0.0.1_30080", dyed, within=True)
    assert (found.route.place if found.route else "", found.stripped) == ("http[0]", ())


def test_a_new_lane_changes_listeners_of_guarded_gateways_only() -> None:
    def listeners(guard: str | None, lanes: frozenset[str]) -> dict[str, str]:
        snapshot = encode(plan(inputs(guard, lanes), Memo()), Memo(), 1)
        return {name: each.version for name, each in snapshot.of(Type.LISTENER).items()}

    more = LANES | {"x-tenant"}
    assert listeners(None, LANES) == listeners(None, more)
    before, after = listeners("lanes", LANES), listeners("lanes", more)
    assert {name for name, version in after.items() if version != before[name]} == {"127.0.0.1_30080", "127.9.0.1_8080"}


def test_the_annotation_counts_although_it_is_no_new_generation() -> None:
    store = Store(inputs(None).mesh)
    old, new = gateway_object(None), gateway_object("lanes")
    store.take(GATEWAY, Key("default", "gw"), None, old)
    store.inputs()
    store.take(GATEWAY, Key("default", "gw"), old, new)
    assert store.dirty
    assert [each.guard for each in store.inputs().gateways] == ["lanes"]
