"""The commands of every Kubernetes tutorial, by a real kubectl, against our API server and workload controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from graylane.model.kinds import DEPLOYMENT, ENDPOINT_SLICE, JOB, POD, REPLICA_SET
from graylane.model.meta import Obj, controller_of, is_deleting, name_of, uid_of
from graylane.testing.waiting import eventually

from .workloads_rig import Rig, rigged

pytestmark = pytest.mark.e2e

NS = "default"


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as ready:
        yield ready


def deployment(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    container = {"name": "app", "image": "shop/web:1", "ports": [{"name": "main", "containerPort": 8000}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NS},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template} | spec,
    }


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": NS},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "main"}]},
}


async def rolled_out(rig: Rig) -> None:
    said = await rig.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert "successfully rolled out" in said


async def pods(rig: Rig) -> list[Obj]:
    return [pod for pod in (await rig.client.list(POD, NS)).items if not is_deleting(pod)]


async def test_a_deployment_is_created_scaled_changed_undone_paused_and_deleted(rig: Rig) -> None:
    await rig.apply(deployment(), SERVICE)
    await rolled_out(rig)
    assert len(await pods(rig)) == 3

    await rig.kubectl("scale", "deployment/web", "--replicas=5")
    await rolled_out(rig)
    await rig.kubectl("set", "env", "deployment/web", "version=canary")
    await rolled_out(rig)
    assert {pod["spec"]["containers"][0]["env"][0]["value"] for pod in await pods(rig)} == {"canary"}

    history = await rig.kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.strip().splitlines()[2:]] == ["1", "2"]
    await rig.kubectl("rollout", "undo", "deployment/web")
    await rolled_out(rig)
    assert all("env" not in pod["spec"]["containers"][0] for pod in await pods(rig))
    history = await rig.kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.strip().splitlines()[2:]] == ["2", "3"]

    await rig.kubectl("rollout", "pause", "deployment/web")
    await rig.kubectl("set", "image", "deployment/web", "app=shop/web:2")
    found = await eventually(lambda: observed(rig))
    assert "updatedReplicas" not in found["status"], "a paused Deployment starts no pod of the new template"
    await rig.kubectl("rollout", "resume", "deployment/web")
    await rolled_out(rig)
    assert {pod["spec"]["containers"][0]["image"] for pod in await pods(rig)} == {"shop/web:2"}

    await rig.kubectl("delete", "deployment", "web")
    await rig.kubectl("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=30s")
    assert (await rig.client.list(REPLICA_SET, NS)).items == []


async def observed(rig: Rig) -> Obj | None:
    found = await rig.client.get(DEPLOYMENT, "web", NS)
    return found if found["status"].get("observedGeneration") == found["metadata"]["generation"] else None


async def test_the_service_lists_exactly_the_running_pods_and_drops_a_stopping_one_at_once(rig: Rig) -> None:
    rig.kubelet.stop_seconds = 60
    await rig.apply(deployment(2), SERVICE)
    await rolled_out(rig)
    names = {name_of(pod) for pod in await pods(rig)}
    assert await eventually(lambda: ready_endpoints(rig, names))
    gone = sorted(names)[0]
    await rig.client.delete(POD, gone, NS, grace_seconds=30)
    await eventually(lambda: conditions_of(rig, gone, {"ready": False, "serving": True, "terminating": True}))
    shown = await rig.kubectl("get", "endpoints", "web", "-o", "jsonpath={.subsets[*].ports[*].port}")
    assert shown == "8000"


async def ready_endpoints(rig: Rig, names: set[str]) -> bool:
    endpoints = [e for s in await slices(rig) for e in s["endpoints"] if e["conditions"]["ready"]]
    return {endpoint["targetRef"]["name"] for endpoint in endpoints} == names


async def conditions_of(rig: Rig, name: str, wanted: dict[str, bool]) -> bool:
    endpoints = [e for s in await slices(rig) for e in s["endpoints"]]
    return any(e["targetRef"]["name"] == name and e["conditions"] == wanted for e in endpoints)


async def slices(rig: Rig) -> list[Obj]:
    return (await rig.client.list(ENDPOINT_SLICE, NS, labels="kubernetes.io/service-name=web")).items


async def test_foreground_deletion_returns_when_nothing_is_left(rig: Rig) -> None:
    await rig.apply(deployment())
    await rolled_out(rig)
    await rig.kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=30s")
    assert (await rig.client.list(REPLICA_SET, NS)).items == []
    assert await pods(rig) == []


async def test_orphans_are_left_running_and_taken_up_by_the_next_deployment(rig: Rig) -> None:
    await rig.apply(deployment())
    await rolled_out(rig)
    before = {uid_of(pod) for pod in await pods(rig)}
    await rig.kubectl("delete", "deployment", "web", "--cascade=orphan", "--timeout=30s")
    [replica_set] = (await rig.client.list(REPLICA_SET, NS)).items
    assert controller_of(replica_set) is None
    await rig.apply(deployment())
    await rolled_out(rig)
    assert {uid_of(pod) for pod in await pods(rig)} == before
    assert controller_of((await rig.client.list(REPLICA_SET, NS)).items[0]) is not None


async def test_a_pod_whose_labels_are_changed_is_released_and_replaced(rig: Rig) -> None:
    await rig.apply(deployment(1))
    await rolled_out(rig)
    [pod] = await pods(rig)
    await rig.kubectl("label", "pod", name_of(pod), "app=quarantine", "--overwrite")

    async def replaced() -> bool:
        owners = {name_of(p): controller_of(p) for p in await pods(rig)}
        return len(owners) == 2 and owners[name_of(pod)] is None

    await eventually(replaced)


async def test_recreate_never_runs_two_versions_at_once(rig: Rig) -> None:
    await rig.apply(deployment(2, strategy={"type": "Recreate"}))
    await rolled_out(rig)
    seen: set[frozenset[str]] = set()

    def note(_: object) -> None:
        running = rig.manager.view().list(POD, NS)
        seen.add(frozenset(pod["spec"]["containers"][0]["image"] for pod in running))

    rig.manager.on_change(POD, note)
    await rig.kubectl("set", "image", "deployment/web", "app=shop/web:2")
    await rolled_out(rig)
    assert max(map(len, seen)) == 1


async def test_a_namespace_takes_everything_in_it_along(rig: Rig) -> None:
    await rig.kubectl("create", "namespace", "shop")
    await rig.kubectl("-n", "shop", "create", "deployment", "web", "--image=shop/web:1", "--replicas=2")
    await rig.kubectl("-n", "shop", "create", "configmap", "settings", "--from-literal=a=b")
    await rig.kubectl("-n", "shop", "rollout", "status", "deployment/web", "--timeout=30s")
    await rig.kubectl("delete", "namespace", "shop", "--timeout=30s")
    for kind in (DEPLOYMENT, REPLICA_SET, POD):
        assert (await rig.client.list(kind, "shop")).items == []


async def test_custom_resources_own_and_are_owned_like_any_other(rig: Rig) -> None:
    await rig.apply(_crd())
    await rig.kubectl("wait", "--for=condition=Established", "crd/shops.example.org", "--timeout=30s")
    await rig.apply(_shop("a"))
    owner_uid = await rig.kubectl("get", "shop", "a", "-o", "jsonpath={.metadata.uid}")
    reference = {"apiVersion": "example.org/v1", "kind": "Shop", "name": "a", "uid": owner_uid}
    await rig.apply(_shop("b", reference), _settings(reference))
    await rig.kubectl("delete", "shop", "a")
    await rig.kubectl("wait", "--for=delete", "shop/b", "configmap/settings", "--timeout=30s")


async def test_a_dependent_of_an_owner_that_never_was_is_collected(rig: Rig) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "never-existed"}
    await rig.apply(_settings(reference))
    await rig.kubectl("wait", "--for=delete", "configmap/settings", "--timeout=30s")


async def test_a_pod_that_fits_no_node_says_why_and_goes_on_once_one_does(rig: Rig) -> None:
    template = deployment()["spec"]["template"]
    template["spec"]["nodeSelector"] = {"disk": "fast"}
    await rig.apply(deployment(1, template=template))

    async def said() -> bool:
        events = await rig.kubectl("get", "events", "--field-selector=reason=FailedScheduling")
        return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." in events

    await eventually(said)
    await rig.kubectl("label", "node", "graylane", "disk=fast")
    await rolled_out(rig)


def _crd() -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "shops.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "shops", "singular": "shop", "kind": "Shop", "listKind": "ShopList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def _shop(name: str, *owners: Obj) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NS, "ownerReferences": list(owners)}
    return {"apiVersion": "example.org/v1", "kind": "Shop", "metadata": metadata}


def _settings(*owners: Obj) -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": NS, "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    template = deployment()["spec"]["template"]
    version = {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1", "kind": kind}
    return version | {"metadata": {"name": "web", "namespace": NS}, "spec": {"template": template} | spec}


SELECTOR = {"matchLabels": {"app": "web"}}


async def apply_without_warning(rig: Rig, obj: dict[str, Any]) -> None:
    await rig.kubectl("apply", "--warnings-as-errors", "-f", "-", stdin=yaml.safe_dump(obj))


async def rolled_back_and_forth(rig: Rig, name: str) -> None:
    """Set another image, look at the history, and go back, as `kubectl rollout` does it."""
    status = ("rollout", "status", name, "--timeout=30s")
    await rig.kubectl(*status)
    await rig.kubectl("set", "image", name, "app=shop/web:2")
    await rig.kubectl(*status)
    assert await images(rig) == {"shop/web:2"}
    assert "shop/web:1" in await rig.kubectl("rollout", "history", name, "--revision=1")
    await rig.kubectl("rollout", "undo", name)
    await rig.kubectl(*status)
    assert await images(rig) == {"shop/web:1"}
    history = await rig.kubectl("rollout", "history", name)
    assert [line.split()[0] for line in history.strip().splitlines()[2:]] == ["2", "3"]


async def images(rig: Rig) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in await pods(rig)}


async def deleted(rig: Rig, name: str) -> None:
    await rig.kubectl("delete", name)
    await rig.kubectl("wait", "--for=delete", "pod", "--all", "--timeout=30s")


async def test_a_stateful_set_is_rolled_out_undone_scaled_and_deleted(rig: Rig) -> None:
    await apply_without_warning(rig, workload("StatefulSet", replicas=2, serviceName="db", selector=SELECTOR))
    await rolled_back_and_forth(rig, "statefulset/web")
    await rig.kubectl("scale", "statefulset/web", "--replicas=3")
    await rig.kubectl("wait", "statefulset/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=30s")
    assert sorted(map(name_of, await pods(rig))) == ["web-0", "web-1", "web-2"]
    assert "3/3" in await rig.kubectl("get", "statefulset", "web")
    await deleted(rig, "statefulset/web")


async def test_a_stateful_set_gets_volumes_that_stay_until_their_claims_are_deleted(rig: Rig) -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    made = workload("StatefulSet", replicas=2, serviceName="db", selector=SELECTOR, volumeClaimTemplates=[claim])
    await apply_without_warning(rig, made)
    await rig.kubectl("rollout", "status", "statefulset/web", "--timeout=30s")
    (pod, _) = sorted(await pods(rig), key=name_of)
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "data-web-0"
    await deleted(rig, "statefulset/web")
    listed = await rig.kubectl("get", "pvc", "--no-headers")
    assert [line.split()[:2] for line in listed.splitlines()] == [["data-web-0", "Bound"], ["data-web-1", "Bound"]]
    assert (await rig.kubectl("get", "pv", "--no-headers")).count("Bound") == 2
    await rig.kubectl("delete", "pvc", "--all", "--timeout=30s")
    await rig.kubectl("wait", "--for=delete", "pv", "--all", "--timeout=30s")


async def test_a_daemon_set_is_rolled_out_undone_and_deleted(rig: Rig) -> None:
    await apply_without_warning(rig, workload("DaemonSet", selector=SELECTOR))
    await rolled_back_and_forth(rig, "daemonset/web")
    assert len(await pods(rig)) == 1
    await deleted(rig, "daemonset/web")


async def test_a_job_completes_once_its_pods_have_succeeded(rig: Rig) -> None:
    made = workload("Job", completions=2, parallelism=2)
    made["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    await apply_without_warning(rig, made)
    await apply_without_warning(rig, made)  # selector and labels are the server's: applying again changes nothing

    async def both_run() -> list[Obj]:
        running = [pod for pod in await pods(rig) if pod["status"].get("phase") == "Running"]
        assert len(running) == 2
        return running

    for pod in await eventually(both_run):
        status = {"status": {"phase": "Succeeded"}}
        await rig.client.patch(POD, name_of(pod), NS, status, subresource="status")
    await rig.kubectl("wait", "--for=condition=complete", "job/web", "--timeout=30s")
    assert "2/2" in await rig.kubectl("get", "job", "web")
    assert "Completed" in await rig.kubectl("describe", "job", "web")
    await deleted(rig, "job/web")


async def test_a_job_selects_by_its_uid_and_pretended_selectors_are_refused(rig: Rig) -> None:
    await rig.kubectl("create", "job", "by-hand", "--image=shop/web:1")
    uid = await rig.kubectl("get", "job", "by-hand", "-o", "jsonpath={.metadata.uid}")
    found = await rig.client.get(JOB, "by-hand", NS)
    assert found["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = found["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "by-hand",
        "controller-uid": uid,
        "job-name": "by-hand",
    }
    pretended = workload("Job", selector=SELECTOR)
    pretended["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    said = await rig.kubectl("create", "-f", "-", stdin=yaml.safe_dump(pretended), fails=True)
    assert "`selector` not auto-generated" in said
