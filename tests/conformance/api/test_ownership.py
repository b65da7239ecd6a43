"""`managedFields`: kept from the first write on, moved by server-side apply, cleared on request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from graylane.testing.api.kinds import established
from graylane.testing.api.objects import Obj, config_map, deployment, service, widget, widget_crd
from graylane.testing.api.rig import APPLY, MERGE, STRATEGIC, Result, Rig, expect

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def owners(obj: Obj) -> dict[str, Obj]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", [])}


async def apply(api: Rig, path: str, body: Obj, manager: str = "one", **query: Any) -> Result:
    return await api.call("PATCH", path, body, content_type=APPLY, fieldManager=manager, **query)


async def test_a_creator_owns_what_it_sent(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"), fieldManager="creator")
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("creator", "Update", "FieldsV1")
    assert entry["fieldsV1"]["f:data"] == {".": {}, "f:a": {}}
    assert entry["time"] >= made["metadata"]["creationTimestamp"]


async def test_a_manager_is_called_after_its_program(api: Rig, ns: str) -> None:
    answer = await api.call("POST", maps(ns), config_map("a"), headers={"User-Agent": "tool/v1 (linux) x"})
    assert list(owners(answer.json)) == ["tool"]


async def test_an_updater_takes_what_it_changes_and_no_more(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", {"x": "1", "y": "1"}), fieldManager="creator")
    after = await api.patch(f"{maps(ns)}/a", {"data": {"x": "2"}}, fieldManager="editor")
    assert owners(after)["editor"] == {"f:data": {"f:x": {}}}
    assert owners(after)["creator"]["f:data"] == {".": {}, "f:y": {}}


async def test_writing_the_same_value_takes_nothing(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"), fieldManager="creator")
    assert await api.patch(f"{maps(ns)}/a", {"data": {"a": "1"}}, fieldManager="editor") == made


async def test_who_owns_nothing_any_more_is_forgotten(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"), fieldManager="creator")
    await api.patch(f"{maps(ns)}/a", {"data": {"b": "1"}}, fieldManager="editor")
    after = await api.patch(f"{maps(ns)}/a", {"data": {"b": None}}, fieldManager="remover")
    assert list(owners(after)) == ["creator"]


async def test_the_status_has_owners_of_its_own(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"), fieldManager="creator")
    after = await api.patch(f"{path}/a/status", {"status": {"replicas": 1}}, fieldManager="controller")
    (entry,) = [entry for entry in after["metadata"]["managedFields"] if entry["manager"] == "controller"]
    assert (entry["subresource"], entry["fieldsV1"]["f:status"]["f:replicas"]) == ("status", {})


async def test_the_scale_has_an_owner_of_its_own(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"), fieldManager="creator")
    await api.patch(f"{path}/a/scale", {"spec": {"replicas": 4}}, fieldManager="autoscaler")
    entries = (await api.get(f"{path}/a"))["metadata"]["managedFields"]
    (entry,) = [entry for entry in entries if entry["manager"] == "autoscaler"]
    assert (entry["subresource"], entry["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})


@pytest.mark.parametrize("cleared", [[{}], []], ids=["one empty entry", "no entry"])
async def test_a_client_may_clear_them(api: Rig, ns: str, cleared: list[Obj]) -> None:
    made = await api.create(maps(ns), config_map("a"), fieldManager="creator")
    after = await api.patch(f"{maps(ns)}/a", {"metadata": {"managedFields": cleared}})
    assert "managedFields" not in after["metadata"]
    again = await api.patch(f"{maps(ns)}/a", {"data": {"b": "1"}}, fieldManager="editor")
    assert "managedFields" not in again["metadata"], "what was cleared stays so until somebody applies"
    assert made["metadata"]["managedFields"]


async def test_an_object_may_be_created_without_them_being_believed(api: Rig, ns: str) -> None:
    body = config_map("a", managedFields=[{"manager": "liar", "operation": "Apply", "fieldsType": "FieldsV2"}])
    assert "liar" not in owners(await api.create(maps(ns), body, fieldManager="creator"))


async def test_lists_of_elements_are_owned_by_their_keys(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/services"
    made = await api.create(path, service("a"), fieldManager="creator")
    assert 'k:{"port":80,"protocol":"TCP"}' in owners(made)["creator"]["f:spec"]["f:ports"]


async def test_client_side_apply_is_inherited_by_kubectl_alone(api: Rig, ns: str) -> None:
    body = config_map("a", {"x": "1"})
    body["metadata"]["annotations"] = {LAST_APPLIED: orjson.dumps(body).decode()}
    await api.create(maps(ns), body, fieldManager="kubectl-client-side-apply")
    wish = config_map("a", {"x": "2"})
    assert (await apply(api, f"{maps(ns)}/a", wish, "argo")).status == 409
    assert expect(await apply(api, f"{maps(ns)}/a", wish, "kubectl"), 200)["data"] == {"x": "2"}


async def test_before_the_first_apply_everything_was_somebodys(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"), fieldManager="creator")
    await api.patch(f"{maps(ns)}/a", {"metadata": {"managedFields": [{}]}})
    after = expect(await apply(api, f"{maps(ns)}/a", config_map("a", {"b": "2"})), 200)
    assert set(owners(after)) == {"before-first-apply", "one"}


async def test_a_field_two_apply_goes_when_both_drop_it(api: Rig, ns: str) -> None:
    path = f"{maps(ns)}/a"
    for manager in ("one", "two"):
        await apply(api, path, config_map("a", {"x": "1", "y": "1"}), manager)
    kept = expect(await apply(api, path, config_map("a", {"y": "1"}), "one"), 200)
    assert kept["data"] == {"x": "1", "y": "1"}
    assert expect(await apply(api, path, config_map("a", {"y": "1"}), "two"), 200)["data"] == {"y": "1"}


async def test_force_takes_the_field_from_its_owner(api: Rig, ns: str) -> None:
    path = f"{maps(ns)}/a"
    await apply(api, path, config_map("a", {"x": "1"}), "one")
    after = expect(await apply(api, path, config_map("a", {"x": "2"}), "two", force="true"), 200)
    assert list(owners(after)) == ["two"]


async def test_every_conflict_is_named(api: Rig, ns: str) -> None:
    path = f"{maps(ns)}/a"
    await apply(api, path, config_map("a", {"x": "1", "y": "1"}), "one")
    answer = await apply(api, path, config_map("a", {"x": "2", "y": "2"}), "two")
    assert answer.status == 409
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [".data.x", ".data.y"]
    assert answer.message.startswith("Apply failed with 2 conflicts: ")


async def test_an_applied_set_adds_and_removes_its_values(api: Rig, ns: str) -> None:
    path = f"{maps(ns)}/a"
    for values in (["example.com/a", "example.com/b"], ["example.com/b"]):
        after = expect(await apply(api, path, config_map("a", finalizers=values)), 201 if len(values) == 2 else 200)
        assert after["metadata"]["finalizers"] == values
    await api.patch(path, {"metadata": {"finalizers": None}}, MERGE)


async def test_two_appliers_share_a_list_by_its_keys(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/services/a"
    await apply(api, path, service("a", ports=[{"name": "x", "port": 80}]), "one")
    other = {**service("a"), "spec": {"ports": [{"name": "y", "port": 81}]}}
    both = expect(await apply(api, path, other, "two"), 200)
    assert sorted(port["name"] for port in both["spec"]["ports"]) == ["x", "y"]
    alone = expect(await apply(api, path, {**service("a"), "spec": {}}, "two"), 200)
    assert [port["name"] for port in alone["spec"]["ports"]] == ["x"]


async def test_an_atomic_list_has_one_owner(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/a"
    body = deployment("a")
    body["spec"]["template"]["spec"]["containers"][0]["args"] = ["x"]
    await apply(api, path, body, "one")
    change = {"name": "main", "args": ["x", "y"]}
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}
    other["spec"] = {"template": {"spec": {"containers": [change]}}}  # type: ignore[assignment]
    answer = await apply(api, path, other, "two")
    assert answer.status == 409
    (cause,) = answer.json["details"]["causes"]
    assert cause["field"] == '.spec.template.spec.containers[name="main"].args'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}, 400),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}, 400),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": []}}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "1"}}, 409),
    ],
    ids=["another name", "another kind", "no version", "managed fields", "a stale version"],
)
async def test_what_cannot_be_applied(api: Rig, ns: str, body: Obj, status: int) -> None:
    await api.create(maps(ns), config_map("a"))
    assert (await apply(api, f"{maps(ns)}/a", body)).status == status


async def test_apply_to_a_custom_kind(api: Rig, ns: str) -> None:
    group = f"{ns}.example.com"
    await established(api, widget_crd(group))
    path = f"/apis/{group}/v1/namespaces/{ns}/widgets/a"
    made = expect(await apply(api, path, widget("a", f"{group}/v1", size=2)), 201)
    assert owners(made)["one"] == {"f:spec": {"f:size": {}}}, "what the server fills in is nobody's"
    assert (await apply(api, path, widget("a", f"{group}/v1", size=3), "two")).status == 409
    wrong = await apply(api, path, widget("a", f"{group}/v1", size="big"))
    assert (wrong.status, "failed to create typed patch object" in wrong.message) == (500, True)


async def test_a_patch_after_an_apply_conflicts_with_the_next_apply(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/a"
    await apply(api, path, deployment("a", replicas=2))
    await api.patch(path, {"spec": {"replicas": 5}}, STRATEGIC, fieldManager="hand")
    answer = await apply(api, path, deployment("a", replicas=2))
    assert 'conflict with "hand" using apps/v1: .spec.replicas' in answer.message


async def test_not_naming_replicas_leaves_them_to_the_autoscaler(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/a"
    body = deployment("a")
    del body["spec"]["replicas"]
    await apply(api, path, body)
    await api.patch(f"{path}/scale", {"spec": {"replicas": 7}}, fieldManager="autoscaler")
    assert expect(await apply(api, path, body), 200)["spec"]["replicas"] == 7
