"""Objects that a CRD lets in and nobody would write: the mesh compiles them, and can say what becomes of requests."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from graylane.chain.match import Request
from graylane.mesh.compiler import compile
from graylane.mesh.simulate import simulate
from graylane.model.meta import Obj
from graylane.testing import meshes

CRDS = Path(__file__).parents[2] / "graylane" / "model" / "crds" / "istio"
KINDS = ("VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "EnvoyFilter")
WORLD = """
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, clusterIP: 10.96.0.10, ports: [{name: http, port: 8000}, {name: tcp, port: 5432}]}
---
kind: Gateway
metadata: {name: gw, namespace: shop}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
TEXTS = (
    *("", "*", "b", "b.shop.svc.cluster.local", "*.example.com", "./b", "shop/*", "mesh", "gw", "shop/gw", ".", "~"),
    *("1s", "10x", "-5s", "1h", "0s", "http", "HTTP", "HTTPS", "TLS", "TCP", "v1", "(?=x)", "[", "%", "%REQ(x)%", "é"),
    *("10.0.0.1", "10.0.0.0/8", "DNS", "SIMPLE", "5xx,503", "ROUND_ROBIN", "a" * 300, "unix:///x", "==="),
    *("HTTP_FILTER", "CLUSTER", "VIRTUAL_HOST", "HTTP_ROUTE", "MERGE", "ADD", "INSERT_FIRST", "REMOVE", "GATEWAY"),
)
NUMBERS = (0, 1, -1, 50, 80, 100, 301, 443, 503, 8000, 65535, 70000, 1 << 31, 1 << 40)
NAMES = ("x-a", ":authority", "Host", "version", "app", "tcp", "@request.auth.claims.x", "")


def schemas() -> dict[str, Obj]:
    documents = (each for path in CRDS.glob("*.yaml") for each in yaml.safe_load_all(path.read_text()) if each)
    return {
        each["spec"]["names"]["kind"]: each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for each in documents
    }


SCHEMAS = schemas()


def value(schema: Obj, random: Random, depth: int = 0) -> Any:
    if "enum" in schema and random.random() < 0.9:
        return random.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            return written(schema, random, depth)
        case "array":
            return [value(schema.get("items", {}), random, depth + 1) for _ in range(random.randrange(3))]
        case "integer":
            return random.choice(NUMBERS)
        case "number":
            return random.choice((*NUMBERS, 0.5, 33.3))
        case "boolean":
            return random.random() < 0.5
    return random.choice(TEXTS)


def written(schema: Obj, random: Random, depth: int) -> Obj:
    required, often = schema.get("required", ()), 0.5 if depth < 4 else 0.25
    found = {
        name: value(below, random, depth + 1)
        for name, below in (schema.get("properties") or {}).items()
        if name in required or random.random() < often
    }
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        found |= {random.choice(NAMES): value(more, random, depth + 1) for _ in range(random.randrange(3))}
    return found


@pytest.mark.parametrize("block", range(10))
def test_whatever_is_let_in_is_compiled_and_can_be_asked_about(block: int) -> None:
    for seed in range(15 * block, 15 * block + 15):
        random = Random(seed)
        found = meshes.Cluster()
        found.apply(*meshes.manifests(WORLD))
        for kind in random.choices(KINDS, k=3):
            metadata = {"name": random.choice(("gw", "x")), "namespace": random.choice(("shop", "istio-system"))}
            obj = {"kind": kind, "metadata": metadata, "spec": value(SCHEMAS[kind], random)}
            found.apply(meshes.created(obj, "shop"))
        found.pods = [
            meshes.gateway_pod("127.9.0.1", "127.0.0.1"),
            meshes.pod("b", "127.9.0.2", {"app": "b"}, namespace="shop"),
        ]
        plan = compile(found.inputs()).plan
        for listener in plan.listeners:
            for host in ("b:8000", "a.example.com", "127.0.0.1"):
                assert simulate(plan, listener, Request(host)).outcome is not None
