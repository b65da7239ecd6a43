"""Every namespace has its default account and the authority's certificate."""

from __future__ import annotations

from graylane.cluster.workloads import serviceaccounts
from graylane.cluster.workloads.serviceaccounts import ACCOUNT, AUTHORITY, HOME
from graylane.model.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from graylane.model.meta import Obj
from graylane.testing.world import World


def namespace(name: str, **metadata: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


def authority(data: dict[str, str]) -> Obj:
    metadata = {"name": AUTHORITY, "namespace": HOME}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def settled(*namespaces: Obj) -> World:
    world = World()
    for one in (namespace(HOME), *namespaces):
        world.put(NAMESPACE, one)
    world.put(CONFIG_MAP, authority({"ca.crt": "pem"}))
    await world.settle([serviceaccounts.controller()])
    return world


async def test_a_new_namespace_gets_both() -> None:
    world = await settled(namespace("shop"))
    assert world.get(SERVICE_ACCOUNT, "shop", ACCOUNT)
    copy = world.get(CONFIG_MAP, "shop", AUTHORITY)
    assert copy is not None
    assert copy["data"] == {"ca.crt": "pem"}
    before = world.dump()
    await world.settle([serviceaccounts.controller()])
    assert world.dump() == before


async def test_what_is_deleted_or_edited_comes_back() -> None:
    world = await settled(namespace("shop"))
    world.delete(SERVICE_ACCOUNT, "shop", ACCOUNT)
    world.patch(CONFIG_MAP, "shop", AUTHORITY, {"data": {"ca.crt": "forged", "more": "x"}})
    await world.settle([serviceaccounts.controller()])
    assert world.get(SERVICE_ACCOUNT, "shop", ACCOUNT)
    copy = world.get(CONFIG_MAP, "shop", AUTHORITY)
    assert copy is not None
    assert copy["data"] == {"ca.crt": "pem"}


async def test_a_namespace_on_its_way_out_is_left_alone() -> None:
    world = await settled(namespace("shop", deletionTimestamp="2030-01-01T00:00:00Z", finalizers=["x"]))
    assert world.get(SERVICE_ACCOUNT, "shop", ACCOUNT) is None
