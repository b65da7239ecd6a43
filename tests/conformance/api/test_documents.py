"""What clients read before they do anything: version, health, discovery, OpenAPI, reviews, tables."""

from __future__ import annotations

import pytest

from graylane.testing.api.objects import config_map, deployment, pod
from graylane.testing.api.rig import Rig, expect

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_the_version_looks_like_kubernetes(api: Rig) -> None:
    for path in ("/version", "/version/"):
        version = await api.get(path)
        assert version["major"] == "1"
        assert version["gitVersion"].startswith(f"v1.{version['minor'].rstrip('+')}.")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_is_told_to_anybody(api: Rig, path: str) -> None:
    answer = await api.call("GET", path, token="")
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(
    "accept",
    [
        AGGREGATED,
        "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
        "application/json; v=v2 ; g=apidiscovery.k8s.io ;as=APIGroupDiscoveryList, application/json",
    ],
)
async def test_discovery_comes_in_one_piece_to_who_asks_for_it(api: Rig, accept: str) -> None:
    answer = await api.call("GET", "/apis", accept=accept)
    found = expect(answer, 200)
    assert found["kind"] == "APIGroupDiscoveryList"
    assert "as=APIGroupDiscoveryList" in answer.content_type
    apps = next(item for item in found["items"] if item["metadata"]["name"] == "apps")
    deployments = next(r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments")
    assert deployments["shortNames"] == ["deploy"]
    assert deployments["scope"] == "Namespaced"
    assert deployments["responseKind"]["kind"] == "Deployment"
    assert {sub["subresource"] for sub in deployments["subresources"]} == {"scale", "status"}


async def test_older_clients_get_discovery_piece_by_piece(api: Rig) -> None:
    v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    if api.ours:
        assert expect(await api.call("GET", "/api", accept=v2beta1), 200)["kind"] == "APIVersions"
    groups = await api.get("/apis")
    assert groups["kind"] == "APIGroupList"
    apps = await api.get("/apis/apps")
    assert apps["preferredVersion"]["groupVersion"] == "apps/v1"
    core = await api.get("/api/v1")
    names = {resource["name"] for resource in core["resources"]}
    assert {"pods", "pods/log", "pods/status", "namespaces", "services"} <= names


async def test_openapi_is_indexed_and_revalidated(api: Rig) -> None:
    first = await api.call("GET", "/openapi/v3")
    paths = expect(first, 200)["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(paths)
    where = paths["apis/apps/v1"]["serverRelativeURL"]
    document = await api.call("GET", where)
    assert "io.k8s.api.apps.v1.Deployment" in expect(document, 200)["components"]["schemas"]
    assert (await api.call("GET", where, headers={"If-None-Match": document.etag})).status == 304


async def test_old_kubectl_gets_openapi_v2_as_protobuf(api: Rig) -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = await api.call("GET", "/openapi/v2", accept=accept)
    assert (answer.status, answer.content_type) == (
        200,
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    )
    assert len(answer.body) > 100_000


async def test_a_list_can_be_a_table(api: Rig, ns: str) -> None:
    await api.create(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"))
    table = expect(await api.call("GET", f"/apis/apps/v1/namespaces/{ns}/deployments", accept=TABLE), 200)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]][:2] == ["Name", "Ready"]
    assert table["rows"][0]["cells"][:2] == ["a", "0/1"]
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_table_rows_carry_whole_objects_for_sorting(api: Rig, ns: str) -> None:
    await api.create(f"/api/v1/namespaces/{ns}/pods", pod("a"))
    answer = await api.call("GET", f"/api/v1/namespaces/{ns}/pods", accept=TABLE, includeObject="Object")
    assert expect(answer, 200)["rows"][0]["object"]["spec"]["containers"][0]["name"] == "main"


async def test_a_watch_can_be_of_table_rows(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    made = await api.create(path, pod("a"))
    async with api.watch(path, accept=TABLE, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await api.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}})
        event = await watch.next()
    assert (event["type"], event["object"]["kind"]) == ("MODIFIED", "Table")
    assert event["object"]["rows"][0]["cells"][0] == "a"


async def test_metadata_alone_can_be_asked_for(api: Rig, ns: str) -> None:
    await api.create(f"/api/v1/namespaces/{ns}/configmaps", config_map("a", labels={"mine": "yes"}))
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    path = f"/api/v1/namespaces/{ns}/configmaps"
    listed = expect(await api.call("GET", path, accept=accept, labelSelector="mine=yes"), 200)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0]["metadata"]["name"] == "a"
    assert "data" not in listed["items"][0]


async def test_one_may_ask_who_one_is_and_what_one_may(api: Rig) -> None:
    who = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", who)
    assert "system:authenticated" in answer["status"]["userInfo"]["groups"]
    may = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    }
    answer = await api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", may)
    assert answer["status"]["allowed"] is True


@pytest.mark.ours("a real cluster acts on it")
async def test_what_is_only_stored_is_said_so(api: Rig, ns: str) -> None:
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "a"}, "spec": {"hard": {"pods": "1"}}}
    answer = await api.call("POST", f"/api/v1/namespaces/{ns}/resourcequotas", body)
    assert answer.status == 201
    assert answer.warnings == ['299 - "Graylane stores but does not act on ResourceQuota"']


@pytest.mark.ours("a real cluster serves it")
async def test_what_is_not_served_is_refused_by_name(api: Rig, ns: str) -> None:
    await api.create(f"/api/v1/namespaces/{ns}/pods", pod("a"))
    for method in ("GET", "PATCH", "PUT"):
        answer = await api.call(method, f"/api/v1/namespaces/{ns}/pods/a/ephemeralcontainers")
        assert answer.status == 501
        assert "pods/ephemeralcontainers" in answer.message


async def test_streams_want_a_pod_that_runs_and_something_to_stream(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods/a"
    assert (await api.call("GET", f"{path}/exec", command="ls", stdout="true")).status == 404
    nowhere = {**pod("a")["spec"], "nodeSelector": {"graylane.dev/nowhere": "at-all"}}
    await api.create(f"/api/v1/namespaces/{ns}/pods", {**pod("a"), "spec": nowhere})
    answer = await api.call("GET", f"{path}/exec", command="ls", stdout="true")
    assert (answer.status, answer.message) == (400, "pod a does not have a host assigned")
