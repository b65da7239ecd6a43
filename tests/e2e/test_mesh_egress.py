"""What pods may call: Sidecars, exportTo, ServiceEntries, and hosts that nobody knows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml

from graylane.testing.sampling import everyone

from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


def obj(kind: str, name: str, namespace: str = "shop", **spec: Any) -> str:
    return yaml.safe_dump({"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec})


def sidecar(*hosts: str, name: str = "sc", namespace: str = "shop", **spec: Any) -> str:
    return obj("Sidecar", name, namespace, egress=[{"hosts": list(hosts)}], **spec)


def entry(host: str, *, resolution: str = "STATIC", port: int = 80, **spec: Any) -> str:
    protocol = spec.pop("protocol", "HTTP")
    ports = [{"number": port, "name": "main", "protocol": protocol, "targetPort": 8000}]
    return obj("ServiceEntry", spec.pop("name", "se"), hosts=[host], ports=ports, resolution=resolution, **spec)


def at(town: Town, number: int, **labels: str) -> dict[str, Any]:
    return {"address": town.address(number), "labels": labels}


# -- Sidecar --------------------------------------------------------------------------------------------------------


async def test_6_registry_only_refuses_what_nobody_knows_with_502(town: Town) -> None:
    await town.have(sidecar("*/*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}))
    assert await town.who(f"http://{town.address(6)}:8000/") == 502
    assert not town.seen["c"]
    assert await town.who() in ("v1", "v2")
    assert await town.who(f"http://{town.address(6)}:8000/", "stranger") == "c"
    assert "HTTP/1.1 502" in await town.raw(
        "CONNECT nobody.example:443 HTTP/1.1\nHost: nobody.example:443\n\n", line=True
    )


async def test_an_empty_traffic_policy_means_its_first_value(town: Town) -> None:
    await town.have(sidecar("*/*", outboundTrafficPolicy={}))
    assert await town.who(f"http://{town.address(6)}:8000/") == 502
    await town.have(sidecar("*/*", outboundTrafficPolicy={"mode": "ALLOW_ANY"}))
    assert await town.who(f"http://{town.address(6)}:8000/") == "c"


async def test_unknown_hosts_may_be_sent_through_a_service(town: Town) -> None:
    proxy = {"host": "c", "port": {"number": 80}}
    await town.have(sidecar("*/*", outboundTrafficPolicy={"mode": "ALLOW_ANY", "egressProxy": proxy}))
    answer = await town.ask("http://nobody.example/")
    assert (answer.json["by"], answer.json["host"]) == ("c", "nobody.example")


async def test_a_sidecar_shows_only_the_hosts_it_lists(town: Town) -> None:
    await town.have(sidecar("./c.shop.svc.cluster.local", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}))
    assert await town.who("http://c/") == "c"
    assert await town.who("http://b:8000/") == 502
    assert await town.who("http://b.shop:8000/", "stranger") in ("v1", "v2")


async def test_a_rule_in_scope_may_lead_to_a_service_that_is_not_listed(town: Town) -> None:
    registry_only = {"mode": "REGISTRY_ONLY"}
    await town.have(
        sidecar("shop/c.shop.svc.cluster.local", outboundTrafficPolicy=registry_only), vs(to("v2"), host="c")
    )
    assert await town.who("http://c/") == "v2"
    assert await town.who("http://b:8000/") == 502


async def test_a_rule_out_of_scope_is_not_followed(town: Town) -> None:
    other = vs(
        "- route: [{destination: {host: c.shop.svc.cluster.local, port: {number: 80}}}]",
        host="b.shop.svc.cluster.local",
    )
    await town.have(other.replace("name: vs", "name: vs\n  namespace: elsewhere"), sidecar("shop/*"))
    await everyone(town.who, {"v1", "v2"})
    await town.have(sidecar("shop/*", "elsewhere/*"))
    assert {await town.who() for _ in range(8)} == {"c"}


async def test_the_most_specific_sidecar_holds(town: Town) -> None:
    refuse = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    chosen = {"workloadSelector": {"labels": {"app": "client"}}}
    await town.have(
        sidecar("./c.shop.svc.cluster.local", name="own", **refuse, **chosen),
        sidecar("./b.shop.svc.cluster.local", name="all", **refuse),
        sidecar("shop/two.shop.svc.cluster.local", name="root", namespace="istio-system", **refuse),
    )
    for source, known in (("client", "c:80"), ("c", "b:8000"), ("stranger", "two:8000")):
        for host in ("c:80", "b:8000", "two:8000"):
            name, port = host.split(":")
            assert (await town.who(f"http://{name}.shop:{port}/", source) != 502) is (host == known), (source, host)


async def test_an_egress_entry_for_a_port_speaks_for_that_port(town: Town) -> None:
    entries = [{"port": {"number": 9000}, "hosts": ["./two.shop.svc.cluster.local"]}, {"hosts": ["./b.*", "./c.*"]}]
    entries[1]["hosts"] = ["./c.shop.svc.cluster.local"]
    await town.have(obj("Sidecar", "sc", egress=entries, outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}))
    assert await town.who("http://two:9000/") in ("v1", "v2")
    assert await town.who("http://two:8000/") == 502
    assert await town.who("http://c/") == "c"


# -- exportTo -------------------------------------------------------------------------------------------------------


async def test_a_service_may_be_shown_to_its_own_namespace_only(town: Town) -> None:
    service = town.cluster.get("Service", "b")
    service["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    await town.push()
    assert await town.who() in ("v1", "v2")
    assert await town.who("http://b.shop:8000/", "stranger") == 503


async def test_an_external_name_is_another_name_of_a_service_with_its_rules(town: Town) -> None:
    spec = {"type": "ExternalName", "externalName": "b.shop.svc.cluster.local"}
    await town.have(obj("Service", "nick", "elsewhere", **spec), vs(to("v2")))
    assert {await town.who("http://nick:8000/", "stranger") for _ in range(4)} == {"v2"}
    assert {await town.who("http://nick.elsewhere:8000/") for _ in range(4)} == {"v2"}


async def test_an_external_name_of_no_service_is_looked_up(town: Town) -> None:
    ports = [{"name": "http", "port": town.local_port}]
    await town.have(obj("Service", "abroad", type="ExternalName", externalName="localhost", ports=ports))
    assert await town.reached(f"http://abroad:{town.local_port}/") == "local"


# -- ServiceEntry ---------------------------------------------------------------------------------------------------


async def test_a_static_entry_is_a_service_with_subsets_by_its_endpoints_labels(town: Town) -> None:
    subsets = [{"name": each, "labels": {"version": each}} for each in ("v1", "v2")]
    await town.have(
        entry("ext.example", endpoints=[at(town, 4, version="v1"), at(town, 5, version="v2")]),
        obj("DestinationRule", "ext", host="ext.example", subsets=subsets),
    )
    await everyone(lambda: town.who("http://ext.example/"), {"v1", "v2"})
    route = "- {match: [{uri: {prefix: /2}}], route: [{destination: {host: ext.example, subset: v2}}]}\n"
    route += "- {route: [{destination: {host: ext.example, subset: v1}}]}\n"
    await town.have(vs(route, host="ext.example"))
    assert {await town.who("http://ext.example/2") for _ in range(5)} == {"v2"}
    assert {await town.who("http://ext.example/") for _ in range(5)} == {"v1"}


async def test_an_endpoints_weight_is_its_share(town: Town) -> None:
    heavy = at(town, 4) | {"weight": 9}
    await town.have(entry("ext.example", endpoints=[heavy, at(town, 5) | {"weight": 1}]))
    seen = [await town.who("http://ext.example/") for _ in range(200)]
    assert 150 <= seen.count("v1") <= 199


async def test_an_endpoint_that_is_no_address_is_left_out_and_told(town: Town) -> None:
    compiled = await town.have(entry("ext.example", endpoints=[at(town, 4), {"address": "some.name"}]))
    assert {await town.who("http://ext.example/") for _ in range(5)} == {"v1"}
    (source,) = (each for each in compiled.plan.findings if each.kind == "ServiceEntry")
    (told,) = compiled.plan.findings[source]
    assert "spec.endpoints[1].address 'some.name'" in told.message


@pytest.mark.parametrize("resolution", ["DNS", "DNS_ROUND_ROBIN"])
async def test_an_entry_by_name_is_looked_up(town: Town, resolution: str) -> None:
    named = {"address": "localhost", "ports": {"main": town.local_port}}
    await town.have(entry("ext.example", resolution=resolution, endpoints=[named]))
    assert await town.reached("http://ext.example/") == "local"


async def test_a_name_that_cannot_be_looked_up_holds_nothing_else_back(town: Town) -> None:
    await town.have(entry("no.invalid", resolution="DNS"), vs(to("v2")))
    assert await town.who() == "v2"
    assert await town.who("http://no.invalid/") == 503


async def test_an_entry_without_resolution_goes_where_the_request_says(town: Town) -> None:
    registry_only = {"mode": "REGISTRY_ONLY"}
    await town.have(
        sidecar("*/*", outboundTrafficPolicy=registry_only),
        entry(town.address(6), resolution="NONE", port=8000),
    )
    assert await town.who(f"http://{town.address(6)}:8000/") == "c"
    assert await town.who(f"http://{town.address(4)}:8000/") == 502


async def test_an_entrys_address_is_one_of_its_names(town: Town) -> None:
    await town.have(entry("ext.example", addresses=["10.9.8.7"], endpoints=[at(town, 4)]))
    assert await town.who("http://10.9.8.7/") == "v1"


async def test_a_small_network_of_addresses_are_an_entrys_names(town: Town) -> None:
    refuse = sidecar("*/*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})
    compiled = await town.have(
        entry("ext.example", addresses=["10.9.8.0/28", "10.9.0.0/16"], endpoints=[at(town, 4)]), refuse
    )
    assert [await town.who(f"http://10.9.8.{number}/") for number in (1, 14, 16)] == ["v1", "v1", 502]
    (told,) = (each for source, all in compiled.plan.findings.items() for each in all if source.kind == "ServiceEntry")
    assert told.message.startswith("spec.addresses[1] 10.9.0.0/16 (neither an address nor a network of at most 256)")


async def test_an_entry_may_select_pods_and_workload_entries(town: Town) -> None:
    ports = [{"number": 80, "name": "web", "protocol": "HTTP", "targetPort": 8000}]
    subsets = [{"name": each, "labels": {"version": each}} for each in ("v1", "vm")]
    await town.have(
        obj(
            "ServiceEntry",
            "se",
            hosts=["ext.example"],
            ports=ports,
            resolution="STATIC",
            workloadSelector={"labels": {"app": "b"}},
        ),
        obj("WorkloadEntry", "vm", address=town.address(6), labels={"app": "b", "version": "vm"}, ports={"web": 8000}),
        obj("WorkloadEntry", "else", address=town.address(9), labels={"app": "other"}),
        obj("WorkloadEntry", "far", "elsewhere", address=town.address(9), labels={"app": "b"}),
        obj("DestinationRule", "ext", host="ext.example", subsets=subsets),
    )
    await everyone(lambda: town.who("http://ext.example/"), {"v1", "v2", "c"})
    route = "- {match: [{uri: {prefix: /vm}}], route: [{destination: {host: ext.example, subset: vm}}]}\n"
    route += "- {route: [{destination: {host: ext.example, subset: v1}}]}\n"
    await town.have(vs(route, host="ext.example"))
    assert {await town.who("http://ext.example/vm") for _ in range(5)} == {"c"}
    assert {await town.who("http://ext.example/") for _ in range(5)} == {"v1"}
    town.cluster.not_ready.add("b-v1")
    await town.push()
    assert await town.who("http://ext.example/") == 503


async def test_a_service_selects_workload_entries_beside_its_pods(town: Town) -> None:
    """As a service is moved from a virtual machine into the cluster, or back."""
    vm = obj("WorkloadEntry", "vm", address=town.address(6), labels={"app": "b", "version": "v9"}, ports={"http": 8000})
    far = obj("WorkloadEntry", "far", "elsewhere", address=town.address(9), labels={"app": "b"})
    await town.have(
        vm, far, vs(to("none", ", match: [{uri: {prefix: /vm}}]") + "- route: [{destination: {host: b}}]\n")
    )
    await everyone(town.who, {"v1", "v2", "c"})
    assert {await town.who("http://b:8000/vm") for _ in range(5)} == {"c"}
    town.cluster.delete("WorkloadEntry", "vm")
    await town.push()
    await everyone(town.who, {"v1", "v2"})


async def test_a_workload_entrys_weight_is_its_share(town: Town) -> None:
    ports = [{"number": 80, "name": "web", "protocol": "HTTP"}]
    await town.have(
        obj(
            "ServiceEntry",
            "se",
            hosts=["ext.example"],
            ports=ports,
            resolution="STATIC",
            workloadSelector={"labels": {"at": "home"}},
        ),
        *(
            obj(
                "WorkloadEntry",
                f"vm{number}",
                address=town.address(number),
                labels={"at": "home"},
                weight=weight,
                ports={"web": 8000},
            )
            for number, weight in ((4, 9), (5, 1))
        ),
    )
    seen = [await town.who("http://ext.example/") for _ in range(200)]
    assert 150 <= seen.count("v1") <= 199


async def test_an_entry_may_be_private_and_ones_own_comes_first(town: Town) -> None:
    await town.have(entry("ext.example", endpoints=[at(town, 4)], exportTo=["."]))
    assert await town.who("http://ext.example/") == "v1"
    assert await town.who("http://ext.example/", "stranger") == 503
    other = entry("ext.example", endpoints=[at(town, 5)], name="other").replace("shop", "elsewhere")
    await town.have(other)
    assert await town.who("http://ext.example/") == "v1"
    assert await town.who("http://ext.example/", "stranger") == "v2"


async def test_a_port_that_speaks_no_http_is_reached_through_a_tunnel(town: Town) -> None:
    await town.have(
        sidecar("*/*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),
        entry("db.example", port=5432, protocol="TCP", endpoints=[at(town, 6)]),
    )
    reader, writer = await asyncio.open_connection(town.address(2), 15001)
    writer.write(b"CONNECT db.example:5432 HTTP/1.1\r\nhost: db.example:5432\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET / HTTP/1.1\r\nhost: whatever\r\nconnection: close\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b'"by":"c"'), 30)
    writer.close()


async def test_several_entries_for_one_host_put_their_endpoints_and_ports_together(town: Town) -> None:
    await town.have(
        entry("out.example", name="first", endpoints=[at(town, 4)]),
        entry("out.example", name="second", endpoints=[at(town, 6)]),
        entry("out.example", name="third", port=8080, endpoints=[]),
    )
    await everyone(lambda: town.who("http://out.example/"), {"v1", "c"})
    assert await town.who("http://out.example:8080/") in ("v1", "c")
