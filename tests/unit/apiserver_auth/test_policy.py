"""Whom a binding means, what a user holds where, and the roles that every cluster has."""

from __future__ import annotations

import pytest

from graylane.cluster.apiserver.authorization import aggregation, defaults
from graylane.cluster.apiserver.authorization.attributes import Attributes, refusal
from graylane.cluster.apiserver.authorization.impersonation import Wanted, completed
from graylane.cluster.apiserver.authorization.policy import Policy
from graylane.cluster.apiserver.exchange import User
from graylane.model.meta import Obj

ACCOUNT = User("system:serviceaccount:shop:web", completed("system:serviceaccount:shop:web", ()), uid="1")


def role(kind: str, name: str, verb: str, resource: str, namespace: str = "") -> Obj:
    rules = [{"verbs": [verb], "apiGroups": [""], "resources": [resource]}]
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules}


def binding(name: str, role_kind: str, role: str, subject: Obj, namespace: str = "") -> Obj:
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"kind": role_kind, "name": role},
        "subjects": [subject],
    }


def pods(verb: str, namespace: str = "") -> Attributes:
    return Attributes(verb, resource="pods", namespace=namespace)


def test_a_cluster_role_bound_in_a_namespace_holds_there_alone() -> None:
    who = {"kind": "User", "name": "jane"}
    policy = Policy.of(
        [role("ClusterRole", "reader", "get", "pods")], [binding("b", "ClusterRole", "reader", who, "shop")]
    )
    jane = User("jane")
    decision = policy.grants(jane, "shop").decide(pods("get", "shop"))
    assert decision.allowed
    assert decision.reason == 'RBAC: allowed by RoleBinding "b/shop" of ClusterRole "reader" to User "jane"'
    for elsewhere in ("", "other"):
        assert not policy.grants(jane, elsewhere).decide(pods("get", elsewhere)).allowed


def test_a_cluster_binding_holds_everywhere() -> None:
    policy = Policy.of(
        [role("ClusterRole", "r", "get", "pods")], [binding("b", "ClusterRole", "r", {"kind": "Group", "name": "dev"})]
    )
    for namespace in ("", "shop"):
        assert policy.grants(User("jane", ("dev",)), namespace).decide(pods("get", namespace)).allowed
    assert not policy.grants(User("dev"), "").decide(pods("get")).allowed


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "ServiceAccount", "name": "web", "namespace": "shop"},
        {"kind": "ServiceAccount", "name": "web"},
        {"kind": "User", "name": "system:serviceaccount:shop:web"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
)
def test_a_service_account_can_be_meant_in_many_ways(subject: Obj) -> None:
    policy = Policy.of([role("Role", "r", "get", "pods", "shop")], [binding("b", "Role", "r", subject, "shop")])
    assert policy.grants(ACCOUNT, "shop").decide(pods("get", "shop")).allowed


def test_an_account_of_another_namespace_is_somebody_else() -> None:
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": "other"}
    policy = Policy.of([role("Role", "r", "get", "pods", "shop")], [binding("b", "Role", "r", subject, "shop")])
    assert not policy.grants(ACCOUNT, "shop").rules


def test_a_role_that_does_not_exist_is_named_in_the_refusal() -> None:
    policy = Policy.of([], [binding("b", "Role", "gone", {"kind": "User", "name": "jane"}, "shop")])
    jane, asked = User("jane"), pods("list", "shop")
    decision = policy.grants(jane, "shop").decide(asked)
    assert refusal(jane, asked, decision.reason).message == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "shop": '
        'RBAC: role.rbac.authorization.k8s.io "gone" not found'
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            Attributes("get", "apps", "deployments", "scale", "web", "shop"),
            'deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments/scale" in API group '
            '"apps" in the namespace "shop"',
        ),
        (
            Attributes("list", "", "nodes"),
            'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (Attributes("get", path="/metrics"), 'forbidden: User "jane" cannot get path "/metrics"'),
    ],
)
def test_refusals_are_worded_as_kubernetes_words_them(asked: Attributes, message: str) -> None:
    assert refusal(User("jane"), asked).message == message


def test_the_built_in_roles_are_already_aggregated() -> None:
    roles = defaults.cluster_roles()
    assert list(aggregation.changes(roles)) == []
    policy = Policy.of(roles, [binding("b", "ClusterRole", "edit", {"kind": "User", "name": "jane"}, "shop")])
    grants = policy.grants(User("jane"), "shop")
    for verb, group, resource, allowed in (
        ("list", "", "pods", True),
        ("delete", "apps", "deployments", True),
        ("get", "", "secrets", True),
        ("create", "rbac.authorization.k8s.io", "roles", False),
        ("create", "", "namespaces", False),
    ):
        assert grants.decide(Attributes(verb, group, resource, namespace="shop")).allowed is allowed, (verb, resource)


def test_a_role_with_the_label_adds_to_view_and_so_to_edit_and_admin() -> None:
    extra = role("ClusterRole", "widgets", "get", "widgets")
    extra["metadata"]["labels"] = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    roles = {one["metadata"]["name"]: one for one in [*defaults.cluster_roles(), extra]}
    rounds = 0
    while changed := dict(aggregation.changes(roles.values())):
        roles |= {name: {**roles[name], "rules": rules} for name, rules in changed.items()}
        rounds += 1
        assert rounds < 5
    for name in ("view", "edit", "admin"):
        assert extra["rules"][0] in roles[name]["rules"], name


def test_everybody_known_may_look_at_discovery_and_ask_who_he_is() -> None:
    policy = Policy.of(defaults.cluster_roles(), defaults.cluster_role_bindings())
    grants = policy.grants(User("jane", ("system:authenticated",)), "")
    assert grants.decide(Attributes("get", path="/apis/apps/v1")).allowed
    assert grants.decide(Attributes("get", path="/openapi/v3")).allowed
    assert grants.decide(Attributes("create", "authorization.k8s.io", "selfsubjectaccessreviews")).allowed
    assert not grants.decide(pods("list")).allowed


def test_impersonation_asks_for_every_part_as_a_right_of_its_own() -> None:
    wanted = Wanted.of(
        {
            "impersonate-user": "system:serviceaccount:shop:web",
            "impersonate-group": "a\nb",
            "impersonate-uid": "7",
            "impersonate-extra-team%2Fname": "x",
        }
    )
    asked = [(one.group, one.combined, one.name, one.namespace) for one in wanted.rights()]
    assert asked == [
        ("", "serviceaccounts", "web", "shop"),
        ("", "groups", "a", ""),
        ("", "groups", "b", ""),
        ("authentication.k8s.io", "userextras/team/name", "x", ""),
        ("authentication.k8s.io", "uids", "7", ""),
    ]
    assert wanted.user().groups == ("a", "b", "system:authenticated")


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("jane", ("system:authenticated",)),
        ("system:anonymous", ("system:unauthenticated",)),
        (
            "system:serviceaccount:shop:web",
            ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"),
        ),
        ("system:serviceaccount:broken", ("system:authenticated",)),
    ],
)
def test_groups_follow_from_the_name(name: str, groups: tuple[str, ...]) -> None:
    assert completed(name, ()) == groups
