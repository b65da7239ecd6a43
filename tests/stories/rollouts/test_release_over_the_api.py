"""The scenario's two releases over a real API server and real admission; only kubelet and proxies are stand-ins."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

import graylane.model
from graylane.client import ApiClient
from graylane.client.config import ApiConfig
from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.cluster.workloads.collector import collecting
from graylane.cluster.workloads.controllers import controllers as workload_controllers
from graylane.errors import ApiError, Invalid, NotFound
from graylane.kit.cache import View
from graylane.kit.effects import Outcome, Patch
from graylane.kit.loop import Controller, Manager
from graylane.model.kinds import (
    BATCH_RELEASE,
    CRD,
    DEPLOYMENT,
    DESTINATION_RULE,
    EVENT,
    GATEWAY,
    MUTATING_WEBHOOK,
    NODE,
    POD,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VALIDATING_WEBHOOK,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.managers import verbs_of
from graylane.model.meta import Key, Obj, controller_of, dig, generation_of, labels_of, name_of
from graylane.model.patches import PatchType
from graylane.model.rollout import ABORT, CANARY_DEPLOYMENT
from graylane.rollouts.controller import controllers as rollout_controllers
from graylane.testing.api.serve import TOKEN, config
from graylane.testing.pods import NODE_OBJECT, FakeKubelet
from graylane.testing.waiting import eventually
from graylane.trafficrouting import keeping
from graylane.trafficrouting.controller import controllers as routing_controllers
from graylane.trafficrouting.lua.engine import LuaPool
from graylane.trafficrouting.lua.remembering import Remembering
from graylane.webhooks.keeping import KEEP_ROUTES, keeper
from graylane.webhooks.server import WATCHED, WebhookConfig, WebhookServer, configurations

NAMESPACE = "default"
CRDS = Path(graylane.model.__file__).parent / "crds"
EXAMPLES = Path(__file__).parents[3] / "examples" / "end-to-end-canary"
KINDS = {
    kind.kind: kind
    for kind in (SERVICE, DEPLOYMENT, GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE, ROLLOUT, TRAFFIC_ROUTING)
}
pytestmark = pytest.mark.timeout(120)


@dataclass
class Cluster:
    client: ApiClient
    manager: Manager

    async def apply(self, *files: str) -> None:
        for file in files:
            for obj in yaml.safe_load_all((EXAMPLES / file).read_text()):
                metadata = obj["metadata"] | {"namespace": NAMESPACE}
                await self.client.create(_kind(obj), obj | {"metadata": metadata})

    async def get(self, kind: Kind, name: str) -> Obj:
        return await self.client.get(kind, name, NAMESPACE)

    async def set_version(self, app: str, version: str) -> None:
        """`kubectl set env deploy/APP-base version=VERSION`."""
        patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": version}]
        await self.client.patch(DEPLOYMENT, f"{app}-base", NAMESPACE, patch, type=PatchType.JSON)

    async def state(self, name: str) -> tuple[str, str]:
        status = dig(await self.get(ROLLOUT, name), "status", default={})
        return str(status.get("phase")), str(dig(status, "canaryStatus", "currentStepState"))

    async def canaries(self) -> list[str]:
        found = (await self.client.list(DEPLOYMENT, NAMESPACE)).items
        return [name_of(item) for item in found if CANARY_DEPLOYMENT in labels_of(item)]


def _kind(obj: Obj) -> Kind:
    """In the version we speak; the API server converts nothing between Istio's."""
    kind = KINDS[obj["kind"]]
    obj["apiVersion"] = kind.api_version
    return kind


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with contextlib.AsyncExitStack() as stack:
        server = ApiServer(config(tmp_path, tmp_path / "pki"))
        await server.start()
        stack.push_async_callback(server.stop)
        authority = pki.Authority(tmp_path / "pki", datetime.now(UTC))
        client = ApiClient(ApiConfig(server.url, token=TOKEN, ca_data=authority.bundle))
        stack.push_async_callback(client.close)
        await _define(client)
        manager = Manager(client)
        runner = Remembering(await stack.enter_async_context(LuaPool(1)))
        kubelet = FakeKubelet().controller()
        ours = (*rollout_controllers(), *routing_controllers(runner), *workload_controllers())
        for controller in (*ours, kubelet, _proxies(VIRTUAL_SERVICE), _proxies(DESTINATION_RULE)):
            manager.add(controller)
        for kind in WATCHED:
            manager.watch(kind)
        await stack.enter_async_context(collecting(manager))
        pair = authority.server("webhooks", ["127.0.0.1"])
        hooks = WebhookConfig("127.0.0.1", 0, pair.certificate, pair.key)
        more = {KEEP_ROUTES: keeper(partial(keeping.keep, runner), keeping.late)}
        webhooks = await stack.enter_async_context(WebhookServer(hooks, manager.view, more))
        mutating, validating = configurations(webhooks.url, authority.bundle)
        await client.create(MUTATING_WEBHOOK, mutating)
        await client.create(VALIDATING_WEBHOOK, validating)
        yield Cluster(client, manager)


def _proxies(kind: Kind) -> Controller:
    """Proxies that take every route at once, and a mesh that says so."""

    def acknowledge(view: View, key: Key, now: datetime) -> Outcome:
        obj = view.get(kind, *key)
        if obj is None or dig(obj, "status", "observedGeneration") == generation_of(obj):
            return Outcome()
        entry = {"type": "Reconciled", "status": "True", "reason": "Acknowledged", "message": "1/1 proxies up to date"}
        status = {"observedGeneration": generation_of(obj), "conditions": [entry]}
        return Outcome((Patch(kind, key, {"status": status}, subresource="status"),))

    return Controller(f"proxies-{kind.plural}", kind, acknowledge)


async def _define(client: ApiClient) -> None:
    await client.create(NODE, NODE_OBJECT)
    for file in sorted(CRDS.rglob("*.yaml")):
        for definition in yaml.safe_load_all(file.read_text()):
            await client.create(CRD, definition)


async def test_two_releases_approved_and_a_third_aborted(cluster: Cluster) -> None:
    await cluster.apply("01-apps.yaml", "03-virtual-services.yaml", "04-destination-rules.yaml")
    await eventually(lambda: _available(cluster))
    await cluster.apply("05-rollouts.yaml", "06-traffic-routings.yaml")
    rollouts = ("rollouts-a", "rollouts-b")
    for name in rollouts:
        await eventually(lambda name=name: _is(cluster, name, ("Healthy", "Completed")))
    originals = {name: (await cluster.get(VIRTUAL_SERVICE, name))["spec"] for name in ("vs-mocka", "vs-mockb")}

    await cluster.set_version("mocka", "canary")
    await cluster.set_version("mockb", "canary")
    for name in rollouts:
        await eventually(lambda name=name: _is(cluster, name, ("Progressing", "StepPaused")))
    assert len(await cluster.canaries()) == 2
    for name in rollouts:
        await eventually(lambda name=name: _is_recorded(cluster, name))
    first = (await cluster.get(VIRTUAL_SERVICE, "vs-mocka"))["spec"]["http"][0]
    assert first["match"] == [{"headers": {"my-request-id": {"exact": "canary"}}}]
    assert dig(await cluster.get(DEPLOYMENT, "mocka-base"), "spec", "paused") is True

    ready = {"status": {"canaryStatus": {"currentStepState": "StepReady"}}}
    for name in rollouts:
        await cluster.client.patch(ROLLOUT, name, NAMESPACE, ready, subresource="status", manager=verbs_of("alice"))
    for name in rollouts:
        await eventually(lambda name=name: _is(cluster, name, ("Healthy", "Completed")))
    await eventually(lambda: _told(cluster, ", approved by alice"))
    assert not any("managedFields" in obj["metadata"] for obj in cluster.manager.view().list(DEPLOYMENT, NAMESPACE))
    assert await cluster.canaries() == []
    for name, spec in originals.items():
        assert (await cluster.get(VIRTUAL_SERVICE, name))["spec"] == spec
    assert not dig(await cluster.get(DEPLOYMENT, "mocka-base"), "spec", "paused")

    await cluster.set_version("mockb", "canary2")
    await eventually(lambda: _is(cluster, "rollouts-b", ("Progressing", "StepPaused")))
    revision = dig(await cluster.get(ROLLOUT, "rollouts-b"), "status", "canaryStatus", "canaryRevision")
    await cluster.client.patch(ROLLOUT, "rollouts-b", NAMESPACE, {"metadata": {"annotations": {ABORT: revision}}})
    await eventually(lambda: _is(cluster, "rollouts-b", ("Healthy", "Completed")))
    env = dig(await cluster.get(DEPLOYMENT, "mockb-base"), "spec", "template", "spec", "containers", 0, "env")
    assert env[0] == {"name": "version", "value": "canary"}
    assert await cluster.canaries() == []


async def test_a_second_rollout_and_a_wrong_one_are_refused_by_the_api(cluster: Cluster) -> None:
    await cluster.apply("01-apps.yaml", "05-rollouts.yaml")
    await eventually(lambda: _is(cluster, "rollouts-a", ("Healthy", "Completed")))
    obj = next(yaml.safe_load_all((EXAMPLES / "05-rollouts.yaml").read_text()))
    obj["metadata"] |= {"namespace": NAMESPACE, "name": "second"}
    with pytest.raises(ApiError, match="This rollout conflict with Rollout"):
        await cluster.client.create(ROLLOUT, obj)
    obj["spec"]["objectRef"]["workloadRef"]["name"] = "other"
    obj["spec"]["strategy"]["canary"]["steps"] = []
    with pytest.raises(Invalid, match=r"Canary.Steps cannot be empty"):
        await cluster.client.create(ROLLOUT, obj)


async def test_a_rollout_deleted_mid_release_leaves_nothing_of_ours(cluster: Cluster) -> None:
    await cluster.apply("01-apps.yaml", "05-rollouts.yaml")
    await eventually(lambda: _is(cluster, "rollouts-a", ("Healthy", "Completed")))
    await eventually(lambda: _available(cluster))
    await cluster.set_version("mocka", "canary")
    await eventually(lambda: _is(cluster, "rollouts-a", ("Progressing", "StepTrafficRouting")))
    message = dig(await cluster.get(ROLLOUT, "rollouts-a"), "status", "message")
    assert "TrafficRouting default/mocka-tr not found" in message
    await cluster.client.delete(ROLLOUT, "rollouts-a", NAMESPACE)
    await eventually(lambda: _gone(cluster, "rollouts-a"))
    assert await cluster.canaries() == []


async def test_a_rollout_removed_by_force_takes_its_whole_chain_along(cluster: Cluster) -> None:
    """Rollout → BatchRelease → canary Deployment → ReplicaSet → pods, by their owner references."""
    await cluster.apply("01-apps.yaml", "05-rollouts.yaml")
    await eventually(lambda: _is(cluster, "rollouts-a", ("Healthy", "Completed")))
    await eventually(lambda: _available(cluster))
    stable = {name_of(pod) for pod in (await cluster.client.list(POD, NAMESPACE)).items}
    await cluster.set_version("mocka", "canary")
    await eventually(lambda: _is(cluster, "rollouts-a", ("Progressing", "StepTrafficRouting")))
    await cluster.client.patch(ROLLOUT, "rollouts-a", NAMESPACE, {"metadata": {"finalizers": []}})
    await cluster.client.delete(ROLLOUT, "rollouts-a", NAMESPACE)
    await eventually(lambda: _gone(cluster, "rollouts-a"))
    await eventually(lambda: _left(cluster, stable))


async def _left(cluster: Cluster, stable: set[str]) -> bool:
    """Nothing but what was there before; the Rollout's own farewell may have been quicker than its removal by force."""
    records = (await cluster.client.list(BATCH_RELEASE, NAMESPACE)).items
    pods = {name_of(pod) for pod in (await cluster.client.list(POD, NAMESPACE)).items}
    return not records and not await cluster.canaries() and pods == stable


async def _is_recorded(cluster: Cluster, name: str) -> bool:
    record = await cluster.get(BATCH_RELEASE, name)
    assert dig(record, "status", "canaryStatus", "batchState") == "Ready"
    deployments = (await cluster.client.list(DEPLOYMENT, NAMESPACE)).items
    owned = [item for item in deployments if (controller_of(item) or {}).get("uid") == record["metadata"]["uid"]]
    return [CANARY_DEPLOYMENT in labels_of(item) for item in owned] == [True]


async def _is(cluster: Cluster, name: str, wanted: tuple[str, str]) -> bool:
    seen = await cluster.state(name)
    message = dig(await cluster.get(ROLLOUT, name), "status", "message")
    assert seen == wanted, message
    return True


async def _told(cluster: Cluster, text: str) -> bool:
    found = [event["message"] for event in (await cluster.client.list(EVENT, NAMESPACE)).items]
    assert any(message.endswith(text) for message in found), found
    return True


async def _available(cluster: Cluster) -> bool:
    found: list[Any] = (await cluster.client.list(DEPLOYMENT, NAMESPACE)).items
    return bool(found) and all(dig(item, "status", "availableReplicas") == 1 for item in found)


async def _gone(cluster: Cluster, name: str) -> bool:
    try:
        await cluster.get(ROLLOUT, name)
    except NotFound:
        return True
    return False
