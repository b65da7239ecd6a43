"""The patch types, each on what it is for."""

from __future__ import annotations

import asyncio

from graylane.testing.api.objects import config_map, deployment
from graylane.testing.api.rig import JSON_PATCH, MERGE, STRATEGIC, Rig


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


async def test_a_merge_patch_sets_replaces_and_removes(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a", {"keep": "1", "drop": "1", "change": "1"}))
    after = await api.patch(f"{maps(ns)}/a", {"data": {"drop": None, "change": "2", "new": "3"}})
    assert after["data"] == {"keep": "1", "change": "2", "new": "3"}


async def test_a_json_patch_tests_before_it_writes(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"))
    wrong = [{"op": "test", "path": "/data/a", "value": "9"}, {"op": "replace", "path": "/data/a", "value": "2"}]
    refused = await api.call("PATCH", f"{maps(ns)}/a", wrong, content_type=JSON_PATCH)
    assert refused.status == 422
    right = [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "replace", "path": "/data/a", "value": "2"}]
    assert (await api.patch(f"{maps(ns)}/a", right, JSON_PATCH))["data"] == {"a": "2"}


async def test_a_strategic_patch_merges_containers_and_their_env_by_name(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"))
    for value in ("base", "canary"):
        env = [{"name": "version", "value": value}]
        spec = {"template": {"spec": {"containers": [{"name": "main", "env": env}]}}}
        after = await api.patch(f"{path}/a", {"spec": spec}, STRATEGIC)
        containers = after["spec"]["template"]["spec"]["containers"]
        assert len(containers) == 1
        assert (containers[0]["image"], containers[0]["env"]) == ("sample:1", env)


async def test_the_version_in_a_patch_is_a_condition(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    version = made["metadata"]["resourceVersion"]
    await api.patch(f"{maps(ns)}/a", {"metadata": {"resourceVersion": version}, "data": {"a": "2"}})
    body = {"metadata": {"resourceVersion": version}, "data": {"a": "3"}}
    stale = await api.call("PATCH", f"{maps(ns)}/a", body, content_type=MERGE)
    assert (stale.status, stale.reason) == (409, "Conflict")


async def test_concurrent_patches_all_arrive(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"))
    await asyncio.gather(*(api.patch(f"{maps(ns)}/a", {"data": {f"k{n}": "x"}}) for n in range(20)))
    assert len((await api.get(f"{maps(ns)}/a"))["data"]) == 21


async def test_of_concurrent_replacements_with_one_version_one_wins(api: Rig, ns: str) -> None:
    made = await api.create(maps(ns), config_map("a"))
    bodies = [{**made, "data": {"a": f"v{n}"}} for n in range(10)]
    answers = await asyncio.gather(*(api.call("PUT", f"{maps(ns)}/a", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 9


async def test_patching_what_is_not_there_is_not_found(api: Rig, ns: str) -> None:
    answer = await api.call("PATCH", f"{maps(ns)}/none", {"data": {}}, content_type=MERGE)
    assert answer.status == 404


async def test_an_unknown_patch_type_is_refused(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"))
    answer = await api.call("PATCH", f"{maps(ns)}/a", {"data": {}}, content_type="application/x-patch")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")
    assert "Unsupported Media Type" in answer.message


async def test_a_patch_cannot_rename(api: Rig, ns: str) -> None:
    await api.create(maps(ns), config_map("a"))
    answer = await api.call("PATCH", f"{maps(ns)}/a", {"metadata": {"name": "b"}}, content_type=MERGE)
    assert answer.status in (400, 422)


async def test_unknown_fields_of_a_patch_are_refused_or_warned_about(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"))
    body = {"spec": {"replics": 3}}
    strict = await api.call("PATCH", f"{path}/a", body, content_type=STRATEGIC, fieldValidation="Strict")
    assert strict.status in (400, 422)
    assert 'unknown field "spec.replics"' in strict.message
    warned = await api.call("PATCH", f"{path}/a", body, content_type=STRATEGIC, fieldValidation="Warn")
    assert warned.status == 200
    assert any('unknown field \\"spec.replics\\"' in warning for warning in warned.warnings)
    ignored = await api.call("PATCH", f"{path}/a", body, content_type=STRATEGIC, fieldValidation="Ignore")
    assert (ignored.status, ignored.warnings) == (200, [])


async def test_a_deployment_scales_through_its_scale(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"))
    scale = await api.patch(f"{path}/a/scale", {"spec": {"replicas": 4}})
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (4, "app=a")
    after = await api.get(f"{path}/a")
    assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (4, 2)
    stale = {**scale, "metadata": {**scale["metadata"], "resourceVersion": "1"}}
    assert (await api.call("PUT", f"{path}/a/scale", stale)).status == 409


async def test_a_selector_of_a_deployment_never_changes(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    made = await api.create(path, deployment("a"))
    made["spec"]["selector"]["matchLabels"] = {"app": "b"}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
    answer = await api.call("PUT", f"{path}/a", made)
    assert answer.status == 422
    assert "field is immutable" in answer.message
