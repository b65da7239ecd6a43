"""lightkube: its models, its generic resources, its watch with error policies."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import deployment
from tests.e2e.clients.cluster import INSTALL, Cluster

lightkube = pytest.importorskip("lightkube", reason=INSTALL)
from lightkube import AsyncClient, Client, KubeConfig  # noqa: E402
from lightkube.codecs import from_dict  # noqa: E402
from lightkube.core.exceptions import ApiError  # noqa: E402
from lightkube.generic_resource import create_namespaced_resource  # noqa: E402
from lightkube.models.meta_v1 import ObjectMeta  # noqa: E402
from lightkube.resources.apps_v1 import Deployment  # noqa: E402
from lightkube.resources.core_v1 import ConfigMap  # noqa: E402
from lightkube.types import CascadeType, PatchType  # noqa: E402

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(cluster: Cluster, ns: str) -> Any:
    return Client(config=KubeConfig.from_file(cluster.kubeconfig), namespace=ns, field_manager="lightkube")


def a_map(name: str, **data: str) -> Any:
    return ConfigMap(metadata=ObjectMeta(name=name, labels={"app": name}), data=data or {"a": "1"})


def test_an_object_lives_and_dies(client: Any) -> None:
    made = client.create(a_map("a"))
    made.data["a"] = "2"
    assert client.replace(made).data == {"a": "2"}
    patched = client.patch(ConfigMap, "a", {"data": {"b": "3"}}, patch_type=PatchType.MERGE)
    assert patched.data == {"a": "2", "b": "3"}
    with pytest.raises(ApiError) as stale:
        client.replace(made)
    assert (stale.value.status.code, stale.value.status.reason) == (409, "Conflict")
    client.delete(ConfigMap, "a", cascade=CascadeType.FOREGROUND)
    with pytest.raises(ApiError) as twice:
        client.delete(ConfigMap, "nobody")
    assert (twice.value.status.code, twice.value.status.details.name) == (404, "nobody")


def test_apply_keeps_others_fields_and_names_conflicts(client: Any) -> None:
    client.apply(a_map("a"))
    client.apply(a_map("a", b="2"), field_manager="two")
    with pytest.raises(ApiError) as conflict:
        client.apply(a_map("a", a="9"), field_manager="two")
    assert 'conflict with "lightkube": .data.a' in conflict.value.status.message
    assert client.apply(a_map("a", a="9"), field_manager="two", force=True).data == {"a": "9"}


def test_lists_are_selected_and_paged(client: Any) -> None:
    for name in "abcde":
        client.create(a_map(name))
    assert [each.metadata.name for each in client.list(ConfigMap, labels={"app": ["b", "d"]})] == ["b", "d"]
    assert [each.metadata.name for each in client.list(ConfigMap, fields={"metadata.name": "c"})] == ["c"]
    paged = client.list(ConfigMap, labels={"app": None}, chunk_size=2)
    assert [each.metadata.name for each in paged] == list("abcde")


def test_a_watch_follows_and_resumes(client: Any) -> None:
    made = client.create(a_map("a"))
    client.patch(ConfigMap, "a", {"data": {"a": "2"}})
    client.delete(ConfigMap, "a")
    seen = []
    for kind, each in client.watch(ConfigMap, resource_version=made.metadata.resourceVersion, server_timeout=30):
        seen.append((kind, each.data["a"]))
        if kind == "DELETED":
            break
    assert seen == [("MODIFIED", "2"), ("DELETED", "2")]


def test_a_deployment_scales_and_is_waited_for(client: Any) -> None:
    client.create(from_dict(deployment("web")))
    client.patch(Deployment.Scale, "web", {"spec": {"replicas": 3}})
    assert client.get(Deployment, "web").spec.replicas == 3
    available = {"type": "Available", "status": "True"}
    client.patch(Deployment.Status, "web", {"status": {"conditions": [available]}}, patch_type=PatchType.MERGE)
    assert client.wait(Deployment, "web", for_conditions=["Available"]).metadata.name == "web"


def test_generic_resources_are_for_custom_kinds(client: Any, group: str) -> None:
    widgets = create_namespaced_resource(group, "v1", "Widget", "widgets")
    made = client.create(widgets(metadata=ObjectMeta(name="a"), spec={"size": 1}))
    assert made.spec["colour"] == "red"
    client.patch(widgets.Status, "a", {"status": {"phase": "Up"}}, patch_type=PatchType.MERGE)
    assert client.get(widgets, "a").status == {"phase": "Up"}
    with pytest.raises(ApiError) as wrong:
        client.patch(widgets, "a", {"spec": {"size": 0}}, patch_type=PatchType.MERGE)
    assert [cause.field for cause in wrong.value.status.details.causes] == ["spec.size"]
    client.deletecollection(widgets)
    assert list(client.list(widgets)) == []


async def test_the_asynchronous_client_does_the_same(cluster: Cluster, ns: str) -> None:
    client = AsyncClient(config=KubeConfig.from_file(cluster.kubeconfig), namespace=ns)
    await client.create(a_map("a"))
    async for kind, each in client.watch(ConfigMap, fields={"metadata.name": "a"}):
        assert (kind, each.metadata.name) == ("ADDED", "a")
        break
    assert [each.metadata.name async for each in client.list(ConfigMap, labels={"app": "a"})] == ["a"]
    await client.close()
