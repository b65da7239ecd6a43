"""A pod's node is chosen by a Binding, once, and in no other way."""

from __future__ import annotations

from graylane.model.meta import condition
from graylane.testing.api.objects import Obj, pod
from graylane.testing.api.rig import MERGE, Rig, expect


def binding(node: str, uid: str = "") -> Obj:
    metadata = {"name": "a"} | ({"uid": uid} if uid else {})
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}


async def test_a_binding_gives_a_pod_its_node(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    made = await api.create(path, pod("a"))
    expect(await api.call("POST", f"{path}/a/binding", binding("somewhere", made["metadata"]["uid"])), 201)
    bound = await api.get(f"{path}/a")
    assert bound["spec"]["nodeName"] == "somewhere"
    assert (condition(bound, "PodScheduled") or {})["status"] == "True"


async def test_a_pod_is_bound_only_once(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await api.create(path, pod("a"))
    expect(await api.call("POST", f"{path}/a/binding", binding("one")), 201)
    answer = await api.call("POST", f"{path}/a/binding", binding("two"))
    assert answer.status == 409
    assert "is already assigned to node" in answer.message
    assert (await api.get(f"{path}/a"))["spec"]["nodeName"] == "one"


async def test_a_binding_meant_for_another_pod_of_that_name_binds_none(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await api.create(path, pod("a"))
    assert (await api.call("POST", f"{path}/a/binding", binding("one", "another"))).status == 409
    assert "nodeName" not in (await api.get(f"{path}/a"))["spec"]


async def test_a_patch_gives_no_pod_a_node(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await api.create(path, pod("a"))
    answer = await api.call("PATCH", f"{path}/a", {"spec": {"nodeName": "one"}}, content_type=MERGE)
    assert answer.status == 422
    assert "pod updates may not change fields other than" in answer.message
