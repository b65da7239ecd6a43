"""Service accounts and what they may do: what was granted, nothing more, and refusals in Kubernetes' words."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest

from graylane.testing.api.objects import Obj, config_map, deployment, namespace
from graylane.testing.api.rig import Result, Rig, expect
from graylane.testing.waiting import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def user_of(ns: str, name: str = "robot") -> str:
    return f"system:serviceaccount:{ns}:{name}"


async def account(api: Rig, ns: str, name: str = "robot") -> str:
    """A new service account's token."""
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    await api.create(f"/api/v1/namespaces/{ns}/serviceaccounts", body)
    return await token_of(api, ns, name)


async def token_of(api: Rig, ns: str, name: str = "robot", **spec: Any) -> str:
    return str(expect(await request_token(api, ns, name, **spec), 201)["status"]["token"])


async def request_token(api: Rig, ns: str, name: str = "robot", **spec: Any) -> Result:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return await api.call("POST", f"/api/v1/namespaces/{ns}/serviceaccounts/{name}/token", body)


def role(name: str, *rules: Obj, kind: str = "Role") -> Obj:
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "rules": list(rules)}


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Obj:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **more}


def binding(name: str, ns: str, role: str, *, kind: str = "Role", account: str = "robot") -> Obj:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": ns}],
    }


async def grant(api: Rig, ns: str, *rules: Obj, name: str = "granted") -> None:
    await api.create(f"{RBAC}/namespaces/{ns}/roles", role(name, *rules))
    await api.create(f"{RBAC}/namespaces/{ns}/rolebindings", binding(name, ns, name))


async def test_a_new_account_may_do_nothing_but_look_around(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    answer = await api.call("GET", maps(ns), token=token)
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        f'configmaps is forbidden: User "{user_of(ns)}" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{ns}"'
    )
    assert answer.json["details"] == {"kind": "configmaps"}
    for path in ("/version", "/api", "/apis", "/apis/apps/v1", "/openapi/v3"):
        assert (await api.call("GET", path, token=token)).status == 200, path


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/api/v1/nodes", 'nodes is forbidden: User "{u}" cannot list resource "nodes" in API group "" at the cluster scope'),  # noqa: E501
        ("GET", "/api/v1/pods", 'pods is forbidden: User "{u}" cannot list resource "pods" in API group "" at the cluster scope'),  # noqa: E501
        ("GET", "/api/v1/namespaces/{n}", 'namespaces "{n}" is forbidden: User "{u}" cannot get resource "namespaces" in API group "" in the namespace "{n}"'),  # noqa: E501
        ("GET", "/api/v1/namespaces/{n}/pods/a/log", 'pods "a" is forbidden: User "{u}" cannot get resource "pods/log" in API group "" in the namespace "{n}"'),  # noqa: E501
        ("DELETE", "/apis/apps/v1/namespaces/{n}/deployments/a", 'deployments.apps "a" is forbidden: User "{u}" cannot delete resource "deployments" in API group "apps" in the namespace "{n}"'),  # noqa: E501
        ("DELETE", "/api/v1/namespaces/{n}/secrets", 'secrets is forbidden: User "{u}" cannot deletecollection resource "secrets" in API group "" in the namespace "{n}"'),  # noqa: E501
        ("PATCH", "/apis/apps/v1/namespaces/{n}/deployments/a/scale", 'deployments.apps "a" is forbidden: User "{u}" cannot patch resource "deployments/scale" in API group "apps" in the namespace "{n}"'),  # noqa: E501
        ("GET", "/apis/nothing.example.com/v1/things", 'things.nothing.example.com is forbidden: User "{u}" cannot list resource "things" in API group "nothing.example.com" at the cluster scope'),  # noqa: E501
        ("GET", "/metrics", 'forbidden: User "{u}" cannot get path "/metrics"'),
    ],
)  # fmt: skip
async def test_a_refusal_says_who_cannot_do_what_where(api: Rig, ns: str, method: str, path: str, said: str) -> None:
    token = await account(api, ns)
    answer = await api.call(method, path.format(n=ns), token=token)
    assert (answer.status, answer.message) == (403, said.format(u=user_of(ns), n=ns))


async def test_a_binding_grants_and_its_removal_takes_away(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("list", "configmaps"))
    await eventually(lambda: _may(api, maps(ns), token))
    await api.delete(f"{RBAC}/namespaces/{ns}/rolebindings/granted")
    await eventually(lambda: _may_not(api, maps(ns), token))


async def _may(api: Rig, path: str, token: str, **query: Any) -> bool:
    return (await api.call("GET", path, token=token, **query)).status == 200


async def _may_not(api: Rig, path: str, token: str) -> bool:
    return (await api.call("GET", path, token=token)).status == 403


async def test_a_rule_with_names_allows_these_objects_and_lists_of_just_them(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await api.create(maps(ns), config_map("mine"))
    await api.create(maps(ns), config_map("other"))
    await grant(api, ns, rule("get list", "configmaps", resourceNames=["mine"]))
    await eventually(lambda: _may(api, f"{maps(ns)}/mine", token))
    assert await _may(api, maps(ns), token, fieldSelector="metadata.name=mine")
    assert await _may_not(api, f"{maps(ns)}/other", token)
    assert await _may_not(api, maps(ns), token)


async def test_a_subresource_is_a_right_of_its_own(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("web"))
    await grant(api, ns, rule("get", "deployments/scale", "apps"))
    await eventually(lambda: _may(api, f"{path}/web/scale", token))
    assert await _may_not(api, f"{path}/web", token)


@pytest.mark.whole("the rules of view are put together by a controller")
async def test_a_cluster_role_can_be_bound_in_one_namespace(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await api.create(f"{RBAC}/namespaces/{ns}/rolebindings", binding("v", ns, "view", kind="ClusterRole"))
    await eventually(lambda: _may(api, maps(ns), token))
    assert await _may_not(api, f"/api/v1/namespaces/{ns}/secrets", token)
    assert await _may_not(api, maps("default"), token)


@pytest.mark.whole("the rules of view are put together by a controller")
async def test_a_role_with_the_right_label_becomes_part_of_view(api: Rig, ns: str) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    group = f"{name}.example.com"
    part = role(name, rule("list", "things", group), kind="ClusterRole")
    part["metadata"]["labels"] = {f"{GROUP}/aggregate-to-view": "true"}
    await api.create(f"{RBAC}/clusterroles", part)
    for whole in ("view", "edit", "admin"):
        await eventually(lambda whole=whole: _has_rule(api, whole, group))  # type: ignore[misc]
    await api.delete(f"{RBAC}/clusterroles/{name}")
    await eventually(lambda: _lacks_rule(api, "admin", group))


async def _has_rule(api: Rig, name: str, group: str) -> bool:
    rules = (await api.get(f"{RBAC}/clusterroles/{name}"))["rules"]
    return any(group in found.get("apiGroups", ()) for found in rules)


async def _lacks_rule(api: Rig, name: str, group: str) -> bool:
    return not await _has_rule(api, name, group)


@pytest.mark.whole("the rules of edit are put together by a controller")
async def test_nobody_grants_what_he_does_not_have(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("create list", "roles rolebindings", GROUP), rule("get", "pods"))
    roles = f"{RBAC}/namespaces/{ns}/roles"
    await eventually(lambda: _may(api, roles, token))
    assert (await api.call("POST", roles, role("mine", rule("get", "pods")), token=token)).status == 201
    more = await api.call("POST", roles, role("more", rule("get list", "pods secrets")), token=token)
    groups = f'"system:serviceaccounts" "system:serviceaccounts:{ns}" "system:authenticated"'
    assert (more.status, more.message) == (
        403,
        f'roles.{GROUP} "more" is forbidden: user "{user_of(ns)}" (groups=[{groups}]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["list"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
    )
    bindings = f"{RBAC}/namespaces/{ns}/rolebindings"
    bound = await api.call("POST", bindings, binding("edit", ns, "edit", kind="ClusterRole"), token=token)
    assert bound.status == 403
    assert "is attempting to grant RBAC permissions not currently held" in bound.message


@pytest.mark.whole("the rules of edit are put together by a controller")
async def test_the_verbs_escalate_and_bind_lift_that(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(
        api,
        ns,
        rule("create get escalate", "roles", GROUP),
        rule("create", "rolebindings", GROUP),
        rule("bind", "clusterroles", GROUP, resourceNames=["view"]),
    )
    roles, bindings = f"{RBAC}/namespaces/{ns}/roles", f"{RBAC}/namespaces/{ns}/rolebindings"
    await eventually(lambda: _may(api, f"{roles}/granted", token))
    assert (await api.call("POST", roles, role("more", rule("*", "*")), token=token)).status == 201
    assert (await api.call("POST", bindings, binding("v", ns, "view", kind="ClusterRole"), token=token)).status == 201
    assert (await api.call("POST", bindings, binding("e", ns, "edit", kind="ClusterRole"), token=token)).status == 403


async def test_a_token_says_who_it_is_and_for_how_long(api: Rig, ns: str) -> None:
    await account(api, ns)
    made = expect(await request_token(api, ns, expirationSeconds=900), 201)
    assert made["kind"] == "TokenRequest"
    assert made["spec"]["expirationSeconds"] == 900
    who = await api.call(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        token=made["status"]["token"],
    )
    info = expect(who, 201)["status"]["userInfo"]
    made_account = await api.get(f"/api/v1/namespaces/{ns}/serviceaccounts/robot")
    assert (info["username"], info["uid"]) == (user_of(ns), made_account["metadata"]["uid"])
    assert info["groups"] == ["system:serviceaccounts", f"system:serviceaccounts:{ns}", "system:authenticated"]
    assert info["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")


async def test_a_lifetime_that_is_too_short_is_refused(api: Rig, ns: str) -> None:
    await account(api, ns)
    answer = await request_token(api, ns, expirationSeconds=60)
    assert answer.status == 422
    assert (
        "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes" in answer.message
    )
    assert (await request_token(api, ns, "nobody")).status == 404


async def test_a_token_dies_with_its_account_even_if_one_of_that_name_comes_back(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    assert await _may(api, "/api", token)
    await api.delete(f"/api/v1/namespaces/{ns}/serviceaccounts/robot")
    await eventually(lambda: _unknown(api, token))
    await account(api, ns)
    assert await _unknown(api, token)


async def _unknown(api: Rig, token: str) -> bool:
    return (await api.call("GET", "/api", token=token)).status == 401


async def test_a_token_for_others_is_not_for_this_api(api: Rig, ns: str) -> None:
    await account(api, ns)
    token = await token_of(api, ns, audiences=["vault"])
    assert await _unknown(api, token)
    seen = await review(api, token, ["vault", "other"])
    assert (seen["authenticated"], seen["audiences"]) == (True, ["vault"])
    assert "authenticated" not in await review(api, token)


async def review(api: Rig, token: str, audiences: list[str] | None = None) -> Obj:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": audiences or []},
    }
    return (await api.create("/apis/authentication.k8s.io/v1/tokenreviews", body))["status"]  # type: ignore[no-any-return]


async def test_a_token_review_tells_whose_a_token_is(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    seen = await review(api, token)
    assert (seen["authenticated"], seen["user"]["username"]) == (True, user_of(ns))
    bad = await review(api, token[:-10] + "aaaaaaaaaa")
    assert not bad.get("authenticated")
    assert bad["error"]


@pytest.mark.whole("such a Secret is filled by a controller")
async def test_a_secret_of_the_old_kind_is_filled_and_its_token_works_until_it_goes(api: Rig, ns: str) -> None:
    await account(api, ns)
    secrets = f"/api/v1/namespaces/{ns}/secrets"
    await api.create(secrets, token_secret("robot"))
    await eventually(lambda: _filled(api, f"{secrets}/kept"))
    secret = await api.get(f"{secrets}/kept")
    assert base64.b64decode(secret["data"]["namespace"]).decode() == ns
    token = base64.b64decode(secret["data"]["token"]).decode()
    assert await _may(api, "/api", token)
    await api.delete(f"{secrets}/kept")
    await eventually(lambda: _unknown(api, token))


def token_secret(name: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kept", "annotations": {"kubernetes.io/service-account.name": name}},
        "type": "kubernetes.io/service-account-token",
    }


async def _filled(api: Rig, path: str) -> bool:
    return "token" in ((await api.get(path)).get("data") or {})


@pytest.mark.whole("such a Secret is removed by a controller")
async def test_a_secret_of_an_account_that_goes_goes_too(api: Rig, ns: str) -> None:
    await account(api, ns)
    secrets = f"/api/v1/namespaces/{ns}/secrets"
    await api.create(secrets, token_secret("robot"))
    await eventually(lambda: _filled(api, f"{secrets}/kept"))
    await api.delete(f"/api/v1/namespaces/{ns}/serviceaccounts/robot")
    await eventually(lambda: _absent(api, f"{secrets}/kept"))


async def _absent(api: Rig, path: str) -> bool:
    return (await api.call("GET", path)).status == 404


async def test_a_token_bound_to_a_pod_names_it(api: Rig, ns: str) -> None:
    await account(api, ns)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    made = await api.create(f"/api/v1/namespaces/{ns}/secrets", secret)
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": made["metadata"]["uid"]}
    token = await token_of(api, ns, boundObjectRef=reference)
    assert await _may(api, "/api", token)
    wrong = await request_token(api, ns, boundObjectRef={**reference, "uid": str(uuid.uuid4())})
    assert (wrong.status, wrong.reason) == (409, "Conflict")
    await api.delete(f"/api/v1/namespaces/{ns}/secrets/s")
    await eventually(lambda: _unknown(api, token))


def access(kind: str, **spec: Any) -> Obj:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}


async def test_access_reviews_answer_as_the_api_would(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("list", "configmaps"))
    await eventually(lambda: _may(api, maps(ns), token))
    path = "/apis/authorization.k8s.io/v1"
    attributes = {"verb": "list", "resource": "configmaps", "namespace": ns}
    other = await api.create(
        f"{path}/subjectaccessreviews",
        access("SubjectAccessReview", user=user_of(ns), resourceAttributes=attributes),
    )
    assert other["status"] == {
        "allowed": True,
        "reason": f'RBAC: allowed by RoleBinding "granted/{ns}" of Role "granted" to ServiceAccount "robot/{ns}"',
    }
    self_path = f"{path}/selfsubjectaccessreviews"
    for verb, allowed in (("list", True), ("delete", False)):
        body = access("SelfSubjectAccessReview", resourceAttributes={**attributes, "verb": verb})
        mine = expect(await api.call("POST", self_path, body, token=token), 201)
        assert mine["status"]["allowed"] is allowed
    local = await api.create(
        f"{path}/namespaces/{ns}/localsubjectaccessreviews",
        {
            **access("LocalSubjectAccessReview", user=user_of(ns), resourceAttributes=attributes),
            "metadata": {"namespace": ns},
        },
    )
    assert local["status"]["allowed"] is True
    nobody = await api.call(
        "POST", f"{path}/subjectaccessreviews", access("SubjectAccessReview", resourceAttributes={})
    )
    assert nobody.status == 422


async def test_the_rules_that_hold_for_me_are_listed(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("list", "configmaps"))
    await eventually(lambda: _may(api, maps(ns), token))
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    answer = await api.call("POST", path, access("SelfSubjectRulesReview", namespace=ns), token=token)
    status = expect(answer, 201)["status"]
    assert {"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"]} in status["resourceRules"]
    assert any("/api/*" in found["nonResourceURLs"] for found in status["nonResourceRules"])
    assert status["incomplete"] is False
    assert (await api.call("POST", path, access("SelfSubjectRulesReview"), token=token)).status == 400


async def test_an_admin_may_act_as_somebody_else(api: Rig, ns: str) -> None:
    await account(api, ns)
    await grant(api, ns, rule("list", "configmaps"))
    acting = {"Impersonate-User": user_of(ns)}

    async def acts() -> bool:
        return (await api.call("GET", maps(ns), headers=acting)).status == 200

    await eventually(acts, timeout=30)
    refused = await api.call("GET", f"/api/v1/namespaces/{ns}/secrets", headers=acting)
    assert (refused.status, f'User "{user_of(ns)}" cannot list' in refused.message) == (403, True)
    as_group = {"Impersonate-User": "jane", "Impersonate-Group": "system:masters"}
    assert expect(await api.call("GET", f"/api/v1/namespaces/{ns}/secrets", headers=as_group), 200)


async def test_acting_as_somebody_is_a_right(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    answer = await api.call("GET", maps(ns), token=token, headers={"Impersonate-User": "jane"})
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert f'User "{user_of(ns)}" cannot impersonate' in answer.message


async def test_a_binding_cannot_be_turned_to_another_role(api: Rig, ns: str) -> None:
    await account(api, ns)
    await grant(api, ns, rule("list", "configmaps"))
    path = f"{RBAC}/namespaces/{ns}/rolebindings/granted"
    answer = await api.call("PATCH", path, {"roleRef": {"name": "other"}}, content_type="application/merge-patch+json")
    assert answer.status == 422
    assert "cannot change roleRef" in answer.message


async def test_rights_in_a_namespace_do_not_reach_another(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("*", "*", "*"))
    await eventually(lambda: _may(api, maps(ns), token))
    assert await _may_not(api, maps("default"), token)
    assert (await api.call("POST", "/api/v1/namespaces", namespace("mine"), token=token)).status == 403


async def test_what_creates_needs_the_right_to_create(api: Rig, ns: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("get list patch update", "configmaps"), rule("update", "leases", "coordination.k8s.io"))
    await eventually(lambda: _may(api, maps(ns), token))
    apply = {"content_type": "application/apply-patch+yaml", "fieldManager": "robot", "token": token}
    new = await api.call("PATCH", f"{maps(ns)}/a", config_map("a"), **apply)
    assert (new.status, 'cannot create resource "configmaps"' in new.message) == (403, True)
    await api.create(maps(ns), config_map("a"))
    assert (await api.call("PATCH", f"{maps(ns)}/a", config_map("a"), **apply, force="true")).status == 200
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/a"
    assert (await api.call("PUT", path, lease, token=token)).status == 403


@pytest.mark.parametrize("stream", ["exec", "attach", "portforward"])
async def test_reading_pods_is_not_enough_to_enter_one(api: Rig, ns: str, stream: str) -> None:
    token = await account(api, ns)
    await grant(api, ns, rule("get", "pods/*"), rule("get", f"pods/{stream}"), rule("list", "pods"))
    pods = f"/api/v1/namespaces/{ns}/pods"
    await eventually(lambda: _may(api, pods, token))
    answer = await api.call("GET", f"{pods}/a/{stream}", token=token, command="ls")
    assert answer.status in (400, 403)
    if api.ours:  # an older kube-apiserver lets `get` suffice, and finds that this is no WebSocket
        assert f'cannot create resource "pods/{stream}"' in answer.message
