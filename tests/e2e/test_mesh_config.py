"""What holds mesh-wide where objects say nothing themselves: exports, retries, the root namespace, unknown hosts."""

from __future__ import annotations

import pytest
import yaml

from graylane.mesh import meshconfig
from graylane.mesh.inputs import MeshConfig
from graylane.testing.sampling import everyone

from .test_mesh_egress import at, entry, obj
from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


def mesh(town: Town, text: str) -> None:
    """As Istio's ConfigMap has it."""
    found = meshconfig.read({"data": {"mesh": text}}, MeshConfig(access_log=""))
    assert found.mesh is not None, found.fault
    assert not found.ignored
    town.cluster.mesh = found.mesh


async def test_unknown_hosts_are_refused_in_the_whole_mesh_unless_a_sidecar_allows_them(town: Town) -> None:
    mesh(town, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    await town.push()
    unknown = f"http://{town.address(6)}:8000/"
    assert [await town.who(unknown, source) for source in ("client", "stranger")] == [502, 502]
    assert await town.who() in ("v1", "v2")
    await town.have(obj("Sidecar", "open", egress=[{"hosts": ["*/*"]}], outboundTrafficPolicy={"mode": "ALLOW_ANY"}))
    assert [await town.who(unknown, source) for source in ("client", "stranger")] == ["c", 502]


async def test_virtual_services_are_private_unless_they_say_otherwise(town: Town) -> None:
    mesh(town, "defaultVirtualServiceExportTo: ['.']")
    await town.have(vs(to("v2")))
    assert {await town.who() for _ in range(8)} == {"v2"}
    await everyone(lambda: town.who("http://b.shop:8000/", "stranger"), {"v1", "v2"})
    await town.have(vs(to("v2"), exportTo=["*"]))
    assert {await town.who("http://b.shop:8000/", "stranger") for _ in range(8)} == {"v2"}


async def test_destination_rules_are_private_unless_they_say_otherwise(town: Town) -> None:
    mesh(town, "defaultDestinationRuleExportTo: ['.']")
    await town.have(vs(to("v2")))
    assert await town.who() == "v2"
    assert await town.who("http://b.shop:8000/", "stranger") == 503  # nobody there knows the subset
    rule = town.cluster.get("DestinationRule", "b")
    await town.have(yaml.safe_dump({**rule, "spec": {**rule["spec"], "exportTo": ["elsewhere", "."]}}))
    assert await town.who("http://b.shop:8000/", "stranger") == "v2"


async def test_services_are_private_unless_they_say_otherwise(town: Town) -> None:
    mesh(town, "defaultServiceExportTo: ['.']")
    await town.have(entry("ext.example", endpoints=[at(town, 4)]))
    assert await town.who("http://ext.example/") == "v1"
    assert await town.who("http://ext.example/", "stranger") == 503
    assert await town.who() in ("v1", "v2")
    assert await town.who("http://b.shop:8000/", "stranger") == 503
    town.cluster.get("Service", "b")["metadata"]["annotations"] = {"networking.istio.io/exportTo": "*"}
    await town.push()
    assert await town.who("http://b.shop:8000/", "stranger") in ("v1", "v2")


@pytest.mark.parametrize(
    ("text", "own", "attempts"),
    [
        ("", "", 3),
        ("defaultHttpRetryPolicy: {attempts: 0}", "", 1),
        ("defaultHttpRetryPolicy: {attempts: 4, retryOn: 5xx}", "", 5),
        ("defaultHttpRetryPolicy: {attempts: 4, retryOn: 5xx}", ", retries: {attempts: 1, retryOn: 5xx}", 2),
    ],
)
async def test_rules_without_retries_have_the_meshs(town: Town, text: str, own: str, attempts: int) -> None:
    mesh(town, text)
    await town.have(vs(to("v1", own)))
    assert await town.who("http://b:8000/?status=503") == 503
    assert len(town.seen["v1"]) == attempts


async def test_another_namespace_may_be_the_root_of_the_mesh(town: Town) -> None:
    only_c = {"egress": [{"hosts": ["shop/c.shop.svc.cluster.local"]}]}
    refuse = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    mesh(town, "rootNamespace: mesh-root")
    await town.have(obj("Sidecar", "all", "mesh-root", **only_c, **refuse))
    assert [await town.who("http://c.shop/"), await town.who("http://b.shop:8000/", "stranger")] == ["c", 502]
    mesh(town, "rootNamespace: istio-system")
    await town.push()
    assert await town.who("http://b.shop:8000/", "stranger") in ("v1", "v2")
