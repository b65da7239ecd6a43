"""Configurations of a size nobody meant: compiled within bounds, and with a clear word where there is one to say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from graylane.mesh.compiler import Compiled, compile
from graylane.model.meta import Obj
from graylane.testing import meshes

CPU_SECONDS = 20  # ten times what they take; a square of these sizes would take hours
WORLD = """
kind: Service
metadata: {name: b}
spec: {selector: {app: b}, ports: [{name: http, port: 8000}]}
---
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
TO_B = {"route": [{"destination": {"host": "b"}}]}


def compiled(*objects: Obj) -> Compiled:
    found = meshes.Cluster()
    found.apply(*meshes.manifests(WORLD))
    found.objects += [meshes.created(obj, "default") for obj in objects]
    found.pods = [meshes.gateway_pod("127.9.0.1", "127.0.0.1"), meshes.pod("b", "127.9.0.2", {"app": "b"})]
    start = time.process_time()
    result = compile(found.inputs())
    assert time.process_time() - start < CPU_SECONDS
    return result


def obj(kind: str, name: str, **spec: Any) -> Obj:
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


def rule(number: int) -> Obj:
    return {"match": [{"uri": {"prefix": f"/{number}"}}], **TO_B}


def a_thousand_for_one_host() -> list[Obj]:
    both = ["gw", "mesh"]
    return [obj("VirtualService", f"v{n}", hosts=["b"], gateways=both, http=[rule(n)]) for n in range(1000)]


def ten_thousand_rules() -> list[Obj]:
    return [obj("VirtualService", "v", hosts=["b"], http=[rule(number) for number in range(10_000)])]


def a_thousand_wildcards() -> list[Obj]:
    return [obj("VirtualService", f"v{n}", hosts=[f"*.h{n}.example"], http=[TO_B]) for n in range(1000)]


def a_sidecar_of_ten_thousand_hosts() -> list[Obj]:
    hosts = [f"*/h{number}.example" for number in range(10_000)]
    others = [obj("VirtualService", f"v{n}", hosts=[f"g{n}.example"], http=[TO_B]) for n in range(30)]
    return [obj("Sidecar", "s", egress=[{"hosts": hosts}]), *others]


def a_gateway_of_ten_thousand_hosts() -> list[Obj]:
    server = {
        "port": {"number": 80, "name": "h", "protocol": "HTTP"},
        "hosts": [f"h{n}.example" for n in range(10_000)],
    }
    service = obj("VirtualService", "v", hosts=["*.example"], gateways=["wide"], http=[TO_B])
    return [obj("Gateway", "wide", selector={"istio": "ingressgateway"}, servers=[server]), service]


@pytest.mark.parametrize(
    "made",
    [
        a_thousand_for_one_host,
        ten_thousand_rules,
        a_thousand_wildcards,
        a_sidecar_of_ten_thousand_hosts,
        a_gateway_of_ten_thousand_hosts,
    ],
)
def test_it_is_compiled_within_bounds(made: Callable[[], list[Obj]]) -> None:
    found = compiled(*made())
    assert not any(found.plan.findings.values())


def test_delegates_that_delegate_to_one_another_end_there_and_are_told() -> None:
    found = compiled(
        obj("VirtualService", "root", hosts=["b"], http=[{"delegate": {"name": "one"}}, TO_B]),
        obj("VirtualService", "one", http=[{"delegate": {"name": "two"}}]),
        obj("VirtualService", "two", http=[{"delegate": {"name": "one"}}]),
    )
    told = {source.name: [each.message for each in found] for source, found in found.plan.findings.items() if found}
    assert set(told) == {"one", "two"}
    assert all("may not delegate again" in message for messages in told.values() for message in messages)
