"""kr8s: objects that know their cluster, in the words of kubectl."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.testing.api.objects import config_map, deployment, widget
from tests.e2e.clients.cluster import INSTALL, Cluster

kr8s = pytest.importorskip("kr8s", reason=INSTALL)
from kr8s import asyncio as akr8s  # noqa: E402
from kr8s.asyncio import objects  # noqa: E402

pytestmark = pytest.mark.e2e


@pytest.fixture
async def api(cluster: Cluster, ns: str) -> Any:
    found = await akr8s.api(kubeconfig=cluster.kubeconfig, namespace=ns)
    found.namespace = ns  # kr8s gives the same object to every caller of one kubeconfig
    return found


async def test_an_object_lives_and_dies(api: Any, ns: str) -> None:
    made = await objects.ConfigMap(config_map("a", namespace=ns), api=api)
    await made.create()
    assert await made.exists()
    await made.patch({"data": {"b": "2"}})
    assert made.data == {"a": "1", "b": "2"}
    await made.patch([{"op": "remove", "path": "/data/a"}], type="json")
    await made.label({"tier": "front"})
    await made.annotate({"note": "x"})
    await made.refresh()
    assert (made.data, made.labels["tier"], made.annotations["note"]) == ({"b": "2"}, "front", "x")
    await made.delete()
    assert not await made.exists()
    with pytest.raises(kr8s.NotFoundError):
        await objects.ConfigMap.get("a", namespace=ns, api=api, timeout=0)


async def test_an_error_carries_the_servers_message(api: Any, ns: str) -> None:
    made = await objects.ConfigMap(config_map("a", namespace=ns), api=api)
    await made.create()
    with pytest.raises(kr8s.ServerError, match='configmaps "a" already exists') as twice:
        await made.create()
    assert twice.value.status["reason"] == "AlreadyExists"


async def test_lists_are_selected(api: Any, ns: str) -> None:
    for name in "ab":
        await (await objects.ConfigMap(config_map(name, namespace=ns, labels={"app": name}), api=api)).create()
    assert [each.name async for each in api.get("configmaps", namespace=ns, label_selector="app=b")] == ["b"]
    named = {"namespace": ns, "field_selector": "metadata.name=a"}
    assert [each.name async for each in api.get("cm", **named)] == ["a"]


async def test_a_watch_sees_changes(api: Any, ns: str) -> None:
    made = await objects.ConfigMap(config_map("a", namespace=ns), api=api)
    await made.create()
    seen = []
    async for kind, each in api.watch("configmaps", namespace=ns):
        if each.name == "a":
            seen.append(kind)
            if kind == "DELETED":
                break
            await (made.delete() if kind == "MODIFIED" else made.patch({"data": {"b": "2"}}))
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


async def test_a_deployment_scales_and_is_waited_for(api: Any, cluster: Cluster, ns: str) -> None:
    web = await objects.Deployment({**deployment("web"), "metadata": {"name": "web", "namespace": ns}}, api=api)
    await web.create()
    await web.scale(2)
    assert web.spec.replicas == 2
    condition = {"type": "Available", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {**cluster.get(f"/apis/apps/v1/namespaces/{ns}/deployments/web"), "status": {"conditions": [condition]}}
    cluster.send("PUT", f"/apis/apps/v1/namespaces/{ns}/deployments/web/status", status)
    await web.wait("condition=Available", timeout=30)


async def test_custom_kinds_are_found_by_discovery(api: Any, ns: str, group: str) -> None:
    kind = objects.new_class("Widget", f"{group}/v1", namespaced=True)
    made = await kind({**widget("a", f"{group}/v1"), "metadata": {"name": "a", "namespace": ns}}, api=api)
    await made.create()
    assert made.spec.colour == "red"
    assert [each.name async for each in api.get(f"widgets.{group}", namespace=ns)] == ["a"]


async def test_the_cluster_says_what_it_is(api: Any) -> None:
    assert (await api.version())["major"] == "1"
    assert await api.whoami() == "admin"
    assert any(each["name"] == "deployments" for each in await api.api_resources())
