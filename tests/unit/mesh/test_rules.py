"""DestinationRules: which one holds for a client, what several add up to, which blocks of a policy hold."""

from graylane.mesh import read
from graylane.mesh.compile.policy import policy_for
from graylane.mesh.compile.rules import Rule, RuleBook, merge
from graylane.mesh.inputs import Protocol, Service, ServicePort
from graylane.testing.meshes import manifests

B = Service(
    "shop", "b", "b.shop.svc.cluster.local", (ServicePort("http", 8000, Protocol.HTTP, 8000, 0),), (), {}, False
)


def rules(text: str) -> list[Rule]:
    return [merge([read.destination_rule(obj, "cluster.local")]) for obj in manifests(text, namespace="shop")]


def book(text: str) -> RuleBook:
    written = [read.destination_rule(obj, "cluster.local") for obj in manifests(text, namespace="shop")]
    return RuleBook(written, "istio-system")


def rule(host: str, namespace: str, extra: str = "") -> str:
    return (
        "kind: DestinationRule\n"
        f"metadata: {{name: '{namespace}-{len(host)}', namespace: {namespace}}}\n"
        f"spec: {{host: '{host}'{extra}}}\n---\n"
    )


def chosen(text: str, namespace: str = "client", **labels: str) -> str:
    found = book(text).effective(B, namespace, labels)
    return f"{found.namespace} {found.host}" if found else ""


FULL = "b.shop.svc.cluster.local"


def test_the_clients_own_rule_wins_even_when_it_is_only_a_wildcard() -> None:
    assert chosen(rule(FULL, "shop") + rule("*.local", "client")) == "client *.local"


def test_the_services_own_rule_holds_for_everybody_else() -> None:
    assert chosen(rule(FULL, "shop") + rule(FULL, "istio-system")) == f"shop {FULL}"


def test_a_rule_kept_private_next_to_the_service_is_passed_over() -> None:
    text = rule(FULL, "shop", ", exportTo: ['.']") + rule(FULL, "istio-system")
    assert chosen(text) == f"istio-system {FULL}"
    assert chosen(text, "shop") == f"shop {FULL}"


def test_rules_of_third_namespaces_count_for_nobody() -> None:
    assert chosen(rule(FULL, "elsewhere")) == ""


def test_the_most_specific_host_of_a_namespace_holds() -> None:
    assert chosen(rule("*.local", "shop") + rule("*.svc.cluster.local", "shop")) == "shop *.svc.cluster.local"


def test_a_rule_with_a_workload_selector_holds_for_the_pods_it_selects_and_ends_the_search_for_the_others() -> None:
    text = rule(FULL, "client", ", workloadSelector: {matchLabels: {app: c}}") + rule(FULL, "shop")
    assert chosen(text, app="c") == f"client {FULL}"
    assert chosen(text, app="d") == ""


def test_a_rule_with_a_workload_selector_is_seen_by_no_other_namespace() -> None:
    text = rule(FULL, "shop", ", workloadSelector: {matchLabels: {app: c}}") + rule("*.local", "istio-system")
    assert chosen(text, app="c") == "istio-system *.local"


SELECTING = ", subsets: [{name: v2}], workloadSelector: {matchLabels: {app: c}}"


def test_a_rule_with_a_workload_selector_takes_in_the_one_without() -> None:
    found = book(rule(FULL, "shop", ", subsets: [{name: v1}]") + rule(FULL, "shop", SELECTING))
    for_c, for_others = found.effective(B, "shop", {"app": "c"}), found.effective(B, "shop", {})
    assert for_c
    assert [subset.name for subset in for_c.subsets] == ["v2", "v1"]
    assert for_others
    assert [subset.name for subset in for_others.subsets] == ["v1"]


def test_what_a_namespace_does_not_export_to_itself_is_merged_only_for_others() -> None:
    text = rule(FULL, "shop", ", subsets: [{name: v1}]") + rule(FULL, "shop", ", exportTo: [x], subsets: [{name: v2}]")
    found = book(text)
    at_home, elsewhere = found.effective(B, "shop", {}), found.effective(B, "x", {})
    assert at_home
    assert [subset.name for subset in at_home.subsets] == ["v1"]
    assert elsewhere
    assert [subset.name for subset in elsewhere.subsets] == ["v1", "v2"]
    assert at_home.variant != elsewhere.variant


def test_several_rules_of_one_host_unite_their_subsets_under_the_oldest_policy() -> None:
    found = manifests(
        """
kind: DestinationRule
metadata: {name: one}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}]}
---
kind: DestinationRule
metadata: {name: two}
spec:
  host: b
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets: [{name: v1, labels: {version: other}}, {name: v2, labels: {version: v2}}]
---
kind: DestinationRule
metadata: {name: three}
spec: {host: b, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
    )
    service = Service("default", "b", "b.default.svc.cluster.local", B.ports, (), {}, False)
    written = [read.destination_rule(obj, "cluster.local") for obj in reversed(found)]
    united = RuleBook(written, "istio-system").effective(service, "default", {})
    assert united
    assert [(subset.name, subset.labels) for subset in united.subsets] == [
        ("v1", {"version": "v1"}),
        ("v2", {"version": "v2"}),
    ]
    assert united.policy == {"loadBalancer": {"simple": "RANDOM"}}


def test_a_subset_replaces_whole_blocks_and_keeps_the_others() -> None:
    (only,) = rules(
        """
kind: DestinationRule
metadata: {name: one}
spec:
  host: b
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    outlierDetection: {consecutive5xxErrors: 3}
    connectionPool: {tcp: {maxConnections: 5}, http: {maxRetries: 1}}
  subsets:
  - name: v1
    trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 9}}}
"""
    )
    policy = policy_for(only, 8000, only.subset("v1"))
    assert policy.balancer == {"simple": "RANDOM"}
    assert policy.outlier == {"consecutive5xxErrors": 3}
    assert policy.pool == {"tcp": {"maxConnections": 9}}


def test_port_level_settings_inherit_nothing() -> None:
    (only,) = rules(
        """
kind: DestinationRule
metadata: {name: one}
spec:
  host: b
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 3}
    portLevelSettings: [{port: {number: 8000}, loadBalancer: {simple: RANDOM}}]
"""
    )
    assert policy_for(only, 8000, None).outlier is None
    assert policy_for(only, 9000, None).outlier == {"consecutive5xxErrors": 3}
