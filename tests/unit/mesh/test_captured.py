"""What listens at a Service's own address inside a pod's network namespace, by the port's protocol and its rules."""

from __future__ import annotations

import pytest
from envoy.config.listener.v3 import listener_pb2

from graylane.mesh.compile.listeners import ListenerSpec
from graylane.mesh.compile.plan import plan
from graylane.mesh.compiler import compile
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Type
from graylane.testing import meshes

WORLD = """
kind: Service
metadata: {name: b}
spec: {selector: {app: b}, clusterIP: 10.96.0.10, ports: [{name: PORT, port: 5000}]}
---
kind: DestinationRule
metadata: {name: b}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""
SPLIT = "[{destination: {host: b, subset: v1}, weight: 1}, {destination: {host: b, subset: v2}, weight: 3}]"
TCP = f"""
kind: VirtualService
metadata: {{name: b}}
spec: {{hosts: [b], tcp: [{{route: {SPLIT}}}]}}
"""
TLS = """
kind: VirtualService
metadata: {name: b}
spec: {hosts: [b], tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: b, subset: v2}}]}]}
"""
SIDECAR = """
kind: Sidecar
metadata: {name: s}
spec: {egress: [{hosts: [other/*]}]}
"""
B = "b.default.svc.cluster.local"


def captured(port: str, *more: str) -> ListenerSpec:
    found = meshes.Cluster(mesh=MeshConfig(namespaces="/run/netns/"))
    found.apply(*meshes.manifests(WORLD.replace("PORT", port), *more))
    found.pods = [meshes.pod("client", "127.9.0.1", {"app": "client"}, host_ip="127.0.0.1")]
    return plan(found.inputs(), Memo()).listeners["10.96.0.10_5000@127.9.0.1"]


@pytest.mark.parametrize(("port", "routed", "raw"), [("http", True, False), ("any", True, True), ("tcp", False, True)])
def test_http_is_routed_and_other_bytes_go_to_the_service(port: str, routed: bool, raw: bool) -> None:
    found = captured(port)
    assert found.table == ("http_proxy/default" if routed else "")
    assert found.cluster == (f"outbound|5000||{B}" if raw else "")
    assert not found.chains


def test_connections_follow_tcp_rules_with_their_weights() -> None:
    (chain,) = captured("tcp", TCP).chains
    assert [(target.cluster, target.weight) for target in chain.targets] == [
        (f"outbound|5000|v1|{B}", 1),
        (f"outbound|5000|v2|{B}", 3),
    ]


def test_server_names_lead_where_tls_rules_say_and_others_to_the_service() -> None:
    named, rest = captured("tls", TLS).chains
    assert (named.names, named.targets[0].cluster) == (("a.example",), f"outbound|5000|v2|{B}")
    assert (rest.names, rest.targets[0].cluster) == ((), f"outbound|5000||{B}")


def test_what_a_sidecar_hides_is_connected_to_nothing() -> None:
    assert captured("tcp", SIDECAR).cluster == f"outbound|5000||{B}~hidden"


def test_what_is_passed_through_goes_to_the_service_that_was_connected_to() -> None:
    passed = (
        "{host: b, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}, subsets: [{name: v1, labels: {version: v1}}]}"
    )
    rule = f"kind: DestinationRule\nmetadata: {{name: b}}\nspec: {passed}\n"
    (chain,) = captured("tcp", TCP, rule).chains
    assert {target.cluster for target in chain.targets} == {f"outbound|5000||{B}"}


OPENED = """
kind: EnvoyFilter
metadata: {name: ef}
spec:
  configPatches:
  - applyTo: LISTENER
    match: {context: SIDECAR_INBOUND}
    patch: {operation: ADD, value: {name: mine, address: {socket_address: {address: 0.0.0.0, port_value: 7000}}}}
"""


def test_a_listener_that_an_envoy_filter_adds_is_in_the_pods_own_namespace() -> None:
    cluster = meshes.Cluster(mesh=MeshConfig(namespaces="/run/netns/gl-"))
    cluster.apply(*meshes.manifests(OPENED))
    cluster.pods = [meshes.pod("one", "10.179.0.2", {})]
    opened = compile(cluster.inputs()).snapshot.of(Type.LISTENER)["mine@10.179.0.2"]
    socket = listener_pb2.Listener.FromString(opened.body).address.socket_address
    assert (socket.address, socket.network_namespace_filepath) == ("10.179.0.2", "/run/netns/gl-10.179.0.2")


@pytest.mark.parametrize(("port", "rules"), [("tcp", TLS), ("tls", TCP)])
def test_rules_for_another_protocol_than_a_ports_say_nothing(port: str, rules: str) -> None:
    assert not captured(port, rules).chains
