"""Services: addresses and node ports that nobody else has."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from graylane.testing.api.objects import service
from graylane.testing.api.rig import Rig


def services(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/services"


async def test_every_service_has_an_address_of_its_own(api: Rig, ns: str) -> None:
    made = await asyncio.gather(*(api.create(services(ns), service(f"s{n}")) for n in range(10)))
    addresses = {entry["spec"]["clusterIP"] for entry in made}
    assert len(addresses) == 10
    assert all(ip_address(address).is_private for address in addresses)
    assert all(entry["spec"]["clusterIPs"] == [entry["spec"]["clusterIP"]] for entry in made)


async def test_what_kubernetes_fills_in_is_filled_in(api: Rig, ns: str) -> None:
    spec = (await api.create(services(ns), service("a")))["spec"]
    assert (spec["type"], spec["sessionAffinity"], spec["ipFamilies"]) == ("ClusterIP", "None", ["IPv4"])
    assert spec["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]


async def test_a_headless_service_stays_headless(api: Rig, ns: str) -> None:
    made = await api.create(services(ns), service("a", clusterIP="None"))
    assert made["spec"]["clusterIP"] == "None"


async def test_an_address_never_changes_and_survives_an_update_that_omits_it(api: Rig, ns: str) -> None:
    made = await api.create(services(ns), service("a"))
    kept = await api.replace(f"{services(ns)}/a", service("a"))
    assert kept["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    body = {"spec": {"clusterIP": "10.96.200.200", "clusterIPs": ["10.96.200.200"]}}
    moved = await api.call("PATCH", f"{services(ns)}/a", body, content_type="application/merge-patch+json")
    assert moved.status == 422


async def test_node_ports_are_handed_out_kept_and_freed(api: Rig, ns: str) -> None:
    made = await api.create(services(ns), service("a", type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    kept = await api.replace(f"{services(ns)}/a", service("a", type="NodePort"))
    assert kept["spec"]["ports"][0]["nodePort"] == port
    taken = await api.call("POST", services(ns), service("b", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
    assert taken.status == 422
    assert "provided port is already allocated" in taken.message
    plain = await api.replace(f"{services(ns)}/a", {**kept, "spec": {**kept["spec"], "type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]


async def test_a_node_port_outside_the_range_is_refused(api: Rig, ns: str) -> None:
    body = service("a", type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    answer = await api.call("POST", services(ns), body)
    assert answer.status == 422
    assert "The range of valid ports is 30000-32767" in answer.message


async def test_the_api_has_its_own_service(api: Rig) -> None:
    assert (await api.get(f"{services('default')}/kubernetes"))["spec"]["ports"][0]["port"] == 443
