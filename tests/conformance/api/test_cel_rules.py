"""Rules in CEL that a custom kind brings along."""

from __future__ import annotations

import uuid

import pytest

from graylane.cluster.apiserver import cel
from graylane.testing.api.objects import Obj, widget, widget_crd
from graylane.testing.api.rig import Rig, expect
from graylane.testing.waiting import eventually

pytestmark = pytest.mark.skipif(not cel.available(), reason="the extra cel is not installed")

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def crd(group: str, *rules: Obj) -> Obj:
    definition = widget_crd(group)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["x-kubernetes-validations"] = list(rules)
    return definition


async def test_rules_are_held_on_create_and_update(api: Rig, ns: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    rules = (
        {"rule": "self.size < 10", "message": "too big"},
        {"rule": "self.size >= oldSelf.size", "message": "must not shrink", "fieldPath": ".size"},
    )
    made = await api.call("POST", CRDS, crd(group, *rules))
    assert (made.status, made.warnings) == (201, [])
    path = f"/apis/{group}/v1/namespaces/{ns}/widgets"
    await eventually(lambda: _served(api, path))
    big = await api.call("POST", path, widget("a", f"{group}/v1", size=10))
    assert (big.status, big.reason) == (422, "Invalid")
    assert big.message.startswith(f'Widget.{group} "a" is invalid: spec: Invalid value: ')
    assert big.message.endswith(": too big")
    expect(await api.call("POST", path, widget("a", f"{group}/v1", size=5)), 201)
    patch = "application/merge-patch+json"
    less = await api.call("PATCH", f"{path}/a", {"spec": {"size": 4}}, content_type=patch)
    assert (less.status, less.json["details"]["causes"][0]["field"]) == (422, "spec.size")
    expect(await api.call("PATCH", f"{path}/a", {"spec": {"size": 6}}, content_type=patch), 200)
    await api.delete(f"{CRDS}/widgets.{group}")


async def _served(api: Rig, path: str) -> bool:
    return (await api.call("GET", path)).status == 200


async def test_a_rule_that_does_not_compile_is_refused(api: Rig, ns: str) -> None:
    answer = await api.call("POST", CRDS, crd("g.example.com", {"rule": "self.size <"}))
    assert answer.status == 422
    assert "x-kubernetes-validations[0].rule: Invalid value: " in answer.message
    assert "compilation failed" in answer.message
