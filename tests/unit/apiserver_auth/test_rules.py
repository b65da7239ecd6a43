"""One rule against one request, and rules against rules, as Kubernetes compares them."""

from __future__ import annotations

import pytest

from graylane.cluster.apiserver.authorization.attributes import Attributes
from graylane.cluster.apiserver.authorization.rules import EVERYTHING, Rule, missing


def rule(verbs: str, group: str, resources: str, names: str = "") -> Rule:
    return Rule(tuple(verbs.split()), (group,), tuple(resources.split()), tuple(names.split()))


def ask(verb: str, resource: str, group: str = "", name: str = "") -> Attributes:
    plural, _, sub = resource.partition("/")
    return Attributes(verb, group, plural, sub, name)


ALLOWED = [
    (rule("get list", "", "pods"), ask("list", "pods")),
    (rule("*", "*", "*"), ask("escalate", "roles/status", "rbac.authorization.k8s.io")),
    (rule("get", "", "*"), ask("get", "pods/log")),
    (rule("get", "", "pods/log"), ask("get", "pods/log", name="a")),
    (rule("update", "*", "*/scale"), ask("update", "deployments/scale", "apps")),
    (rule("get", "", "secrets", "a b"), ask("get", "secrets", name="b")),
    (Rule(("get",), urls=("/healthz/*",)), Attributes("get", path="/healthz/etcd")),
    (Rule(("get",), urls=("*",)), Attributes("get", path="/anything")),
]
DENIED = [
    (rule("get", "", "pods"), ask("list", "pods")),
    (rule("get", "", "pods"), ask("get", "pods/log")),
    (rule("get", "", "pods"), ask("get", "pods", "metrics.k8s.io")),
    (rule("get", "", "pods/*"), ask("get", "pods/log")),
    (rule("get", "*", "*/scale"), ask("get", "scale")),
    (rule("get", "", "secrets", "a"), ask("get", "secrets", name="b")),
    (rule("create", "", "secrets", "a"), ask("create", "secrets")),
    (rule("*", "*", "*"), Attributes("get", path="/version")),
    (Rule(("get",), urls=("/healthz",)), Attributes("get", path="/healthz/etcd")),
    (Rule(("get",), urls=("/version",)), Attributes("post", path="/version")),
]


@pytest.mark.parametrize(("held", "asked"), ALLOWED)
def test_a_rule_allows_what_it_names(held: Rule, asked: Attributes) -> None:
    assert held.allows(asked)


@pytest.mark.parametrize(("held", "asked"), DENIED)
def test_a_rule_allows_nothing_else(held: Rule, asked: Attributes) -> None:
    assert not held.allows(asked)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (EVERYTHING, EVERYTHING),
        (EVERYTHING, (rule("get", "apps", "deployments", "a"),)),
        ((rule("get", "", "pods"), rule("list", "", "pods")), (rule("get list", "", "pods"),)),
        ((rule("get", "", "pods services"),), (rule("get", "", "pods"), rule("get", "", "services"))),
        ((rule("get", "", "secrets"),), (rule("get", "", "secrets", "a"),)),
        ((Rule(("get",), urls=("/api/*",)),), (Rule(("get",), urls=("/api/v1",)),)),
        ((), ()),
    ],
)
def test_who_holds_as_much_lacks_nothing(held: tuple[Rule, ...], wanted: tuple[Rule, ...]) -> None:
    assert missing(held, wanted) == []


@pytest.mark.parametrize(
    ("held", "wanted", "lacking"),
    [
        ((), (rule("get list", "", "pods"),), ['{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}']),
        ((rule("get", "", "pods"),), (rule("*", "", "pods"),), ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}']),
        (
            (rule("get", "", "secrets", "a"),),
            (rule("get", "", "secrets"),),
            ['{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'],
        ),
        (
            (rule("get", "", "secrets", "a"),),
            (rule("get", "", "secrets", "a b"),),
            ['{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}'],
        ),
        ((rule("*", "*", "*"),), (Rule(("get",), urls=("/x",)),), ['{NonResourceURLs:["/x"], Verbs:["get"]}']),
    ],
)
def test_what_is_lacking_is_told_as_few_rules(
    held: tuple[Rule, ...], wanted: tuple[Rule, ...], lacking: list[str]
) -> None:
    assert [str(found) for found in missing(held, wanted)] == lacking


def test_a_rule_survives_the_way_to_an_object_and_back() -> None:
    held = Rule(("get",), ("",), ("pods",), ("a",), ())
    assert Rule.of(held.to_obj()) == held
