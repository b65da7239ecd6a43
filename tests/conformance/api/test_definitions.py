"""What a CustomResourceDefinition can ask for, feature by feature."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graylane.testing.api.kinds import established
from graylane.testing.api.objects import Obj, widget, widget_crd
from graylane.testing.api.rig import MERGE, Result, Rig, expect
from graylane.testing.waiting import eventually

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

Define = Callable[..., Awaitable[str]]


@pytest.fixture
async def define(api: Rig) -> Define:
    """Defines a kind Thing whose spec has this schema; gives the API's path, once it is served."""

    async def defined(properties: Obj, *, scope: str = "Namespaced", **version: Any) -> str:
        group = f"g{uuid.uuid4().hex[:8]}.example.com"
        schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
        shown = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
        names = {"plural": "things", "kind": "Thing"}
        spec = {"group": group, "scope": scope, "names": names, "versions": [shown]}
        await api.create(
            CRDS,
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"things.{group}"},
                "spec": spec,
            },
        )
        path = f"/apis/{group}/v1"

        async def served() -> bool:
            return (await api.call("GET", f"{path}/things")).status == 200

        await eventually(served)
        return path

    return defined


def thing(path: str, spec: Any, **more: Any) -> Obj:
    return {"apiVersion": path.removeprefix("/apis/"), "kind": "Thing", "metadata": {"name": "a"}, "spec": spec, **more}


async def sent(api: Rig, path: str, ns: str, spec: Any) -> Result:
    return await api.call("POST", f"{path}/namespaces/{ns}/things", thing(path, spec))


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
ELEMENT = {"type": "object", "required": ["name"], "properties": {"name": STRING, "value": INTEGER}}

# schema of spec.x, a value that is right, one that is wrong, and what is said of it
RULES: dict[str, tuple[Obj, Any, Any, str]] = {
    "minimum": ({**INTEGER, "minimum": 2}, 2, 1, "should be greater than or equal to 2"),
    "maximum": ({**INTEGER, "maximum": 2}, 2, 3, "should be less than or equal to 2"),
    "exclusiveMinimum": ({**INTEGER, "minimum": 2, "exclusiveMinimum": True}, 3, 2, "should be greater than 2"),
    "multipleOf": ({**INTEGER, "multipleOf": 5}, 10, 7, "should be a multiple of 5"),
    "minLength": ({**STRING, "minLength": 2}, "ab", "a", "should be at least 2 chars long"),
    "maxLength": ({**STRING, "maxLength": 2}, "ab", "abc", "Too long"),
    "pattern": ({**STRING, "pattern": "^[a-z]+$"}, "ab", "A1", "should match '^[a-z]+$'"),
    "enum": ({**STRING, "enum": ["on", "off"]}, "on", "half", 'supported values: "on", "off"'),
    "format": ({**STRING, "format": "ipv4"}, "192.0.2.1", "x", "must be of type ipv4"),
    "date-time": ({**STRING, "format": "date-time"}, "2026-01-01T00:00:00Z", "today", "must be of type date-time"),
    "minItems": ({"type": "array", "items": STRING, "minItems": 1}, ["a"], [], "should have at least 1 items"),
    "maxItems": ({"type": "array", "items": STRING, "maxItems": 1}, ["a"], ["a", "b"], "must have at most 1 item"),
    "set": (
        {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        ["a", "b"],
        ["a", "a"],
        "Duplicate value",
    ),
    "map": (
        {"type": "array", "items": ELEMENT, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        [{"name": "a"}, {"name": "b"}],
        [{"name": "a"}, {"name": "a"}],
        "Duplicate value",
    ),
    "maxProperties": (
        {"type": "object", "additionalProperties": STRING, "maxProperties": 1},
        {"a": "1"},
        {"a": "1", "b": "1"},
        "must have at most 1",
    ),
    "additionalProperties": (
        {"type": "object", "additionalProperties": INTEGER},
        {"a": 1},
        {"a": "x"},
        "of type integer",
    ),
    "required": (ELEMENT, {"name": "a"}, {"value": 1}, "Required value"),
    "nested type": (ELEMENT, {"name": "a", "value": 1}, {"name": "a", "value": "x"}, "of type integer"),
    "boolean": ({"type": "boolean"}, True, "yes", "of type boolean"),
    "number": ({"type": "number"}, 1.5, "1.5", "of type number"),
    "int-or-string": ({"x-kubernetes-int-or-string": True}, "25%", True, "of type integer,string"),
    "not nullable": (STRING, "a", None, ""),
    "nullable": ({**STRING, "nullable": True}, None, 1, "of type string"),
    "oneOf": (
        {
            "type": "object",
            "properties": {"a": STRING, "b": STRING},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        {"a": "1"},
        {"a": "1", "b": "1"},
        "must validate one and only one schema",
    ),
    "anyOf": (
        {
            "type": "object",
            "properties": {"a": STRING, "b": STRING},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        {"b": "1"},
        {},
        "must validate at least one schema",
    ),
    "allOf": ({**INTEGER, "allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 4, "should be less than or equal to 3"),
    "not": ({**STRING, "not": {"enum": ["root"]}}, "ann", "root", "must not validate the schema"),
}


@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_of_the_schema_is_enforced(api: Rig, ns: str, define: Define, rule: str) -> None:
    schema, right, wrong, said = RULES[rule]
    path = await define({"x": schema})
    refused = await sent(api, path, ns, {"x": wrong})
    if rule == "not nullable":  # a null where none is allowed counts as absent
        assert expect(refused, 201)["spec"] == {}
    else:
        assert (refused.status, refused.reason) == (422, "Invalid"), refused.body
        assert said in refused.message
        if not rule.endswith(("Of", "not")):  # what is said of alternatives is said of the whole
            assert all(cause["field"].startswith("spec.x") for cause in refused.json["details"]["causes"])
        assert expect(await sent(api, path, ns, {"x": right}), 201)["spec"] == {"x": right}


# schema of spec.x, what is sent as spec, what is stored
SHAPES: dict[str, tuple[Obj, Any, Any]] = {
    "a default": ({**INTEGER, "default": 7}, {}, {"x": 7}),
    "no default over a value": ({**INTEGER, "default": 7}, {"x": 1}, {"x": 1}),
    "a nested default needs its parent": ({"type": "object", "properties": {"y": {**INTEGER, "default": 7}}}, {}, {}),
    "a default of an object brings its own": (
        {"type": "object", "default": {}, "properties": {"y": {**INTEGER, "default": 7}}},
        {},
        {"x": {"y": 7}},
    ),
    "a default inside a list": (
        {"type": "array", "items": {"type": "object", "properties": {"y": {**INTEGER, "default": 7}}}},
        {"x": [{}, {"y": 1}]},
        {"x": [{"y": 7}, {"y": 1}]},
    ),
    "a default in place of a null": ({**INTEGER, "default": 7}, {"x": None}, {"x": 7}),
    "a null that is allowed": ({**INTEGER, "default": 7, "nullable": True}, {"x": None}, {"x": None}),
    "pruning": ({"type": "object", "properties": {"y": INTEGER}}, {"x": {"y": 1, "z": 1}, "w": 1}, {"x": {"y": 1}}),
    "keeping": (
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {"x": {"a": {"b": [None, 1.5, {}]}}},
        {"x": {"a": {"b": [None, 1.5, {}]}}},
    ),
    "keeping beside what is known": (
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"y": {"type": "object"}}},
        {"x": {"y": {"gone": 1}, "kept": 1}},
        {"x": {"y": {}, "kept": 1}},
    ),
    "a map": (
        {"type": "object", "additionalProperties": {"type": "object"}},
        {"x": {"k": {"gone": 1}}},
        {"x": {"k": {}}},
    ),
    "an embedded object": (
        {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        {"x": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"a": 1}}},
        {"x": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"a": 1}}},
    ),
    "large integers": (INTEGER, {"x": 9007199254740993}, {"x": 9007199254740993}),
}


@pytest.mark.parametrize("case", SHAPES)
async def test_an_object_is_brought_into_shape(api: Rig, ns: str, define: Define, case: str) -> None:
    schema, spec, stored = SHAPES[case]
    path = await define({"x": schema})
    made = expect(await sent(api, path, ns, spec), 201)
    assert made["spec"] == stored
    assert (await api.get(f"{path}/namespaces/{ns}/things/a"))["spec"] == stored


async def test_a_kind_without_namespaces(api: Rig, define: Define) -> None:
    path = await define({"x": INTEGER}, scope="Cluster")
    made = await api.create(f"{path}/things", thing(path, {"x": 1}))
    assert "namespace" not in made["metadata"]
    assert (await api.call("GET", f"{path}/namespaces/default/things/a")).status == 404


async def test_without_a_status_door_the_status_is_plain_data(api: Rig, ns: str) -> None:
    group = f"{ns}.example.com"
    await established(api, widget_crd(group, status=False))
    path = f"/apis/{group}/v1/namespaces/{ns}/widgets"
    made = await api.create(path, {**widget("a", f"{group}/v1"), "status": {"phase": "Up"}})
    assert made["status"] == {"phase": "Up"}
    changed = await api.patch(f"{path}/a", {"status": {"phase": "Down"}})
    assert (changed["status"], changed["metadata"]["generation"]) == ({"phase": "Down"}, 2)
    assert (await api.call("GET", f"{path}/a/status")).status == 404


async def test_a_version_that_is_not_served_is_not_there(api: Rig, ns: str) -> None:
    group = f"{ns}.example.com"
    crd = widget_crd(group, versions=("v1", "v2"))
    crd["spec"]["versions"][1]["served"] = False
    await established(api, crd)
    assert (await api.call("GET", f"/apis/{group}/v1/widgets")).status == 200
    assert (await api.call("GET", f"/apis/{group}/v2/widgets")).status == 404
    assert [v["version"] for v in (await api.get(f"/apis/{group}"))["versions"]] == ["v1"]


async def test_a_deprecated_version_warns(api: Rig, ns: str, define: Define) -> None:
    path = await define({"x": INTEGER}, deprecated=True, deprecationWarning="use something newer")
    answer = await sent(api, path, ns, {"x": 1})
    assert '299 - "use something newer"' in answer.warnings


async def test_fields_that_can_be_selected_on(api: Rig, ns: str, define: Define) -> None:
    path = await define({"x": STRING}, selectableFields=[{"jsonPath": ".spec.x"}])
    for name in "ab":
        body = {**thing(path, {"x": name}), "metadata": {"name": name}}
        await api.create(f"{path}/namespaces/{ns}/things", body)
    found = await api.get(f"{path}/namespaces/{ns}/things", fieldSelector="spec.x=b")
    assert [item["metadata"]["name"] for item in found["items"]] == ["b"]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ({"name": "X", "type": "integer", "jsonPath": ".spec.x"}, 3),
        ({"name": "X", "type": "string", "jsonPath": ".spec.x"}, "3"),
        ({"name": "N", "type": "string", "jsonPath": ".spec.none"}, None),
        ({"name": "L", "type": "string", "jsonPath": ".spec.list[*].name"}, "a"),
        ({"name": "F", "type": "string", "jsonPath": '.spec.list[?(@.name=="b")].value'}, "2"),
    ],
    ids=["integer", "as text", "absent", "of a list", "filtered"],
)
async def test_a_column_prints(api: Rig, ns: str, define: Define, column: Obj, cell: Any) -> None:
    properties = {"x": INTEGER, "list": {"type": "array", "items": ELEMENT}}
    path = await define(properties, additionalPrinterColumns=[column])
    expect(await sent(api, path, ns, {"x": 3, "list": [{"name": "a", "value": 1}, {"name": "b", "value": 2}]}), 201)
    table = expect(await api.call("GET", f"{path}/namespaces/{ns}/things", accept=TABLE), 200)
    assert table["rows"][0]["cells"] == ["a", cell]


async def test_without_columns_the_age_is_printed(api: Rig, ns: str, define: Define) -> None:
    path = await define({"x": INTEGER})
    await sent(api, path, ns, {"x": 1})
    table = expect(await api.call("GET", f"{path}/namespaces/{ns}/things", accept=TABLE), 200)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]


WRONG: dict[str, tuple[Callable[[Obj], Any], str]] = {
    "two stored versions": (
        lambda spec: spec["versions"].append({**spec["versions"][0], "name": "v2"}),
        "spec.versions",
    ),
    "no stored version": (lambda spec: spec["versions"][0].update(storage=False), "spec.versions"),
    "no versions": (lambda spec: spec["versions"].clear(), "spec.versions"),
    "no schema": (lambda spec: spec["versions"][0].pop("schema"), "spec.versions[0].schema.openAPIV3Schema"),
    "an unknown scope": (lambda spec: spec.update(scope="Galaxy"), "spec.scope"),
    "a plural in capitals": (lambda spec: spec["names"].update(plural="Widgets"), "spec.names.plural"),
    "no kind": (lambda spec: spec["names"].pop("kind"), "spec.names.kind"),
    "a version that is no name": (lambda spec: spec["versions"][0].update(name="V_1"), "spec.versions[0].name"),
    "a conversion without its webhook": (
        lambda spec: spec.update(conversion={"strategy": "Webhook"}),
        "spec.conversion",
    ),
    "fields that Kubernetes may know or not": (lambda spec: spec.update(preserveUnknownFields=True), "spec"),
    "a short name in capitals": (lambda spec: spec["names"].update(shortNames=["WD"]), "spec.names.shortNames[0]"),
    "a group without a domain": (lambda spec: spec.update(group="example"), "spec.group"),
    "a group of Kubernetes": (lambda spec: spec.update(group="shop.k8s.io"), "metadata.annotations"),
    "a scale that is no path": (
        lambda spec: spec["versions"][0]["subresources"]["scale"].update(specReplicasPath="spec.replicas"),
        "spec",
    ),
    "a field to select by that is not": (
        lambda spec: spec["versions"][0].update(selectableFields=[{"jsonPath": ".spec.nothing"}]),
        "spec",
    ),
    "metadata of its own": (
        lambda spec: spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"].update(
            metadata={"type": "object", "properties": {"labels": {"type": "object"}}}
        ),
        "spec",
    ),
    "an unknown conversion": (lambda spec: spec.update(conversion={"strategy": "Magic"}), "spec.conversion.strategy"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_definition_that_makes_no_sense_is_refused(api: Rig, ns: str, case: str) -> None:
    change, field = WRONG[case]
    crd = widget_crd(f"{ns}.example.com")
    change(crd["spec"])
    answer = await api.call("POST", CRDS, crd)
    assert answer.status == 422, answer.body
    assert any(cause["field"].startswith(field) for cause in answer.json["details"]["causes"]), answer.message


UNSTRUCTURAL: dict[str, Obj] = {
    "a place without a type": {"properties": {"x": {"description": "anything"}}},
    "a list without items": {"properties": {"x": {"type": "array"}}},
    "an unknown type": {"properties": {"x": {"type": "thing"}}},
    "a reference": {"properties": {"x": {"$ref": "#/definitions/x"}}},
    "a default of the wrong type": {"properties": {"x": {"type": "integer", "default": "x"}}},
    "unique items": {"properties": {"x": {"type": "array", "items": STRING, "uniqueItems": True}}},
    "fields beside a map": {
        "properties": {"x": {"type": "object", "properties": {"a": STRING}, "additionalProperties": STRING}}
    },
    "a map without keys": {"properties": {"x": {"type": "array", "items": ELEMENT, "x-kubernetes-list-type": "map"}}},
}


@pytest.mark.parametrize("case", UNSTRUCTURAL)
async def test_a_schema_that_is_not_structural_is_refused(api: Rig, ns: str, case: str) -> None:
    crd = widget_crd(f"{ns}.example.com")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", **UNSTRUCTURAL[case]}
    answer = await api.call("POST", CRDS, crd)
    assert answer.status in (400, 422), answer.body
    assert "x" in answer.message


async def test_a_definitions_scope_never_changes(api: Rig, ns: str) -> None:
    crd = await established(api, widget_crd(f"{ns}.example.com"))
    answer = await api.call(
        "PATCH", f"{CRDS}/{crd['metadata']['name']}", {"spec": {"scope": "Cluster"}}, content_type=MERGE
    )
    assert answer.status == 422
    assert "spec.scope" in answer.message


async def test_a_new_stored_version_is_remembered_beside_the_old(api: Rig, ns: str) -> None:
    group = f"{ns}.example.com"
    crd = await established(api, widget_crd(group, versions=("v1", "v2")))
    path = f"{CRDS}/{crd['metadata']['name']}"
    crd = await api.get(path)
    for version in crd["spec"]["versions"]:
        version["storage"] = version["name"] == "v2"
    after = await api.replace(path, crd)
    assert after["status"]["storedVersions"] == ["v1", "v2"]
    gone = {**after, "spec": {**after["spec"], "versions": after["spec"]["versions"][1:]}}
    refused = await api.call("PUT", path, gone)
    assert refused.status == 422
    assert "status.storedVersions" in refused.message


async def test_short_names_and_categories_are_told(api: Rig, ns: str) -> None:
    group = f"{ns}.example.com"
    await established(api, widget_crd(group))
    resources = (await api.get(f"/apis/{group}/v1"))["resources"]
    (widgets,) = [each for each in resources if each["name"] == "widgets"]
    assert (widgets["shortNames"], widgets["categories"], widgets["singularName"]) == (["wd"], ["all"], "widget")
    assert {each["name"] for each in resources} == {"widgets", "widgets/status", "widgets/scale"}


async def test_the_schema_of_a_custom_kind_is_published(api: Rig, ns: str) -> None:
    group = f"{ns}.example.com"
    await established(api, widget_crd(group))

    async def published() -> Any:
        paths = (await api.get("/openapi/v3"))["paths"]
        return paths.get(f"apis/{group}/v1")

    entry: Any = await eventually(published)
    schemas = (await api.get(entry["serverRelativeURL"]))["components"]["schemas"]
    (schema,) = [each for name, each in schemas.items() if name.endswith(".v1.Widget")]
    assert schema["properties"]["spec"]["properties"]["size"]["type"] == "integer"
    assert schema["x-kubernetes-group-version-kind"] == [{"group": group, "version": "v1", "kind": "Widget"}]
