"""The official Python client: typed, dynamic and watching."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from graylane.testing.api.objects import config_map, deployment, pod, widget
from tests.e2e.clients.cluster import INSTALL, Cluster

kubernetes = pytest.importorskip("kubernetes", reason=INSTALL)
from kubernetes import client, dynamic, watch  # noqa: E402
from kubernetes.client.exceptions import ApiException  # noqa: E402
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError  # noqa: E402

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Any]:
    with kubernetes.config.new_client_from_config(cluster.kubeconfig) as found:
        yield found


@pytest.fixture
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


def v1_config_map(name: str, **data: str) -> Any:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"app": name}), data=data or {"a": "1"})


def test_an_object_lives_and_dies_through_typed_models(core: Any, ns: str) -> None:
    made = core.create_namespaced_config_map(ns, v1_config_map("a"))
    assert made.metadata.uid
    made.data["a"] = "2"
    assert core.replace_namespaced_config_map("a", ns, made).data == {"a": "2"}
    assert core.patch_namespaced_config_map("a", ns, {"data": {"b": "3"}}).data == {"a": "2", "b": "3"}
    assert core.read_namespaced_config_map("a", ns).data == {"a": "2", "b": "3"}
    core.delete_namespaced_config_map("a", ns)
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_config_map("a", ns)
    assert (missing.value.status, missing.value.reason) == (404, "Not Found")


def test_errors_carry_the_status_of_the_server(core: Any, ns: str) -> None:
    made = core.create_namespaced_config_map(ns, v1_config_map("a"))
    with pytest.raises(ApiException) as twice:
        core.create_namespaced_config_map(ns, v1_config_map("a"))
    assert twice.value.status == 409
    assert '"reason":"AlreadyExists"' in twice.value.body
    core.patch_namespaced_config_map("a", ns, {"data": {"b": "3"}})
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("a", ns, made)
    assert (stale.value.status, '"reason":"Conflict"' in stale.value.body) == (409, True)
    with pytest.raises(ApiException) as invalid:
        core.create_namespaced_config_map(ns, v1_config_map("Not_A_Name"))
    assert invalid.value.status == 422


def test_lists_are_selected_and_paged(core: Any, ns: str) -> None:
    for name in "abcde":
        core.create_namespaced_config_map(ns, v1_config_map(name))
    assert [
        item.metadata.name for item in core.list_namespaced_config_map(ns, label_selector="app in (b,d)").items
    ] == [
        "b",
        "d",
    ]
    assert len(core.list_namespaced_config_map(ns, field_selector="metadata.name=c").items) == 1
    names, token = [], None
    while token != "":
        page = core.list_namespaced_config_map(ns, label_selector="app", limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert names == list("abcde")


def test_a_deployment_scales_and_its_template_is_merged(api: Any, ns: str) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(ns, deployment("web"))
    scale = apps.patch_namespaced_deployment_scale("web", ns, {"spec": {"replicas": 3}})
    assert (scale.spec.replicas, scale.status.selector) == (3, "app=web")
    env = {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "a", "value": "1"}]}]}}}}
    after = apps.patch_namespaced_deployment("web", ns, env)  # a strategic merge, this client's default
    (container,) = after.spec.template.spec.containers
    assert (container.image, container.env[0].value, after.metadata.generation) == ("sample:1", "1", 3)
    status = apps.patch_namespaced_deployment_status("web", ns, {"status": {"replicas": 3, "readyReplicas": 1}})
    assert status.status.ready_replicas == 1


def test_server_side_apply_reports_conflicts(api: Any, ns: str) -> None:
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    maps.server_side_apply(config_map("a"), namespace=ns, field_manager="one")
    with pytest.raises(ConflictError):
        maps.server_side_apply(config_map("a", {"a": "2"}), namespace=ns, field_manager="two")
    forced = maps.server_side_apply(
        config_map("a", {"a": "2"}), namespace=ns, field_manager="two", force_conflicts=True
    )
    assert forced.data.a == "2"


def test_a_watch_sees_each_change_once_and_resumes(core: Any, ns: str) -> None:
    start = core.list_namespaced_config_map(ns).metadata.resource_version
    core.create_namespaced_config_map(ns, v1_config_map("a"))
    seen = []
    stream = watch.Watch()
    for event in stream.stream(core.list_namespaced_config_map, ns, resource_version=start, timeout_seconds=30):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 1:
            core.patch_namespaced_config_map("a", ns, {"data": {"a": "2"}})
        else:
            stream.stop()
    core.delete_namespaced_config_map("a", ns)
    again = watch.Watch()
    for event in again.stream(
        core.list_namespaced_config_map, ns, resource_version=stream.resource_version, timeout_seconds=30
    ):
        seen.append((event["type"], event["object"].metadata.name))
        again.stop()
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_shared_informer_keeps_a_cache_in_step(core: Any, ns: str) -> None:
    informer_module = pytest.importorskip("kubernetes.informer", reason="this version of the client has no informer")
    core.create_namespaced_config_map(ns, v1_config_map("first"))
    added, gone = threading.Semaphore(0), threading.Semaphore(0)
    informer = informer_module.SharedInformer(core.list_namespaced_config_map, namespace=ns)
    informer.add_event_handler("ADDED", lambda obj: added.release())
    informer.add_event_handler("DELETED", lambda obj: gone.release())
    informer.start()
    try:
        core.create_namespaced_config_map(ns, v1_config_map("second"))
        assert all(added.acquire(timeout=30) for _ in range(2))
        core.delete_namespaced_config_map("second", ns)
        assert gone.acquire(timeout=30)
    finally:
        informer.stop()


def test_custom_objects_have_their_own_door(api: Any, ns: str, group: str) -> None:
    custom = client.CustomObjectsApi(api)
    where = (group, "v1", ns, "widgets")
    made = custom.create_namespaced_custom_object(*where, widget("a", f"{group}/v1"))
    assert made["spec"]["colour"] == "red"
    custom.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 5}})
    custom.patch_namespaced_custom_object_status(*where, "a", {"status": {"phase": "Ready"}})
    found = custom.get_namespaced_custom_object(*where, "a")
    assert (found["spec"]["size"], found["status"]) == (5, {"phase": "Ready"})
    custom.replace_namespaced_custom_object(*where, "a", {**found, "spec": {"size": 6}})
    assert [each["spec"]["size"] for each in custom.list_namespaced_custom_object(*where)["items"]] == [6]
    with pytest.raises(ApiException) as wrong:
        custom.patch_namespaced_custom_object(*where, "a", {"spec": {"size": "big"}})
    assert wrong.value.status == 422
    custom.delete_namespaced_custom_object(*where, "a")


def test_the_dynamic_client_discovers_kinds_and_watches_them(api: Any, ns: str, group: str) -> None:
    found = dynamic.DynamicClient(api)
    widgets = found.resources.get(api_version=f"{group}/v1", kind="Widget")
    made = widgets.create(body=widget("a", f"{group}/v1"), namespace=ns)
    widgets.patch(body={"spec": {"size": 2}}, name="a", namespace=ns, content_type="application/merge-patch+json")
    events = widgets.watch(namespace=ns, resource_version=made.metadata.resourceVersion, timeout=30)
    event = next(iter(events))
    assert (event["type"], event["object"].spec.size) == ("MODIFIED", 2)
    widgets.delete(name="a", namespace=ns)
    with pytest.raises(NotFoundError):
        widgets.get(name="a", namespace=ns)


def test_pods_are_evicted_and_bound(core: Any, ns: str) -> None:
    core.create_namespaced_pod(ns, pod("a", schedulerName="nobody"))
    target = client.V1ObjectReference(api_version="v1", kind="Node", name="one")
    binding = client.V1Binding(metadata=client.V1ObjectMeta(name="a"), target=target)
    core.create_namespaced_pod_binding("a", ns, binding, _preload_content=False)
    assert core.read_namespaced_pod("a", ns).spec.node_name == "one"
    core.create_namespaced_pod(ns, pod("b", schedulerName="nobody"))
    core.create_namespaced_pod_eviction("b", ns, client.V1Eviction(metadata=client.V1ObjectMeta(name="b")))
    assert [each.metadata.name for each in core.list_namespaced_pod(ns).items] == ["a"]


def test_who_one_is_and_what_is_served(api: Any) -> None:
    assert client.VersionApi(api).get_code().major == "1"
    assert "apps" in {group.name for group in client.ApisApi(api).get_api_versions().groups}
    body = client.V1SelfSubjectReview()
    assert client.AuthenticationV1Api(api).create_self_subject_review(body).status.user_info.username == "admin"


def test_without_a_credential_the_client_says_unauthorized(cluster: Cluster) -> None:
    configuration = client.Configuration(host=cluster.server)
    ca = cluster.directory / "ca.pem"
    ca.write_bytes(cluster.ca)
    configuration.ssl_ca_cert = str(ca)
    configuration.api_key = {"authorization": "Bearer wrong"}
    with client.ApiClient(configuration) as nobody, pytest.raises(ApiException) as refused:
        client.CoreV1Api(nobody).list_namespace()
    assert refused.value.status == 401
