"""CustomResourceDefinitions: served at once, checked, pruned, defaulted, printed, scaled, removed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graylane.testing.api.kinds import established
from graylane.testing.api.objects import Obj, widget, widget_crd
from graylane.testing.api.rig import STRATEGIC, Rig, expect
from graylane.testing.waiting import eventually

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture
async def group(api: Rig) -> AsyncIterator[str]:
    """A group of the scenario's own, with a kind Widget in versions v1 (stored) and v1alpha1."""
    name = f"g{uuid.uuid4().hex[:8]}.example.com"
    await established(api, widget_crd(name, versions=("v1", "v1alpha1")))
    yield name
    if not api.ours:
        await api.call("DELETE", f"{CRDS}/widgets.{name}")


async def _served(api: Rig, group: str) -> bool:
    return (await api.call("GET", f"/apis/{group}/v1/widgets")).status == 200


def widgets(group: str, ns: str, version: str = "v1") -> str:
    return f"/apis/{group}/{version}/namespaces/{ns}/widgets"


async def test_a_kind_is_established_and_its_names_are_completed(api: Rig, group: str) -> None:
    crd = await api.get(f"{CRDS}/widgets.{group}")
    conditions = {entry["type"]: entry["status"] for entry in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert crd["status"]["storedVersions"] == ["v1"]
    assert crd["spec"]["names"]["singular"] == "widget"
    assert crd["spec"]["names"]["listKind"] == "WidgetList"


async def test_an_object_is_defaulted_and_unknown_fields_are_pruned_with_a_warning(
    api: Rig, group: str, ns: str
) -> None:
    answer = await api.call("POST", widgets(group, ns), widget("a", f"{group}/v1", bogus=1, extra={"kept": [None]}))
    made = expect(answer, 201)
    assert made["spec"] == {"size": 1, "colour": "red", "replicas": 1, "extra": {"kept": [None]}}
    assert any('unknown field \\"spec.bogus\\"' in warning for warning in answer.warnings)


async def test_unknown_fields_are_refused_when_asked_to(api: Rig, group: str, ns: str) -> None:
    body = widget("a", f"{group}/v1", bogus=1)
    answer = await api.call("POST", widgets(group, ns), body, fieldValidation="Strict")
    assert answer.status == 400
    assert 'strict decoding error: unknown field "spec.bogus"' in answer.message


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"size": 0}, "spec.size"),
        ({"size": "one"}, "spec.size"),
        ({"colour": "blue"}, "spec.colour"),
    ],
)
async def test_what_the_schema_forbids_is_refused_by_field(
    api: Rig, group: str, ns: str, spec: Obj, field: str
) -> None:
    answer = await api.call("POST", widgets(group, ns), widget("a", f"{group}/v1", **spec))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(f'Widget.{group} "a" is invalid: ')
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [field]


async def test_a_required_field_is_asked_for(api: Rig, group: str, ns: str) -> None:
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {}}
    answer = await api.call("POST", widgets(group, ns), body)
    assert answer.status == 422
    assert "spec.size: Required value" in answer.message


async def test_status_and_spec_have_their_own_doors(api: Rig, group: str, ns: str) -> None:
    made = await api.create(widgets(group, ns), {**widget("a", f"{group}/v1"), "status": {"phase": "Forged"}})
    assert "status" not in made
    after = await api.patch(f"{widgets(group, ns)}/a/status", {"status": {"phase": "Ready"}, "spec": {"size": 9}})
    assert (after["status"], after["spec"]["size"], after["metadata"]["generation"]) == ({"phase": "Ready"}, 1, 1)
    changed = await api.patch(f"{widgets(group, ns)}/a", {"status": {"phase": "Forged"}, "spec": {"size": 2}})
    assert (changed["status"], changed["metadata"]["generation"]) == ({"phase": "Ready"}, 2)


@pytest.mark.parametrize("status", [{}, {"phase": None}, {"phase": 5}, [], "done", None])
async def test_a_status_sent_to_the_other_door_is_not_looked_at(api: Rig, group: str, ns: str, status: Any) -> None:
    """Typed clients in Go send one with every write, with nulls where the schema requires a list."""
    made = await api.create(widgets(group, ns), {**widget("a", f"{group}/v1"), "status": status})
    assert "status" not in made
    changed = await api.replace(f"{widgets(group, ns)}/a", {**made, "spec": {"size": 3}, "status": status})
    assert ("status" in changed, changed["spec"]["size"]) == (False, 3)
    patched = await api.patch(f"{widgets(group, ns)}/a", {"status": status, "spec": {"size": 4}})
    assert ("status" in patched, patched["spec"]["size"]) == (False, 4)


async def test_strategic_patches_are_not_for_custom_kinds(api: Rig, group: str, ns: str) -> None:
    await api.create(widgets(group, ns), widget("a", f"{group}/v1"))
    answer = await api.call("PATCH", f"{widgets(group, ns)}/a", {"spec": {"size": 2}}, content_type=STRATEGIC)
    assert answer.status == 415
    assert "application/merge-patch+json" in answer.message


async def test_replacing_needs_a_version(api: Rig, group: str, ns: str) -> None:
    await api.create(widgets(group, ns), widget("a", f"{group}/v1"))
    answer = await api.call("PUT", f"{widgets(group, ns)}/a", widget("a", f"{group}/v1", size=2))
    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value" in answer.message


async def test_every_served_version_shows_the_same_object(api: Rig, group: str, ns: str) -> None:
    made = await api.create(widgets(group, ns, "v1alpha1"), widget("a", f"{group}/v1alpha1"))
    assert made["apiVersion"] == f"{group}/v1alpha1"
    assert (await api.get(f"{widgets(group, ns)}/a"))["apiVersion"] == f"{group}/v1"
    listed = await api.get(widgets(group, ns, "v1alpha1"))
    assert [item["apiVersion"] for item in listed["items"]] == [f"{group}/v1alpha1"]
    version = made["metadata"]["resourceVersion"]
    async with api.watch(widgets(group, ns, "v1alpha1"), resourceVersion=version) as watch:
        await api.patch(f"{widgets(group, ns)}/a", {"spec": {"size": 2}})
        assert (await watch.next())["object"]["apiVersion"] == f"{group}/v1alpha1"


async def test_the_scale_follows_the_definitions_paths(api: Rig, group: str, ns: str) -> None:
    await api.create(widgets(group, ns), widget("a", f"{group}/v1"))
    assert (await api.get(f"{widgets(group, ns)}/a/scale"))["spec"] == {"replicas": 1}
    await api.patch(f"{widgets(group, ns)}/a/scale", {"spec": {"replicas": 5}})
    assert (await api.get(f"{widgets(group, ns)}/a"))["spec"]["replicas"] == 5


async def test_columns_are_those_of_the_definition(api: Rig, group: str, ns: str) -> None:
    await api.create(widgets(group, ns), widget("a", f"{group}/v1"))
    table = expect(await api.call("GET", widgets(group, ns), accept=TABLE), 200)
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Colour"]
    assert table["rows"][0]["cells"] == ["a", 1, "red"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_names_of_one_group_belong_to_who_came_first(api: Rig, group: str) -> None:
    rival = widget_crd(group)
    rival["metadata"]["name"] = f"gadgets.{group}"
    rival["spec"]["names"] = {"plural": "gadgets", "kind": "Widget"}
    await api.create(CRDS, rival)

    async def refused() -> bool:
        conditions = (await api.get(f"{CRDS}/gadgets.{group}")).get("status", {}).get("conditions") or []
        return any(c["type"] == "NamesAccepted" and c["status"] == "False" for c in conditions)

    await eventually(refused)
    assert (await api.call("GET", f"/apis/{group}/v1/gadgets")).status == 404
    await api.delete(f"{CRDS}/gadgets.{group}")


async def test_a_definition_is_named_after_plural_and_group(api: Rig) -> None:
    crd = widget_crd("x.example.com")
    crd["metadata"]["name"] = "other.x.example.com"
    answer = await api.call("POST", CRDS, crd)
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["field"] == "metadata.name"


async def test_deleting_a_definition_deletes_its_objects_first(api: Rig, group: str, ns: str) -> None:
    made = await api.create(widgets(group, ns), widget("a", f"{group}/v1"))
    async with api.watch(widgets(group, ns), resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await api.delete(f"{CRDS}/widgets.{group}")
        assert await watch.take(1) == [("DELETED", "a")]

    async def gone() -> bool:
        return (await api.call("GET", f"{CRDS}/widgets.{group}")).status == 404

    await eventually(gone)
    assert (await api.call("GET", widgets(group, ns))).status == 404


async def test_a_held_object_holds_its_definition(api: Rig, group: str, ns: str) -> None:
    body = widget("a", f"{group}/v1")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await api.create(widgets(group, ns), body)
    await api.delete(f"{CRDS}/widgets.{group}")

    async def marked() -> bool:
        return "deletionTimestamp" in (await api.get(f"{widgets(group, ns)}/a"))["metadata"]

    await eventually(marked)
    refused = await api.call("POST", widgets(group, ns), widget("b", f"{group}/v1"))
    assert (refused.status, refused.reason) == (403, "Forbidden")
    await api.patch(f"{widgets(group, ns)}/a", {"metadata": {"finalizers": None}})

    async def gone() -> bool:
        return (await api.call("GET", f"{CRDS}/widgets.{group}")).status == 404

    await eventually(gone)


async def test_a_changed_definition_is_in_force_at_once(api: Rig, group: str, ns: str) -> None:
    crd = await api.get(f"{CRDS}/widgets.{group}")
    for version in crd["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["mood"] = {"type": "string"}
    await api.replace(f"{CRDS}/widgets.{group}", crd)

    async def known() -> bool:
        body = widget(f"w-{uuid.uuid4().hex[:6]}", f"{group}/v1", mood="fine")
        return (await api.call("POST", widgets(group, ns), body, fieldValidation="Strict")).status == 201

    await eventually(known)
