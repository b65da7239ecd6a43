"""Create, read, replace and delete, as every kind does them."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import config_map, deployment, namespace, pod
from graylane.testing.api.rig import MERGE, Rig, expect


async def test_a_new_object_gets_its_identity_from_the_server(api: Rig, ns: str) -> None:
    sent = config_map("a", uid="mine", creationTimestamp="2001-01-01T00:00:00Z", generation=7)
    made = await api.create(f"/api/v1/namespaces/{ns}/configmaps", sent)
    metadata = made["metadata"]
    assert metadata["namespace"] == ns
    assert metadata["uid"] not in ("", "mine")
    assert not metadata["creationTimestamp"].startswith("2001")
    assert await api.get(f"/api/v1/namespaces/{ns}/configmaps/a") == made


async def test_creating_a_name_twice_is_a_conflict_that_names_the_object(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    await api.create(path, config_map("a"))
    second = await api.call("POST", path, config_map("a"))
    assert (second.status, second.reason) == (409, "AlreadyExists")
    assert second.message == 'configmaps "a" already exists'
    assert second.json["details"] == {"name": "a", "kind": "configmaps"}


async def test_a_missing_object_is_said_to_be_missing(api: Rig, ns: str) -> None:
    answer = await api.call("GET", f"/apis/apps/v1/namespaces/{ns}/deployments/none")
    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.message == 'deployments.apps "none" not found'
    assert answer.json["details"] == {"name": "none", "group": "apps", "kind": "deployments"}


async def test_an_object_needs_a_namespace_that_exists(api: Rig) -> None:
    answer = await api.call("POST", "/api/v1/namespaces/nowhere/configmaps", config_map("a"))
    assert (answer.status, answer.message) == (404, 'namespaces "nowhere" not found')


async def test_the_namespace_of_the_body_must_be_that_of_the_url(api: Rig, ns: str) -> None:
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/configmaps", config_map("a", namespace="other"))
    assert answer.status == 400
    assert "the namespace of the provided object does not match the namespace sent on the request" in answer.message


async def test_a_generated_name_begins_as_asked_and_never_collides(api: Rig, ns: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
    names = {(await api.create(f"/api/v1/namespaces/{ns}/configmaps", body))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


@pytest.mark.parametrize("name", ["Upper", "with_underscore", "-dash", "a" * 254, "a..b"])
async def test_names_follow_the_rules_of_dns(api: Rig, ns: str, name: str) -> None:
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/configmaps", config_map(name))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.json["details"]["causes"][0]["field"] == "metadata.name"


async def test_a_name_is_required(api: Rig, ns: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/configmaps", body)
    assert answer.status == 422
    assert "metadata.name: Required value: name or generateName is required" in answer.message


@pytest.mark.parametrize("labels", [{"bad key": "x"}, {"a": "-x"}, {"a": "x" * 64}, {"/a": "x"}])
async def test_labels_follow_the_rules_of_labels(api: Rig, ns: str, labels: dict[str, str]) -> None:
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/configmaps", config_map("a", labels=labels))
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["field"] == "metadata.labels"


async def test_a_kind_that_is_not_served_is_not_found(api: Rig, ns: str) -> None:
    for path in (f"/api/v1/namespaces/{ns}/nope", "/apis/apps/v9/deployments"):
        answer = await api.call("GET", path)
        assert (answer.status, answer.reason) == (404, "NotFound")
    for path in ("/apis/nope.example/v1/things", "/nope"):
        for method in ("GET", "POST"):
            answer = await api.call(method, path)
            assert (answer.status, answer.body) == (404, b"404 page not found\n")


async def test_another_kind_than_the_urls_is_refused(api: Rig, ns: str) -> None:
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/configmaps", pod("a"))
    assert answer.status == 400


async def test_replacing_with_a_stale_version_is_a_conflict(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    made = await api.create(path, config_map("a"))
    await api.replace(f"{path}/a", {**made, "data": {"a": "2"}})
    stale = await api.call("PUT", f"{path}/a", {**made, "data": {"a": "3"}})
    assert (stale.status, stale.reason) == (409, "Conflict")
    assert stale.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert (await api.get(f"{path}/a"))["data"] == {"a": "2"}


async def test_replacing_without_a_version_takes_what_is_there(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    await api.create(path, config_map("a"))
    assert (await api.replace(f"{path}/a", config_map("a", {"a": "2"})))["data"] == {"a": "2"}


async def test_a_write_that_changes_nothing_writes_nothing(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    made = await api.create(path, deployment("a"))
    again = await api.replace(f"{path}/a", made)
    patched = await api.patch(f"{path}/a", {"spec": {"replicas": 1}})
    assert again["metadata"]["resourceVersion"] == patched["metadata"]["resourceVersion"]
    assert made["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


async def test_only_the_server_says_when_an_object_was_made(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    made = await api.create(path, config_map("a"))
    changes = {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9, "selfLink": "/x"}
    after = await api.patch(f"{path}/a", {"metadata": {**changes, "labels": {"x": "y"}}})
    assert after["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert not {"generation", "selfLink"} & set(after["metadata"])


@pytest.mark.parametrize("name", ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"])
async def test_an_objects_identity_and_end_cannot_be_written(api: Rig, ns: str, name: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    made = await api.create(path, config_map("a"))
    value: Any = {"uid": "x", "deletionTimestamp": "2001-01-01T00:00:00Z"}.get(name, 3)
    answer = await api.call("PATCH", f"{path}/a", {"metadata": {name: value}}, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert f"metadata.{name}: Invalid value" in answer.message
    assert await api.get(f"{path}/a") == made


async def test_generation_counts_wishes_and_nothing_else(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    assert (await api.create(path, deployment("a")))["metadata"]["generation"] == 1
    assert (await api.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}}))["metadata"]["generation"] == 1
    assert (await api.patch(f"{path}/a", {"spec": {"replicas": 2}}))["metadata"]["generation"] == 2
    status = await api.patch(f"{path}/a/status", {"status": {"replicas": 2}, "spec": {"replicas": 9}})
    assert status["metadata"]["generation"] == 2
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (2, 2)


async def test_the_main_endpoint_does_not_touch_the_status(api: Rig, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    made = await api.create(path, {**deployment("a"), "status": {"replicas": 5}})
    assert "replicas" not in made.get("status", {})
    after = await api.patch(f"{path}/a", {"status": {"replicas": 5}})
    assert "replicas" not in after.get("status", {})


async def test_dry_run_answers_and_stores_nothing(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    imagined = await api.create(path, config_map("a"), dryRun="All")
    assert imagined["metadata"]["uid"]
    assert (await api.call("GET", f"{path}/a")).status == 404
    await api.create(path, config_map("a"))
    assert (await api.patch(f"{path}/a", {"data": {"a": "2"}}, dryRun="All"))["data"] == {"a": "2"}
    await api.delete(f"{path}/a", dryRun="All")
    assert (await api.get(f"{path}/a"))["data"] == {"a": "1"}


async def test_a_wrong_option_is_refused_by_name(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    for query in ({"dryRun": "Some"}, {"fieldValidation": "Loose"}):
        answer = await api.call("POST", path, config_map("a"), **query)
        assert answer.status == 422
        assert next(iter(query)) in answer.message


async def test_yaml_bodies_are_understood(api: Rig, ns: str) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '1'}\n"
    made = await api.call("POST", f"/api/v1/namespaces/{ns}/configmaps", body, content_type="application/yaml")
    assert expect(made, 201)["data"] == {"a": "1"}


async def test_a_namespace_is_active_and_carries_its_name_as_a_label(api: Rig) -> None:
    made = await api.create("/api/v1/namespaces", namespace("labelled"))
    assert made["metadata"]["labels"]["kubernetes.io/metadata.name"] == "labelled"
    assert (made["status"]["phase"], made["spec"]["finalizers"]) == ("Active", ["kubernetes"])


async def test_secrets_take_plain_text_and_keep_it_encoded(api: Rig, ns: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"a": "x"},
        "data": {"b": "eQ=="},
    }
    made = await api.create(f"/api/v1/namespaces/{ns}/secrets", body)
    assert made["data"] == {"a": "eA==", "b": "eQ=="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made
