"""What each kind of patch can say, case by case: strategic directives, JSON patch operations, merge patches."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import Obj, config_map, deployment, service
from graylane.testing.api.rig import JSON_PATCH, MERGE, STRATEGIC, Rig


def container(name: str, **more: Any) -> Obj:
    return {"name": name, "image": f"{name}:1", **more}


def app(ns: str) -> str:
    return f"/apis/apps/v1/namespaces/{ns}/deployments"


def templated(*containers: Obj, **spec: Any) -> Obj:
    return {"spec": {"template": {"spec": {"containers": list(containers), **spec}}}}


async def started(api: Rig, ns: str, *containers: Obj, **spec: Any) -> str:
    """A deployment of these containers; its path."""
    body = deployment("a")
    body["spec"]["template"]["spec"] = {"containers": list(containers), **spec}
    await api.create(app(ns), body)
    return f"{app(ns)}/a"


def names(items: list[Obj]) -> list[str]:
    return [item["name"] for item in items]


A, B, C = container("a"), container("b"), container("c")

STRATEGIC_CASES: dict[str, tuple[list[Obj], Obj, list[str]]] = {
    "an element that is new comes first": ([A, B], templated(C), ["c", "a", "b"]),
    "an element is changed where it is": ([A, B], templated({"name": "b", "image": "x"}), ["a", "b"]),
    "an element is deleted": ([A, B], templated({"name": "a", "$patch": "delete"}), ["b"]),
    "a list is replaced": ([A, B], templated({"$patch": "replace"}, C), ["c"]),
    "an order is set": (
        [A, B, C],
        {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": n} for n in "cab"]}}}},
        ["c", "a", "b"],
    ),
    "an order is set while one goes": (
        [A, B, C],
        {
            "spec": {
                "template": {
                    "spec": {
                        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                        "containers": [{"name": "b", "$patch": "delete"}],
                    }
                }
            }
        },
        ["c", "a"],
    ),
}


@pytest.mark.parametrize("case", STRATEGIC_CASES)
async def test_strategic_merge_of_a_list_by_name(api: Rig, ns: str, case: str) -> None:
    before, patch, after = STRATEGIC_CASES[case]
    path = await started(api, ns, *before)
    patched = await api.patch(path, patch, STRATEGIC)
    assert names(patched["spec"]["template"]["spec"]["containers"]) == after


async def test_strategic_merge_replaces_a_map_when_told_to(api: Rig, ns: str) -> None:
    path = await started(api, ns, A)
    await api.patch(path, {"metadata": {"labels": {"x": "1", "y": "2"}}}, STRATEGIC)
    after = await api.patch(path, {"metadata": {"labels": {"$patch": "replace", "z": "3"}}}, STRATEGIC)
    assert after["metadata"]["labels"] == {"z": "3"}


async def test_strategic_merge_deletes_a_map_when_told_to(api: Rig, ns: str) -> None:
    path = await started(api, ns, {**A, "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}})
    change = templated({"name": "a", "resources": {"limits": {"$patch": "delete"}}})
    after = await api.patch(path, change, STRATEGIC)
    assert not after["spec"]["template"]["spec"]["containers"][0]["resources"].get("limits")


async def test_strategic_merge_retains_only_the_keys_of_a_union(api: Rig, ns: str) -> None:
    path = await started(api, ns, A)
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert (await api.patch(path, change, STRATEGIC))["spec"]["strategy"] == {"type": "Recreate"}


async def test_strategic_merge_takes_values_out_of_a_set(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    await api.create(path, config_map("a", finalizers=["example.com/a", "example.com/b", "example.com/c"]))
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/b"], "finalizers": ["example.com/d"]}}
    after = await api.patch(f"{path}/a", change, STRATEGIC)
    assert set(after["metadata"]["finalizers"]) == {"example.com/a", "example.com/c", "example.com/d"}
    await api.patch(f"{path}/a", {"metadata": {"finalizers": None}}, MERGE)


async def test_strategic_merge_removes_with_null(api: Rig, ns: str) -> None:
    path = await started(api, ns, {**A, "env": [{"name": "x", "value": "1"}], "workingDir": "/x"})
    after = await api.patch(path, templated({"name": "a", "env": None, "workingDir": None}), STRATEGIC)
    (left,) = after["spec"]["template"]["spec"]["containers"]
    assert not {"env", "workingDir"} & left.keys()


async def test_strategic_merge_of_ports_by_number(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/services"
    await api.create(path, service("a", ports=[{"name": "x", "port": 80}, {"name": "y", "port": 81}]))
    change = {"spec": {"ports": [{"port": 81, "targetPort": 9}, {"name": "z", "port": 82}]}}
    after = await api.patch(f"{path}/a", change, STRATEGIC)
    assert sorted((port["port"], port["name"], port["targetPort"]) for port in after["spec"]["ports"]) == [
        (80, "x", 80),
        (81, "y", 9),
        (82, "z", 82),
    ]


async def test_strategic_merge_of_volumes_by_name_keeps_one_source(api: Rig, ns: str) -> None:
    path = await started(api, ns, A, volumes=[{"name": "v", "emptyDir": {}}])
    change = templated(volumes=[{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}])
    del change["spec"]["template"]["spec"]["containers"]
    after = await api.patch(path, change, STRATEGIC)
    (volume,) = after["spec"]["template"]["spec"]["volumes"]
    assert (volume["configMap"]["name"], "emptyDir" in volume) == ("c", False)


async def test_strategic_merge_of_tolerations_replaces_the_list(api: Rig, ns: str) -> None:
    path = await started(api, ns, A, tolerations=[{"key": "a", "operator": "Exists"}])
    change = {"spec": {"template": {"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}}}}
    after = await api.patch(path, change, STRATEGIC)
    assert [each["key"] for each in after["spec"]["template"]["spec"]["tolerations"]] == ["b"]


async def test_an_element_without_its_key_cannot_be_merged(api: Rig, ns: str) -> None:
    path = await started(api, ns, A)
    answer = await api.call("PATCH", path, templated({"image": "x"}), content_type=STRATEGIC)
    assert answer.status in (400, 422, 500)
    assert "does not contain declared merge key: name" in answer.message


async def test_an_unknown_directive_is_refused(api: Rig, ns: str) -> None:
    path = await started(api, ns, A)
    answer = await api.call("PATCH", path, templated({"name": "a", "$patch": "explode"}), content_type=STRATEGIC)
    assert answer.status in (400, 422, 500)


JSON_CASES: dict[str, tuple[list[Obj], Any]] = {
    "add a key": ([{"op": "add", "path": "/data/b", "value": "2"}], {"a": "1", "b": "2"}),
    "add over a key": ([{"op": "add", "path": "/data/a", "value": "2"}], {"a": "2"}),
    "add a key with a slash": ([{"op": "add", "path": "/data/a.b~1c", "value": "2"}], None),
    "replace a key": ([{"op": "replace", "path": "/data/a", "value": "2"}], {"a": "2"}),
    "remove a key": ([{"op": "remove", "path": "/data/a"}], {}),
    "remove what is not there": ([{"op": "remove", "path": "/data/x"}], None),
    "replace what is not there": ([{"op": "replace", "path": "/data/x", "value": "1"}], {"a": "1", "x": "1"}),
    "replace in what is not there": ([{"op": "replace", "path": "/x/x", "value": "1"}], None),
    "copy what is not there": ([{"op": "copy", "from": "/data/x", "path": "/data/b"}], {"a": "1", "b": ""}),
    "move what is not there": ([{"op": "move", "from": "/data/x", "path": "/data/b"}], None),
    "add nothing": ([{"op": "add", "path": "/data/b"}], {"a": "1", "b": ""}),
    "nothing is what is not there": ([{"op": "test", "path": "/data/x", "value": None}], {"a": "1"}),
    "no operation": ([], {"a": "1"}),
    "an operation without a name": ([{"path": "/data/a"}], None),
    "the whole object": ([{"op": "add", "path": "", "value": {}}], None),
    "through a text": ([{"op": "add", "path": "/data/a/b", "value": "1"}], None),
    "copy": ([{"op": "copy", "from": "/data/a", "path": "/data/b"}], {"a": "1", "b": "1"}),
    "move": ([{"op": "move", "from": "/data/a", "path": "/data/b"}], {"b": "1"}),
    "test that holds": ([{"op": "test", "path": "/data/a", "value": "1"}], {"a": "1"}),
    "test that fails": ([{"op": "test", "path": "/data/a", "value": "2"}], None),
    "test of what is not there": ([{"op": "test", "path": "/data/x", "value": "1"}], None),
    "an unknown operation": ([{"op": "explode", "path": "/data/a"}], None),
    "a path without its root": ([{"op": "add", "path": "x/data/a", "value": "2"}], {"a": "2"}),
    "all or nothing": ([{"op": "remove", "path": "/data/a"}, {"op": "remove", "path": "/data/a"}], None),
}


@pytest.mark.parametrize("case", JSON_CASES)
async def test_a_json_patch(api: Rig, ns: str, case: str) -> None:
    operations, after = JSON_CASES[case]
    path = f"/api/v1/namespaces/{ns}/configmaps"
    made = await api.create(path, config_map("a"))
    answer = await api.call("PATCH", f"{path}/a", operations, content_type=JSON_PATCH)
    if after is None:
        assert answer.status in (400, 422), answer.body
        assert await api.get(f"{path}/a") == made
    else:
        assert (answer.status, answer.json.get("data", {})) == (200, after), answer.body


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "add", "path": "/metadata/finalizers/1", "value": "example.com/x"}, "axb"),
        ({"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/x"}, "abx"),
        ({"op": "remove", "path": "/metadata/finalizers/0"}, "b"),
        ({"op": "replace", "path": "/metadata/finalizers/0", "value": "example.com/x"}, "xb"),
    ],
    ids=lambda part: part["path"] if isinstance(part, dict) else part,
)
async def test_a_json_patch_of_a_list(api: Rig, ns: str, operation: Obj, after: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    await api.create(path, config_map("a", finalizers=["example.com/a", "example.com/b"]))
    patched = await api.patch(f"{path}/a", [operation], JSON_PATCH)
    assert patched["metadata"]["finalizers"] == [f"example.com/{letter}" for letter in after]
    await api.patch(f"{path}/a", {"metadata": {"finalizers": None}}, MERGE)


MERGE_CASES: dict[str, tuple[Obj, Obj]] = {
    "lists are replaced": ({"spec": {"template": {"spec": {"containers": [B]}}}}, {"names": ["b"]}),
    "nothing changes nothing": ({}, {"names": ["a"]}),
    "null of what is not there": ({"spec": {"paused": None}}, {"names": ["a"]}),
    "a null restores the default": ({"spec": {"revisionHistoryLimit": None}}, {"limit": 10}),
}


@pytest.mark.parametrize("case", MERGE_CASES)
async def test_a_merge_patch(api: Rig, ns: str, case: str) -> None:
    patch, expected = MERGE_CASES[case]
    path = await started(api, ns, A)
    after = (await api.patch(path, patch, MERGE))["spec"]
    found = {"names": names(after["template"]["spec"]["containers"]), "limit": after["revisionHistoryLimit"]}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("kind", [MERGE, STRATEGIC])
async def test_a_patch_of_the_wrong_type_is_blamed_on_the_patch(api: Rig, ns: str, kind: str) -> None:
    path = await started(api, ns, A)
    answer = await api.call("PATCH", path, {"spec": {"replicas": "three", "bogus": 1}}, content_type=kind)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["patch"]
    why = answer.message.rpartition(": ")[2]
    assert "bogus" not in why, "a type error outweighs unknown fields"


@pytest.mark.parametrize("kind", [MERGE, STRATEGIC, JSON_PATCH])
async def test_a_patch_can_be_rehearsed(api: Rig, ns: str, kind: str) -> None:
    path = await started(api, ns, A)
    patch: Any = {"spec": {"replicas": 5}}
    if kind == JSON_PATCH:
        patch = [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    assert (await api.patch(path, patch, kind, dryRun="All"))["spec"]["replicas"] == 5
    assert (await api.get(path))["spec"]["replicas"] == 1


async def test_a_null_element_is_an_empty_one(api: Rig, ns: str) -> None:
    """Go decodes a null in a list as the zero value, which then lacks what the kind requires."""
    path = await started(api, ns, A)
    answer = await api.call("PATCH", path, templated(None), content_type=MERGE)  # type: ignore[arg-type]
    assert answer.status in (400, 422), answer.body
    assert "Traceback" not in answer.message
