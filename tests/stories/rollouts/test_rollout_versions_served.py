"""The embedded API serves a Rollout in both versions, whoever wrote it in which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from graylane.cluster.apiserver.server import ApiServer
from graylane.install import shipped_crds
from graylane.model.meta import name_of
from graylane.model.rollout import TRAFFIC_ROUTING_NAME
from graylane.testing.api.rig import APPLY, MERGE, InProcess, Rig, expect
from graylane.testing.api.serve import TOKEN, config

GROUP = "/apis/rollouts.kruise.io"
ALPHA, BETA = f"{GROUP}/v1alpha1/namespaces/default/rollouts", f"{GROUP}/v1beta1/namespaces/default/rollouts"
ROUTINGS = f"{GROUP}/v1alpha1/namespaces/default/trafficroutings"
BATCHES, BETA_BATCHES = (f"{path.removesuffix('/rollouts')}/batchreleases" for path in (ALPHA, BETA))
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
WORKLOAD = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Rig]:
    server = ApiServer(config(tmp_path, tmp_path / "pki"))
    await server.open()
    rig = Rig(InProcess(server.front), TOKEN, "in-process")
    for crd in shipped_crds():
        if name_of(crd).endswith("rollouts.kruise.io"):
            await rig.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    yield rig
    await server.stop()


def beta(**canary: Any) -> dict[str, Any]:
    strategy = {"canary": {"enableExtraWorkloadForCanary": True, "steps": [{"replicas": 1, "traffic": "20%"}]} | canary}
    return {
        "apiVersion": "rollouts.kruise.io/v1beta1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {"workloadRef": WORKLOAD, "strategy": strategy},
    }


async def test_a_path_that_says_no_value_is_every_path(api: Rig) -> None:
    """As in OpenKruise 0.6."""
    steps = [{"replicas": 1, "matches": [{"path": {}, "headers": [{"name": "a", "value": "b"}]}]}]
    made = await api.create(BETA, beta(steps=steps, trafficRoutings=[{"service": "web", "ingress": {"name": "web"}}]))
    match = made["spec"]["strategy"]["canary"]["steps"][0]["matches"][0]
    assert match["path"] == {"type": "PathPrefix", "value": "/"}


async def test_written_in_v1beta1_it_is_read_and_approved_in_either(api: Rig) -> None:
    await api.create(BETA, beta(trafficRoutingRef="tr"))
    seen = await api.get(f"{ALPHA}/web")
    assert seen["apiVersion"] == "rollouts.kruise.io/v1alpha1"
    assert seen["spec"]["objectRef"] == {"workloadRef": WORKLOAD}
    assert seen["spec"]["strategy"]["canary"] == {"steps": [{"weight": 20, "replicas": 1}]}
    assert seen["metadata"]["annotations"][TRAFFIC_ROUTING_NAME] == "tr"
    required = {"canaryReplicas": 1, "canaryReadyReplicas": 1, "canaryRevision": "r", "podTemplateHash": "h"}
    paused = {"canaryStatus": required | {"currentStepIndex": 1, "currentStepState": "StepPaused"}}
    expect(await api.call("PATCH", f"{ALPHA}/web/status", {"status": paused}, content_type=MERGE), 200)
    approved = {"status": {"canaryStatus": {"currentStepState": "StepReady"}}}
    answer = expect(await api.call("PATCH", f"{BETA}/web/status", approved, content_type=MERGE), 200)
    assert answer["status"]["currentStepState"] == "StepReady"
    assert (await api.get(f"{ALPHA}/web"))["status"]["canaryStatus"]["currentStepState"] == "StepReady"
    assert "annotations" not in (await api.get(f"{BETA}/web"))["metadata"]


async def test_applied_server_side_in_both_versions_it_stays_one_object(api: Rig) -> None:
    expect(await api.call("PATCH", f"{BETA}/web", beta(), content_type=APPLY, fieldManager="argocd"), 201)
    expect(await api.call("PATCH", f"{BETA}/web", beta(), content_type=APPLY, fieldManager="argocd"), 200)
    two = [{"replicas": 1, "traffic": "20%"}, {"replicas": 2, "traffic": "40%"}]
    expect(await api.call("PATCH", f"{BETA}/web", beta(steps=two), content_type=APPLY, fieldManager="argocd"), 200)
    steps = (await api.get(f"{ALPHA}/web"))["spec"]["strategy"]["canary"]["steps"]
    assert steps == [{"weight": 20, "replicas": 1}, {"weight": 40, "replicas": 2}]


async def test_a_traffic_that_is_no_percentage_is_refused_by_its_field(api: Rig) -> None:
    answer = await api.call("POST", BETA, beta(steps=[{"replicas": 1, "traffic": "much"}]))
    assert answer.status == 422
    assert 'spec.strategy.canary.steps[0].traffic: Invalid value: "much"' in answer.message


async def test_rows_88_and_89_kubectl_get_shows_openkruises_columns(api: Rig) -> None:
    await api.create(BETA, beta())
    for path in (ALPHA, BETA):
        names = [column["name"] for column in (await _table(api, path))["columnDefinitions"]]
        assert names == ["Name", "STATUS", "CANARY_STEP", "CANARY_STATE", "MESSAGE", "AGE"]
    names = [column["name"] for column in (await _table(api, ROUTINGS))["columnDefinitions"]]
    assert names == ["Name", "STATUS", "MESSAGE", "AGE"]


async def test_a_batch_release_is_served_in_both_versions_and_its_workload_is_shown(api: Rig) -> None:
    spec = {"targetReference": {"workloadRef": WORKLOAD}, "releasePlan": {"batches": [{"canaryReplicas": 1}]}}
    made = {"apiVersion": "rollouts.kruise.io/v1alpha1", "kind": "BatchRelease", "metadata": {"name": "web"}}
    await api.create(BATCHES, made | {"spec": spec})
    ready = {"phase": "Progressing", "canaryStatus": {"currentBatch": 0, "batchState": "Ready"}}
    expect(await api.call("PATCH", f"{BATCHES}/web/status", {"status": ready}, content_type=MERGE), 200)
    seen = await api.get(f"{BETA_BATCHES}/web")
    assert seen["spec"]["workloadRef"] == WORKLOAD
    assert "targetReference" not in seen["spec"]
    for path in (BATCHES, BETA_BATCHES):
        table = await _table(api, path)
        names = [column["name"] for column in table["columnDefinitions"]]
        assert names == ["Name", "KIND", "PHASE", "BATCH", "BATCH-STATE", "AGE"]
        assert table["rows"][0]["cells"][:5] == ["web", "Deployment", "Progressing", 0, "Ready"]


async def _table(api: Rig, path: str) -> Any:
    return expect(await api.call("GET", path, headers={"Accept": TABLE}), 200)
