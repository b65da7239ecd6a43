"""kubernetes_asyncio: typed, dynamic and watching."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from graylane.testing.api.objects import config_map, deployment, widget
from tests.e2e.clients.cluster import INSTALL, Cluster

kubernetes = pytest.importorskip("kubernetes_asyncio", reason=INSTALL)
from kubernetes_asyncio import client, dynamic, watch  # noqa: E402
from kubernetes_asyncio.client.exceptions import ApiException  # noqa: E402

pytestmark = pytest.mark.e2e


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Any]:
    async with await kubernetes.config.new_client_from_config(cluster.kubeconfig) as found:
        yield found


@pytest.fixture
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


async def test_an_object_lives_and_dies(core: Any, ns: str) -> None:
    made = await core.create_namespaced_config_map(ns, config_map("a"))
    made.data["a"] = "2"
    assert (await core.replace_namespaced_config_map("a", ns, made)).data == {"a": "2"}
    assert (await core.patch_namespaced_config_map("a", ns, {"data": {"b": "3"}})).data == {"a": "2", "b": "3"}
    with pytest.raises(ApiException) as stale:
        await core.replace_namespaced_config_map("a", ns, made)
    assert stale.value.status == 409
    await core.delete_namespaced_config_map("a", ns)
    with pytest.raises(ApiException) as missing:
        await core.read_namespaced_config_map("a", ns)
    assert missing.value.status == 404


async def test_lists_are_selected_and_paged(core: Any, ns: str) -> None:
    for name in "abc":
        await core.create_namespaced_config_map(ns, config_map(name, labels={"app": name}))
    found = await core.list_namespaced_config_map(ns, label_selector="app!=b,app")
    assert [item.metadata.name for item in found.items] == ["a", "c"]
    page = await core.list_namespaced_config_map(ns, label_selector="app", limit=2)
    rest = await core.list_namespaced_config_map(ns, label_selector="app", limit=2, _continue=page.metadata._continue)
    assert [item.metadata.name for item in page.items + rest.items] == ["a", "b", "c"]


async def test_a_watch_follows_and_goes_on_where_it_stopped(core: Any, ns: str) -> None:
    start = (await core.list_namespaced_config_map(ns)).metadata.resource_version
    await core.create_namespaced_config_map(ns, config_map("a"))
    seen = []
    async with watch.Watch() as stream:
        async for event in stream.stream(core.list_namespaced_config_map, ns, resource_version=start):
            seen.append(event["type"])
            if event["type"] == "MODIFIED":
                break
            await core.patch_namespaced_config_map("a", ns, {"data": {"a": "2"}})
        last = stream.resource_version
    await core.delete_namespaced_config_map("a", ns)
    async with watch.Watch() as stream:
        async for event in stream.stream(core.list_namespaced_config_map, ns, resource_version=last):
            seen.append(event["type"])
            break
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


async def test_workloads_scale_and_take_status(api: Any, ns: str) -> None:
    apps = client.AppsV1Api(api)
    await apps.create_namespaced_deployment(ns, deployment("web"))
    assert (await apps.patch_namespaced_deployment_scale("web", ns, {"spec": {"replicas": 3}})).spec.replicas == 3
    after = await apps.patch_namespaced_deployment_status("web", ns, {"status": {"readyReplicas": 2, "replicas": 3}})
    assert (after.status.ready_replicas, after.metadata.generation) == (2, 2)


async def test_custom_objects(api: Any, ns: str, group: str) -> None:
    custom = client.CustomObjectsApi(api)
    where = (group, "v1", ns, "widgets")
    await custom.create_namespaced_custom_object(*where, widget("a", f"{group}/v1"))
    merge = {"_content_type": "application/merge-patch+json"}
    after = await custom.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 5}}, **merge)
    assert after["spec"]["size"] == 5
    await custom.patch_namespaced_custom_object_status(*where, "a", {"status": {"phase": "Up"}}, **merge)
    assert (await custom.get_namespaced_custom_object(*where, "a"))["status"] == {"phase": "Up"}


async def test_the_dynamic_client_finds_and_applies(api: Any, ns: str, group: str) -> None:
    found = await dynamic.DynamicClient(api)
    widgets = await found.resources.get(api_version=f"{group}/v1", kind="Widget")
    made = await found.server_side_apply(widgets, widget("a", f"{group}/v1"), namespace=ns, field_manager="one")
    assert made.spec.colour == "red"
    assert [entry.operation for entry in made.metadata.managedFields] == ["Apply"]
    await widgets.delete(name="a", namespace=ns)
    missing = await widgets.get(name="a", namespace=ns)  # this client raises only what it has read
    assert (missing.kind, missing.code) == ("Status", 404)
