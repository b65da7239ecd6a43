"""Server-side apply: what a manager says it owns, others may not change unasked, and what it drops goes away."""

from __future__ import annotations

from typing import Any

from graylane.testing.api.objects import Obj, deployment
from graylane.testing.api.rig import APPLY, MERGE, Result, Rig, expect


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def wish(data: dict[str, str], **metadata: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}, "data": data}


async def apply(api: Rig, ns: str, data: dict[str, str], manager: str = "one", **query: Any) -> Result:
    return await api.call("PATCH", f"{maps(ns)}/a", wish(data), content_type=APPLY, fieldManager=manager, **query)


async def test_apply_creates_and_says_who_owns_what(api: Rig, ns: str) -> None:
    made = expect(await apply(api, ns, {"x": "1"}), 201)
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("one", "Apply", "v1")
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}}}
    assert made["metadata"]["uid"]


async def test_applying_the_same_again_changes_nothing(api: Rig, ns: str) -> None:
    made = expect(await apply(api, ns, {"x": "1"}), 201)
    assert expect(await apply(api, ns, {"x": "1"}), 200) == made


async def test_what_a_manager_no_longer_applies_goes_away(api: Rig, ns: str) -> None:
    await apply(api, ns, {"x": "1", "y": "1"})
    assert expect(await apply(api, ns, {"x": "1"}), 200)["data"] == {"x": "1"}


async def test_two_managers_share_an_object(api: Rig, ns: str) -> None:
    await apply(api, ns, {"x": "1"})
    both = expect(await apply(api, ns, {"y": "2"}, "two"), 200)
    assert both["data"] == {"x": "1", "y": "2"}
    assert {entry["manager"] for entry in both["metadata"]["managedFields"]} == {"one", "two"}


async def test_a_field_of_another_manager_is_a_conflict_unless_forced(api: Rig, ns: str) -> None:
    await apply(api, ns, {"x": "1"})
    conflict = await apply(api, ns, {"x": "2"}, "two")
    assert (conflict.status, conflict.reason) == (409, "Conflict")
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    (cause,) = conflict.json["details"]["causes"]
    assert cause == {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
    forced = expect(await apply(api, ns, {"x": "2"}, "two", force="true"), 200)
    assert forced["data"] == {"x": "2"}
    assert expect(await apply(api, ns, {"x": "2"}), 200)["data"] == {"x": "2"}, "agreeing is no conflict"


async def test_a_plain_write_takes_the_fields_it_changes(api: Rig, ns: str) -> None:
    await apply(api, ns, {"x": "1"})
    await api.patch(f"{maps(ns)}/a", {"data": {"x": "5"}}, MERGE, fieldManager="editor")
    conflict = await apply(api, ns, {"x": "1"})
    assert conflict.status == 409
    assert 'conflict with "editor" using v1' in conflict.message


async def test_a_manager_must_give_its_name(api: Rig, ns: str) -> None:
    answer = await api.call("PATCH", f"{maps(ns)}/a", wish({}), content_type=APPLY)
    assert answer.status == 422
    assert "fieldManager: Required value: is required for apply patch" in answer.message


async def test_yaml_is_what_apply_speaks(api: Rig, ns: str) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n"
    made = await api.call("PATCH", f"{maps(ns)}/a", body, content_type=APPLY, fieldManager="one")
    assert expect(made, 201)["data"] == {"x": "1"}


async def test_containers_are_merged_by_name(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/a"
    made = await api.call("PATCH", path, deployment("a"), content_type=APPLY, fieldManager="one")
    expect(made, 201)
    env = {"name": "main", "env": [{"name": "added", "value": "1"}]}
    spec = {"template": {"spec": {"containers": [env]}}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}
    after = expect(await api.call("PATCH", path, body, content_type=APPLY, fieldManager="two"), 200)
    (container,) = after["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == ("sample:1", [{"name": "added", "value": "1"}])
    assert after["metadata"]["generation"] == 2


async def test_the_status_is_applied_through_its_own_door(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/a"
    await api.call("PATCH", path, deployment("a"), content_type=APPLY, fieldManager="one")
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "status": {"replicas": 3}}
    answer = await api.call("PATCH", f"{path}/status", body, content_type=APPLY, fieldManager="ctl")
    after = expect(answer, 200)
    assert (after["status"]["replicas"], after["metadata"]["generation"]) == (3, 1)
    assert any(entry.get("subresource") == "status" for entry in after["metadata"]["managedFields"])


async def test_an_unknown_field_is_refused(api: Rig, ns: str) -> None:
    body = {**wish({"x": "1"}), "bogus": 1}
    answer = await api.call("PATCH", f"{maps(ns)}/a", body, content_type=APPLY, fieldManager="one")
    assert answer.status in (400, 422, 500)
    assert "bogus" in answer.message


async def test_apply_can_be_rehearsed(api: Rig, ns: str) -> None:
    expect(await apply(api, ns, {"x": "1"}, dryRun="All"), 201)
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404
