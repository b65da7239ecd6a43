"""Where Istio's own pilot was found to make another table than ours did: what it makes, in our words."""

from __future__ import annotations

import pytest
import yaml

from graylane.mesh import entries, read
from graylane.mesh.compile.connections import tcp_targets
from graylane.mesh.compile.directory import Client, Services
from graylane.mesh.compile.joined import joined
from graylane.mesh.compile.origination import Origination, origination
from graylane.mesh.compile.plan import Plan
from graylane.mesh.compile.policy import policy_for
from graylane.mesh.compile.rules import RuleBook, merge
from graylane.mesh.compile.world import world_of
from graylane.mesh.compiler import compile
from graylane.mesh.inputs import MeshConfig, Protocol
from graylane.mesh.memo import Memo
from graylane.mesh.table import Forward, Redirect, Route, VirtualHost
from graylane.testing import meshes

TOWN = """
kind: Service
metadata: {name: b}
spec: {selector: {app: b}, clusterIP: 10.96.0.10, ports: [{name: http, port: 8000}]}
---
kind: Service
metadata: {name: two}
spec: {selector: {app: b}, clusterIP: 10.96.0.12, ports: [{name: http, port: 8000}, {name: http-alt, port: 9000}]}
---
kind: Service
metadata: {name: c}
spec: {selector: {app: c}, clusterIP: 10.96.0.11, ports: [{name: http, port: 80}]}
---
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
B, TWO, C = (f"{name}.shop.svc.cluster.local" for name in ("b", "two", "c"))


def planned(*texts: str) -> Plan:
    found = meshes.Cluster(mesh=MeshConfig(access_log=""))
    found.apply(*meshes.manifests(TOWN, *texts, namespace="shop"), meshes.gateway_service(30080))
    found.pods = [
        meshes.gateway_pod("127.9.0.1", "127.0.0.1"),
        meshes.pod("client", "127.9.0.2", {"tier": "front"}, namespace="shop"),
    ]
    return compile(found.inputs()).plan


def host(plan: Plan, domain: str, *, gateway: bool = False) -> VirtualHost | None:
    table = plan.tables[plan.listeners["127.9.0.1_8080" if gateway else "127.9.0.2_15001"].table]
    return next((each for each in table.hosts if domain in each.domains), None)


def routes(plan: Plan, domain: str, *, gateway: bool = False) -> list[Route]:
    found = host(plan, domain, gateway=gateway)
    return [route for route in found.routes if not route.match.connect] if found else []


def forward(plan: Plan, domain: str, *, gateway: bool = False) -> Forward:
    action = routes(plan, domain, gateway=gateway)[0].action
    assert isinstance(action, Forward)
    return action


def vs(spec: str, name: str = "vs") -> str:
    return f"kind: VirtualService\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def dr(spec: str) -> str:
    return f"kind: DestinationRule\nmetadata: {{name: dr}}\nspec: {spec}\n"


def test_without_port_a_gateway_takes_a_services_only_one_and_a_sidecar_the_one_that_was_called() -> None:
    found = planned(vs("{hosts: [b], gateways: [mesh, gw], http: [{route: [{destination: {host: c}}]}]}"))
    assert forward(found, f"{B}:8000").targets[0].cluster == f"outbound|8000||{C}"
    assert forward(found, B, gateway=True).targets[0].cluster == f"outbound|80||{C}"


def test_a_host_that_is_no_service_is_called_by_port_80_and_by_those_of_a_service_beside_it() -> None:
    route = "http: [{route: [{destination: {host: b}}]}]"
    found = planned(vs(f"{{hosts: [b, book.example.com], {route}}}"), vs(f"{{hosts: [a.example.com], {route}}}", "a"))
    assert host(found, "book.example.com:8000")
    assert host(found, "book.example.com")
    assert host(found, "a.example.com")
    assert not host(found, "a.example.com:8000")


def test_a_service_is_no_service_on_a_port_that_only_one_beside_it_has() -> None:
    found = planned(vs("{hosts: [b, two], http: [{route: [{destination: {host: two}}]}]}"))
    assert forward(found, f"{B}:9000").targets[0].cluster == f"outbound|9000||{TWO}"


def test_nothing_listens_on_port_80_where_no_service_in_scope_has_it() -> None:
    sidecar = "kind: Sidecar\nmetadata: {name: s}\nspec: {egress: [{hosts: [shop/b.shop.svc.cluster.local, x/*]}]}\n"
    text = vs("{hosts: [b, book.example.com], http: [{route: [{destination: {host: b}}]}]}")
    found = planned(sidecar, text)
    assert host(found, "book.example.com:8000")
    assert not host(found, "book.example.com")


def test_a_wildcard_speaks_for_a_service_only_where_nobody_names_it() -> None:
    named = vs("{hosts: [b], http: [{match: [{sourceLabels: {app: x}}], route: [{destination: {host: c}}]}]}", "named")
    every = vs("{hosts: ['*.shop.svc.cluster.local'], http: [{redirect: {uri: /x}}]}", "every")
    found = planned(named, every)
    assert [route.name for route in routes(found, f"{B}:8000")] == ["default"]
    assert not isinstance(routes(found, f"{TWO}:8000")[0].action, Forward)


def test_what_is_left_of_several_destinations_keeps_its_edits_to_itself() -> None:
    one = "{destination: {host: b}, weight: 1, headers: {request: {set: {x: own}}}}"
    rule = f"[{one}, {{destination: {{host: c}}, weight: 0}}], headers: {{request: {{set: {{x: rule}}}}}}"
    found = planned(vs(f"{{hosts: [b], http: [{{route: {rule}}}]}}"))
    (route,) = routes(found, f"{B}:8000")
    assert forward(found, f"{B}:8000").split
    assert route.request.set == (("x", "rule"),)
    assert forward(found, f"{B}:8000").targets[0].request.set == (("x", "own"),)


def test_what_the_only_destination_sets_replaces_what_its_rule_added() -> None:
    rule = "[{destination: {host: b}, headers: {request: {set: {X: own}}}}], headers: {request: {add: {x: rule, y: r}}}"
    found = planned(vs(f"{{hosts: [b], http: [{{route: {rule}}}]}}"))
    (route,) = routes(found, f"{B}:8000")
    assert (route.request.set, route.request.add) == ((("X", "own"),), (("y", "r"),))


def test_all_hosts_of_a_server_that_redirects_to_https_are_redirected() -> None:
    gateway = """
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['SPACE*'], tls: {httpsRedirect: true}}
"""
    rule = vs("{hosts: [a.example.com], gateways: [gw], http: [{route: [{destination: {host: b}}]}]}")
    found = planned(gateway.replace("SPACE", ""), rule)
    assert all(
        each and each.https_only for each in (host(found, name, gateway=True) for name in ("a.example.com", "*"))
    )
    found = planned(gateway.replace("SPACE", "shop/"), rule)
    named = host(found, "a.example.com", gateway=True)
    assert named
    assert named.https_only
    assert host(found, "*", gateway=True) is None


HASHED = """{host: b, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: all}},
  portLevelSettings: [{port: {number: 8000}, loadBalancer: {consistentHash: {httpHeaderName: port}}}]}, subsets: [
  {name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}},
  {name: v2, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: near}}}}]}"""


@pytest.mark.parametrize(
    ("destination", "names"),
    [
        ("{host: b}", ["all"]),
        ("{host: b, port: {number: 8000}}", ["port"]),
        ("{host: b, subset: v1}", ["all"]),
        ("{host: b, subset: v2, port: {number: 8000}}", ["near"]),
    ],
)
def test_a_route_hashes_by_the_nearest_block_that_hashes(destination: str, names: list[str]) -> None:
    found = planned(dr(HASHED), vs(f"{{hosts: [b], http: [{{route: [{{destination: {destination}}}]}}]}}"))
    made = forward(found, f"{B}:8000")
    assert [key.name for key in made.hash_keys] == names
    assert made.retry
    assert not made.retry.avoid


def test_a_split_hashes_by_all_of_its_destinations_and_may_retry_elsewhere() -> None:
    both = "[{destination: {host: b, subset: v2}, weight: 1}, {destination: {host: b}, weight: 1}]"
    found = planned(dr(HASHED), vs(f"{{hosts: [b], http: [{{route: {both}}}]}}"))
    made = forward(found, f"{B}:8000")
    assert [key.name for key in made.hash_keys] == ["near", "all"]
    assert made.retry
    assert made.retry.avoid


def test_a_service_without_rules_hashes_and_may_retry_elsewhere() -> None:
    made = forward(planned(dr(HASHED)), f"{B}:8000")
    assert [key.name for key in made.hash_keys] == ["port"]
    assert made.retry
    assert made.retry.avoid


def delegated(root: str, *ours: str) -> list[str]:
    """The paths that are left when `root` delegates to a rule with these matches."""
    inner = vs(f"{{http: [{{match: [{', '.join(ours)}], route: [{{destination: {{host: b}}}}]}}]}}", "inner")
    found = planned(vs(f"{{hosts: [b], http: [{{match: [{root}], delegate: {{name: inner}}}}]}}"), inner)
    return [route.match.path.value for route in routes(found, f"{B}:8000") if route.name != "default"]


def test_a_delegates_rule_falls_away_when_one_of_its_matches_is_in_none_of_the_roots() -> None:
    assert delegated("{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}", "{uri: {exact: /c}}") == []


def test_a_delegates_matches_come_in_their_own_order() -> None:
    paths = delegated("{uri: {prefix: /a}}, {uri: {prefix: /b}}", "{uri: {exact: /b/1}}", "{method: {exact: GET}}")
    assert paths == ["/b/1", "/a", "/b"]


@pytest.mark.parametrize(
    ("root", "ours", "left"),
    [
        ("{headers: {x: {prefix: a}}}", "{headers: {x: {exact: ab}}, uri: {prefix: /p}}", ["/p"]),
        ("{headers: {x: {exact: a}}}", "{headers: {x: {prefix: a}}, uri: {prefix: /p}}", []),
        ("{headers: {x: {}}}", "{headers: {x: {exact: a}}, uri: {prefix: /p}}", []),
        ("{method: {exact: GET}}", "{method: {exact: GET}, uri: {prefix: /p}}", ["/p"]),
        ("{method: {regex: G.*}}", "{method: {regex: G.*}, uri: {prefix: /p}}", []),
        ("{uri: {prefix: /p}, ignoreUriCase: true}", "{method: {exact: GET}}", []),
        ("{sourceNamespace: shop}", "{uri: {prefix: /p}}", []),
        ("{uri: {prefix: /p}}", "{sourceNamespace: shop}", ["/p"]),
        ("{gateways: [mesh]}", "{gateways: [mesh, gw], uri: {prefix: /p}}", []),
        ("{gateways: [mesh, gw]}", "{gateways: [mesh], uri: {prefix: /p}}", ["/p"]),
    ],
)
def test_a_delegate_may_only_narrow_what_its_root_asks_for(root: str, ours: str, left: list[str]) -> None:
    assert delegated(root, ours) == left


def test_a_gateway_speaks_http_1_to_a_port_that_does_not_tell_and_a_pod_what_it_is_asked_in() -> None:
    odd = "kind: Service\nmetadata: {name: odd}\nspec: {selector: {app: b}, ports: [{name: web, port: 8000}]}\n"
    found = planned(odd, vs("{hosts: [x.y], gateways: [gw], http: [{route: [{destination: {host: odd}}]}]}"))
    at_gateway = found.clusters[forward(found, "x.y", gateway=True).targets[0].cluster]
    in_mesh = found.clusters[forward(found, "odd:8000").targets[0].cluster]
    assert (at_gateway.protocol, in_mesh.protocol) == (Protocol.HTTP, Protocol.AUTO)


def door(*servers: str, name: str = "door") -> str:
    """A Gateway with port 8443 for each of `servers`, which say its protocol and go on from there."""
    written = ", ".join(f"{{port: {{number: 8443, name: p{number}, {rest}}}" for number, rest in enumerate(servers))
    spec = f"{{selector: {{istio: ingressgateway}}, servers: [{written}]}}"
    return f"kind: Gateway\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def led(plan: Plan, address: str) -> list[tuple[tuple[str, ...], str]]:
    return [(chain.names, chain.targets[0].cluster) for chain in plan.listeners[address].chains]


def test_who_connects_to_a_gateway_has_no_labels_and_no_namespace() -> None:
    told = "sourceLabels: {tier: front}, sourceNamespace: other"
    rules = f"tls: [{{match: [{{sniHosts: [x.y], {told}}}], route: [{{destination: {{host: c}}}}]}}]"
    passing = door("protocol: TLS}, hosts: [x.y], tls: {mode: PASSTHROUGH}")
    found = planned(passing, vs(f"{{hosts: [x.y], gateways: [door], {rules}}}"))
    assert led(found, "127.9.0.1_8443") == [(("x.y",), f"outbound|80||{C}")]


@pytest.mark.parametrize(("labels", "meant"), [("{tier: front}", True), ("{tier: back}", False)])
def test_a_match_of_connections_that_names_gateways_asks_for_labels_too(labels: str, meant: bool) -> None:
    match = f"{{gateways: [mesh], sourceLabels: {labels}}}"
    rules = f"tcp: [{{match: [{match}], route: [{{destination: {{host: c}}}}]}}]"
    found = meshes.Cluster(mesh=MeshConfig(access_log=""))
    found.apply(*meshes.manifests(TOWN, vs(f"{{hosts: [b], {rules}}}"), namespace="shop"))
    world = world_of(found.inputs(), Memo())
    client = Client("", "shop", {"tier": "front"}, frozenset({"mesh"}), world.services)
    assert bool(tcp_targets(world.virtual_services[0], client, 8000, world.domain)) is meant


def test_what_passes_is_told_apart_by_its_rules_names_and_not_by_its_servers() -> None:
    passing = [f"protocol: TLS}}, hosts: ['{space}/*.x'], tls: {{mode: PASSTHROUGH}}" for space in ("other", "shop")]
    rules = "tls: [{match: [{sniHosts: [a.x]}], route: [{destination: {host: c}}]}]"
    found = planned(door(*passing), vs(f"{{hosts: ['*.x'], gateways: [door], {rules}}}"))
    assert led(found, "127.9.0.1_8443") == [(("a.x",), f"outbound|80||{C}")]


def test_a_server_for_all_hosts_has_no_others() -> None:
    found = planned(
        "kind: Gateway\nmetadata: {name: wide}\nspec:\n  selector: {istio: ingressgateway}\n"
        '  servers: [{port: {number: 9000, name: http, protocol: HTTP}, hosts: ["*/*", k.y]}]\n',
        vs("{hosts: ['*.y'], gateways: [wide], http: [{route: [{destination: {host: c}}]}]}"),
    )
    table = found.tables[found.listeners["127.9.0.1_9000"].table]
    assert [each.domains for each in table.hosts] == [("*.y",)]


@pytest.mark.parametrize(
    ("redirect", "written"),
    [
        ("{authority: x, port: 80}", 0),
        ("{authority: x, port: 443}", 443),
        ("{authority: x, scheme: https, port: 443}", 0),
        ("{authority: x, scheme: https, port: 80}", 80),
        ("{authority: x, scheme: https, derivePort: FROM_REQUEST_PORT}", 8000),
    ],
)
def test_a_redirect_does_not_write_the_port_that_its_scheme_means(redirect: str, written: int) -> None:
    found = planned(vs(f"{{hosts: [b], http: [{{redirect: {redirect}}}]}}"))
    action = routes(found, f"{B}:8000")[0].action
    assert isinstance(action, Redirect)
    assert action.port == written


HTTP_PORT = "{number: 80, name: http, protocol: HTTP}"


def entry(name: str, spec: str) -> str:
    written = f"{{hosts: [out.example], resolution: STATIC, {spec}}}"
    return f"kind: ServiceEntry\nmetadata: {{name: {name}}}\nspec: {written}\n"


def test_several_entries_for_one_host_are_one_service_with_the_endpoints_and_ports_of_all() -> None:
    http, more = "{number: 80, name: http, protocol: HTTP}", "{number: 8080, name: http-more, protocol: HTTP}"
    found = planned(
        entry("first", f"ports: [{http}], endpoints: [{{address: 10.0.0.1}}]"),
        entry("second", f"ports: [{http}, {more}], endpoints: [{{address: 10.0.0.2}}]"),
        entry("third", f"ports: [{http}], workloadSelector: {{labels: {{tier: front}}}}"),
        entry("wider", f"ports: [{http}], endpoints: [{{address: 10.0.0.9}}], exportTo: ['*']"),
    )
    cluster = found.clusters["outbound|80||out.example"]
    everywhere = {"10.0.0.1", "10.0.0.2", "10.0.0.9", "127.9.0.2"}
    assert {each.address for each in found.picked(cluster)} == everywhere
    assert {source.name for source in cluster.sources} == {"first", "second", "third", "wider"}
    assert host(found, "out.example:8080")


NAMED = [
    ("common, shared, private", "private"),
    ("common, shared", "shared"),
    ("common, own", "common"),
    ("own, common", "own"),
]


@pytest.mark.parametrize(("order", "meant"), NAMED)
def test_of_entries_of_several_namespaces_the_nearest_is_meant_and_then_the_oldest(order: str, meant: str) -> None:
    exported = {
        "private": ("shop", ["."]),
        "shared": ("other", ["shop"]),
        "common": ("other", ["*"]),
        "own": ("shop", ["*"]),
    }
    made = []
    for age, name in enumerate(order.split(", ")):
        namespace, scopes = exported[name]
        more = f"endpoints: [{{address: 10.0.0.{age}}}], exportTo: {scopes}"
        (obj,) = meshes.manifests(entry(name, f"ports: [{HTTP_PORT}], {more}"), namespace=namespace)
        made.insert(0, {**obj, "metadata": {**obj["metadata"], "creationTimestamp": f"2024-01-01T00:00:0{age}Z"}})
    services = Services(joined(tuple(map(entries.service_entry, made)), Memo()), RuleBook((), "istio-system"))
    found = services.seen_from("shop", "out.example")
    assert found is not None
    assert found.entry is not None
    assert found.entry.name == meant


def test_what_entries_make_together_stays_the_same_while_none_of_them_changes() -> None:
    port = "ports: [{number: 80, name: http, protocol: HTTP}]"
    texts = (entry("a", f"{port}, endpoints: [{{address: 10.0.0.1}}]"), entry("b", f"{port}, endpoints: []"))
    both = tuple(entries.service_entry(each) for each in meshes.manifests(*texts, namespace="shop"))
    memo = Memo()
    first = joined(both, memo)
    memo.turn()
    other = entries.service_entry(meshes.manifests(entry("c", port), namespace="other")[0])
    assert joined((*both, other), memo)[0] is first[0]


@pytest.mark.parametrize(("protocol", "led"), [("TLS", "two"), ("HTTPS", "two"), ("TCP", "c")])
def test_tls_rules_are_for_ports_that_speak_tls_and_tcp_rules_for_the_others(protocol: str, led: str) -> None:
    port = f"{{number: 443, name: any, protocol: {protocol}}}"
    made = f"kind: ServiceEntry\nmetadata: {{name: e}}\nspec: {{hosts: [e.x], resolution: DNS, ports: [{port}]}}\n"
    there = "tls: [{match: [{sniHosts: [e.x]}], route: [{destination: {host: two}}]}]"
    other = "tcp: [{route: [{destination: {host: c}}]}]"
    found = planned(made, vs(f"{{hosts: [e.x], {there}, {other}}}"))
    action = routes(found, "e.x:443")[0].action
    assert isinstance(action, Forward)
    assert action.targets[0].cluster.rpartition("|")[2].startswith(f"{led}.")


PROXIED = [
    ("{proxyProtocol: {version: V2}}", "{}", "V2"),
    ("{proxyProtocol: {version: V2}}", "{proxyProtocol: {version: V1}}", "V1"),
    ("{proxyProtocol: {version: V2}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}", "{}", ""),
    ("{proxyProtocol: {version: V2}, portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]}", "{}", "V2"),
    ("{proxyProtocol: {}}", "{proxyProtocol: {version: V2}, portLevelSettings: [{port: {number: 80}}]}", "V1"),
]


@pytest.mark.parametrize(("policy", "subset", "version"), PROXIED)
def test_the_proxy_protocol_is_lost_where_its_policy_has_settings_for_the_port(
    policy: str, subset: str, version: str
) -> None:
    spec = f"{{host: c, trafficPolicy: {policy}, subsets: [{{name: v1, labels: {{}}, trafficPolicy: {subset}}}]}}"
    (obj,) = meshes.manifests(f"kind: DestinationRule\nmetadata: {{name: c}}\nspec: {spec}\n", namespace="shop")
    rule = merge((read.destination_rule(obj, "cluster.local"),))
    assert policy_for(rule, 80, rule.subset("v1")).proxy_protocol == version


@pytest.mark.parametrize(("names", "checked"), [("", True), (", subjectAltNames: [a.x]", False)])
def test_names_of_a_service_entry_are_asked_for_besides_the_name_that_was_called(names: str, checked: bool) -> None:
    spec = "{hosts: [e.x], ports: [{number: 80, name: http}], resolution: DNS, subjectAltNames: [b.x]}"
    (obj,) = meshes.manifests(f"kind: ServiceEntry\nmetadata: {{name: e}}\nspec: {spec}\n", namespace="shop")
    tls = yaml.safe_load(f"{{mode: SIMPLE, caCertificates: /ca.pem{names}}}")
    found = origination(tls, entries.service_entry(obj).services[0], "", meshes.Cluster().inputs())
    assert isinstance(found, Origination)
    assert found.checks_host is checked
    assert found.names == (("b.x",) if checked else ("a.x",))
