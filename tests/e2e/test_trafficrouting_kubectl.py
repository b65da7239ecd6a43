"""TrafficRoutings on a real API server, driven by a real kubectl, with scripts in real workers."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from graylane.install import install_crds
from graylane.kit import Manager, running
from graylane.testing.waiting import eventually
from graylane.trafficrouting.controller import controllers
from graylane.trafficrouting.lua.engine import LuaPool
from tests.e2e.workloads_rig import KUBECTL, served

pytestmark = pytest.mark.e2e
EXAMPLES = Path(__file__).parents[2] / "examples" / "end-to-end-canary"
WITHIN = "--timeout=30s"
HOLD = '{"metadata":{"finalizers":["rollouts.kruise.io/trafficrouting","progressing.rollouts.kruise.io/rollouts-a"]}}'
LET_GO = '{"metadata":{"finalizers":["rollouts.kruise.io/trafficrouting"]}}'


class Kubectl:
    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    async def __call__(self, *args: str, stdin: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *(str(KUBECTL), "--kubeconfig", str(self._kubeconfig), *args),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def apply(self, *objects: Any) -> None:
        await self("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    async def spec(self, kind: str, name: str) -> Any:
        return json.loads(await self("get", kind, name, "-o", "json"))["spec"]


def example(name: str, kind: str = "") -> list[Any]:
    documents = yaml.safe_load_all((EXAMPLES / name).read_text())
    return [document for document in documents if not kind or document["kind"] == kind]


def at_once(routing: Any) -> Any:
    """There is no mesh here that could confirm."""
    for entry in routing["spec"]["objectRef"]:
        entry["gracePeriodSeconds"] = 0
    return routing


@pytest_asyncio.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    async with served(tmp_path) as client, LuaPool() as pool:
        await install_crds(client)
        manager = Manager(client)
        for controller in controllers(pool, manager.follower("trafficrouting")):
            manager.add(controller)
        async with running(manager):
            yield Kubectl(tmp_path / "kubeconfig")


async def test_a_lane_is_routed_edited_with_kubectl_apply_and_restored(kubectl: Kubectl) -> None:
    services = example("01-apps.yaml", "Service")
    virtual_services = example("03-virtual-services.yaml")
    await kubectl.apply(*services, *virtual_services, *example("04-destination-rules.yaml"))
    before = await kubectl.spec("vs", "vs-mocka"), await kubectl.spec("dr", "dr-mocka")
    await kubectl.apply(*map(at_once, example("06-traffic-routings.yaml")))
    await kubectl("wait", "trafficrouting/mocka-tr", "--for=condition=Accepted", WITHIN)
    table = (await kubectl("get", "trafficrouting", "mocka-tr")).split("\n")
    assert table[0].split() == ["NAME", "STATUS", "MESSAGE", "AGE"]
    assert table[1].split()[:5] == ["mocka-tr", "Healthy", "TrafficRouting", "is", "Healthy"]

    await kubectl("patch", "trafficrouting", "mocka-tr", "--type=merge", "-p", HOLD)
    await kubectl(
        "wait", "trafficrouting/mocka-tr", "--for=jsonpath={.status.activeFor[0]}=rollouts-a", "--timeout=30s"
    )
    assert len((await kubectl.spec("vs", "vs-mocka"))["http"]) == 2
    assert [subset["name"] for subset in (await kubectl.spec("dr", "dr-mocka"))["subsets"]] == [
        "version-base",
        "canary",
    ]

    edited = next(vs for vs in virtual_services if vs["metadata"]["name"] == "vs-mocka")
    edited["spec"]["http"][0]["timeout"] = "5s"
    await kubectl.apply(edited)

    async def both_rules_have_the_timeout() -> bool:
        rules = (await kubectl.spec("vs", "vs-mocka"))["http"]
        return [rule.get("timeout") for rule in rules] == ["5s", "5s"]

    await eventually(both_rules_have_the_timeout)
    await kubectl("patch", "trafficrouting", "mocka-tr", "--type=merge", "-p", LET_GO)
    await kubectl("wait", "trafficrouting/mocka-tr", "--for=jsonpath={.status.phase}=Healthy", WITHIN)
    assert await kubectl.spec("dr", "dr-mocka") == before[1]
    assert await kubectl.spec("vs", "vs-mocka") == edited["spec"]
    left = json.loads(await kubectl("get", "vs", "vs-mocka", "-o", "json"))["metadata"]["annotations"]
    assert list(left) == ["kubectl.kubernetes.io/last-applied-configuration"]
    await kubectl("delete", "trafficrouting", "mocka-tr", WITHIN)


async def test_a_missing_virtual_service_is_said_and_taken_up_when_it_exists(kubectl: Kubectl) -> None:
    routing = at_once(example("06-traffic-routings.yaml")[0])
    await kubectl.apply(*example("01-apps.yaml", "Service"), *example("04-destination-rules.yaml"))
    await kubectl.apply(routing)
    await kubectl("wait", "trafficrouting/mocka-tr", "--for=condition=Accepted=false", WITHIN)
    said = (
        "TrafficRouting default/mocka-tr: VirtualService vs-mocka not found; "
        "create it or correct spec.objectRef[0].customNetworkRefs[0]"
    )
    assert (await kubectl("get", "trafficrouting", "mocka-tr", "-o", "jsonpath={.status.message}")) == said

    async def event() -> bool:
        return said in await kubectl("get", "events", "--field-selector", "involvedObject.name=mocka-tr")

    await eventually(event)
    await kubectl("patch", "trafficrouting", "mocka-tr", "--type=merge", "-p", HOLD)
    await kubectl.apply(*example("03-virtual-services.yaml"))
    await kubectl(
        "wait", "trafficrouting/mocka-tr", "--for=jsonpath={.status.activeFor[0]}=rollouts-a", "--timeout=30s"
    )


async def test_a_kind_of_the_users_own_is_routed_by_a_script_of_the_users_own(kubectl: Kubectl) -> None:
    await kubectl.apply(*example("01-apps.yaml", "Service"), FOO_CRD)
    await kubectl("wait", "crd/foos.example.io", "--for=condition=Established", WITHIN)
    script = "table.insert(obj.data.spec.backends, {name = 'canary', weight = obj.canaryWeight}) return obj.data"
    data = {"lua.traffic.routing.Foo.example.io": script}
    config = {"metadata": {"name": "kruise-rollout-configuration", "namespace": "kruise-rollout"}, "data": data}
    await kubectl("create", "namespace", "kruise-rollout")
    await kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap"} | config, FOO, FOO_ROUTING)
    await kubectl("patch", "trafficrouting", "mocka-tr", "--type=merge", "-p", HOLD)
    await kubectl(
        "wait", "trafficrouting/mocka-tr", "--for=jsonpath={.status.activeFor[0]}=rollouts-a", "--timeout=30s"
    )
    assert (await kubectl.spec("foo", "f"))["backends"] == [{"name": "mocka"}, {"name": "canary", "weight": 30}]
    await kubectl("patch", "foo", "f", "--type=merge", "-p", '{"spec":{"backends":[{"name":"mockb"}]}}')

    async def routed_again() -> bool:
        names = [backend["name"] for backend in (await kubectl.spec("foo", "f"))["backends"]]
        return names == ["mockb", "canary"]

    await eventually(routed_again)
    await kubectl("delete", "trafficrouting", "mocka-tr", "--wait=false")

    async def restored() -> bool:
        return (await kubectl.spec("foo", "f"))["backends"] == [{"name": "mockb"}]

    await eventually(restored)


FOO_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "foos.example.io"},
    "spec": {
        "group": "example.io",
        "scope": "Namespaced",
        "names": {"kind": "Foo", "plural": "foos", "singular": "foo"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
FOO = {
    "apiVersion": "example.io/v1",
    "kind": "Foo",
    "metadata": {"name": "f"},
    "spec": {"backends": [{"name": "mocka"}]},
}
FOO_ROUTING = {
    "apiVersion": "rollouts.kruise.io/v1alpha1",
    "kind": "TrafficRouting",
    "metadata": {"name": "mocka-tr"},
    "spec": {
        "strategy": {"weight": 30},
        "objectRef": [
            {
                "service": "mocka",
                "gracePeriodSeconds": 0,
                "customNetworkRefs": [{"apiVersion": "example.io/v1", "kind": "Foo", "name": "f"}],
            }
        ],
    },
}
