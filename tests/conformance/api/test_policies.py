"""ValidatingAdmissionPolicy and its bindings: who is refused, in which words, and who is only warned."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graylane.cluster.apiserver import cel
from graylane.testing.api.objects import Obj, config_map, deployment
from graylane.testing.api.rig import Result, Rig
from graylane.testing.waiting import eventually

pytestmark = pytest.mark.skipif(not cel.available(), reason="the extra cel is not installed")

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{ADMISSION}/validatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicybindings"
RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}


@pytest.fixture
async def name(api: Rig) -> AsyncIterator[str]:
    name = f"p-{uuid.uuid4().hex[:8]}"
    yield name
    for path in (BINDINGS, POLICIES):
        await api.call("DELETE", f"{path}/{name}")


def policy(name: str, *validations: Obj, **spec: Any) -> Obj:
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": list(validations), **spec}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


async def bind(api: Rig, ns: str, name: str, actions: str = "Deny", **spec: Any) -> None:
    """In this namespace alone, so that scenarios do not disturb each other."""
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}}
    spec = {"policyName": name, "validationActions": actions.split(), "matchResources": selector, **spec}
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": spec,
    }
    await api.create(BINDINGS, body)


async def attempt(api: Rig, ns: str, **spec: Any) -> Result:
    return await api.call("POST", f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("web", **spec), dryRun="All")


FEW = {"expression": "object.spec.replicas <= variables.most", "message": "too many"}
MOST = [{"name": "most", "expression": "5"}]


async def test_a_policy_refuses_what_its_expression_does_not_allow(api: Rig, ns: str, name: str) -> None:
    await api.create(POLICIES, policy(name, FEW, variables=MOST))
    await bind(api, ns, name)

    async def refused() -> bool:
        return (await attempt(api, ns, replicas=6)).status == 422

    await eventually(refused)
    answer = await attempt(api, ns, replicas=6)
    assert answer.reason == "Invalid"
    assert answer.message == (
        f"deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding '{name}' "
        "denied request: too many"
    )
    assert (await attempt(api, ns, replicas=5)).status == 201
    assert (
        await api.call("POST", "/apis/apps/v1/namespaces/default/deployments?dryRun=All", deployment("w", replicas=9))
    ).status == 201


async def test_a_binding_may_only_warn(api: Rig, ns: str, name: str) -> None:
    explain = {**FEW, "messageExpression": "'at most ' + string(variables.most)"}
    await api.create(POLICIES, policy(name, explain, variables=MOST))
    await bind(api, ns, name, "Warn Audit")

    async def warned() -> bool:
        answer = await attempt(api, ns, replicas=6)
        said = f"Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{name}': at most 5"
        return answer.status == 201 and any(said in warning for warning in answer.warnings)

    await eventually(warned)


async def test_parameters_come_from_an_object(api: Rig, ns: str, name: str) -> None:
    await api.create(f"/api/v1/namespaces/{ns}/configmaps", config_map("limits", {"most": "3"}))
    rule = {"expression": "object.spec.replicas <= int(params.data.most)", "reason": "Forbidden"}
    await api.create(POLICIES, policy(name, rule, paramKind={"apiVersion": "v1", "kind": "ConfigMap"}))
    await bind(api, ns, name, paramRef={"name": "limits", "namespace": ns, "parameterNotFoundAction": "Deny"})

    async def refused() -> bool:
        return (await attempt(api, ns, replicas=4)).status == 403

    await eventually(refused)
    assert (await attempt(api, ns, replicas=3)).status == 201
    await api.delete(f"/api/v1/namespaces/{ns}/configmaps/limits")

    async def nothing_to_compare_with() -> bool:
        return "no params found" in (await attempt(api, ns, replicas=3)).json.get("message", "")

    await eventually(nothing_to_compare_with)


async def test_match_conditions_narrow_a_policy(api: Rig, ns: str, name: str) -> None:
    condition = {"name": "named", "expression": "object.metadata.name != 'web'"}
    await api.create(POLICIES, policy(name, {"expression": "false"}, matchConditions=[condition]))
    await bind(api, ns, name)
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"

    async def refused() -> bool:
        return (await api.call("POST", path, deployment("other"), dryRun="All")).status == 422

    await eventually(refused)
    assert (await attempt(api, ns)).status == 201


async def test_an_expression_that_does_not_compile_is_refused(api: Rig, name: str) -> None:
    answer = await api.call("POST", POLICIES, policy(name, {"expression": "object."}))
    assert answer.status == 422
    assert "spec.validations[0].expression: Invalid value" in answer.message
