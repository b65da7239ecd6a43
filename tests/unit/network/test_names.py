"""The pods' DNS: names of Services and of what is behind them, as Kubernetes' DNS specification has them."""

from __future__ import annotations

from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from graylane.cluster.network.names import Zone, answer, zone_of

DOMAIN = "cluster.local"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def slice_of(name: str, *endpoints: dict[str, Any], **more: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    metadata = {"name": f"{name}-x", "namespace": "shop", "labels": labels}
    return {"metadata": metadata, "endpoints": list(endpoints), **more}


HTTP = {"name": "http", "port": 8000, "protocol": "TCP"}
ZONE = zone_of(
    [
        service("b", clusterIP="10.96.0.7", ports=[HTTP]),
        service("db", clusterIP="None", ports=[HTTP]),
        service("early", clusterIP="None", publishNotReadyAddresses=True),
        service("far", type="ExternalName", externalName="b.shop.svc.cluster.local"),
        service("abroad", type="ExternalName", externalName="example.org."),
        service("ring", type="ExternalName", externalName="ring.shop.svc.cluster.local"),
    ],
    [
        slice_of(
            "db",
            {"addresses": ["10.130.0.2"], "hostname": "db-0", "conditions": {"ready": True}},
            {"addresses": ["10.130.0.3"], "conditions": {"ready": True}},
            {"addresses": ["10.130.0.4"], "conditions": {"ready": False}},
            ports=[HTTP],
        ),
        slice_of("early", {"addresses": ["10.130.0.5"], "conditions": {"ready": False}}),
    ],
    DOMAIN,
)


def asked(name: str, type: str = "A", zone: Zone = ZONE) -> dns.message.Message:
    reply = answer(zone, dns.message.make_query(name, type).to_wire(), datagram=True)
    assert reply is not None
    return dns.message.from_wire(reply)


def texts(message: dns.message.Message) -> list[str]:
    return sorted(item.to_text() for record in message.answer for item in record)


@pytest.mark.parametrize(
    ("name", "type", "expected"),
    [
        ("b.shop.svc.cluster.local", "A", ["10.96.0.7"]),
        ("B.Shop.SVC.cluster.local", "A", ["10.96.0.7"]),
        ("_http._tcp.b.shop.svc.cluster.local", "SRV", ["0 100 8000 b.shop.svc.cluster.local."]),
        ("db.shop.svc.cluster.local", "A", ["10.130.0.2", "10.130.0.3"]),
        ("db-0.db.shop.svc.cluster.local", "A", ["10.130.0.2"]),
        ("10-130-0-3.db.shop.svc.cluster.local", "A", ["10.130.0.3"]),
        (
            "_http._tcp.db.shop.svc.cluster.local",
            "SRV",
            ["0 100 8000 10-130-0-3.db.shop.svc.cluster.local.", "0 100 8000 db-0.db.shop.svc.cluster.local."],
        ),
        ("early.shop.svc.cluster.local", "A", ["10.130.0.5"]),
        ("far.shop.svc.cluster.local", "A", ["10.96.0.7", "b.shop.svc.cluster.local."]),
        ("abroad.shop.svc.cluster.local", "A", ["example.org."]),
        ("b.shop.svc.cluster.local", "AAAA", []),
        ("shop.svc.cluster.local", "A", []),
    ],
)
def test_a_name_of_the_cluster_has_its_records(name: str, type: str, expected: list[str]) -> None:
    message = asked(name, type)
    assert message.rcode() == dns.rcode.NOERROR
    assert texts(message) == expected


@pytest.mark.parametrize("name", ["c.shop.svc.cluster.local", "b.cluster.local", "b", "example.org"])
def test_any_other_name_does_not_exist(name: str) -> None:
    assert asked(name).rcode() == dns.rcode.NXDOMAIN


def test_aliases_that_name_each_other_end() -> None:
    assert asked("ring.shop.svc.cluster.local").rcode() == dns.rcode.NOERROR


def test_an_answer_too_long_for_a_datagram_is_cut_and_whole_over_tcp() -> None:
    many = [{"addresses": [f"10.130.1.{number}"], "conditions": {"ready": True}} for number in range(200)]
    zone = zone_of([service("wide", clusterIP="None")], [slice_of("wide", *many)], DOMAIN)
    query = dns.message.make_query("wide.shop.svc.cluster.local", "A").to_wire()
    cut = answer(zone, query, datagram=True)
    assert cut is not None
    assert len(cut) <= 512
    assert dns.message.from_wire(cut).flags & dns.flags.TC
    whole = answer(zone, query, datagram=False)
    assert whole is not None
    assert len(texts(dns.message.from_wire(whole))) == 200


@pytest.mark.parametrize("garbage", [b"", b"x", b"\0" * 11, b"\xff" * 40])
def test_what_is_no_query_gets_no_answer(garbage: bytes) -> None:
    assert answer(ZONE, garbage, datagram=True) is None


def test_an_answer_sent_to_us_is_not_answered() -> None:
    query = dns.message.make_query("b.shop.svc.cluster.local", "A")
    assert answer(ZONE, dns.message.make_response(query).to_wire(), datagram=True) is None


def test_what_is_no_lookup_is_not_implemented() -> None:
    query = dns.message.make_query("b.shop.svc.cluster.local", "A")
    query.set_opcode(dns.opcode.STATUS)
    reply = answer(ZONE, query.to_wire(), datagram=True)
    assert reply is not None
    assert dns.message.from_wire(reply).rcode() == dns.rcode.NOTIMP
