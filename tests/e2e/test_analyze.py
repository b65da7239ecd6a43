"""`graylane analyze` finds the same in manifests as in the cluster that has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.analyzers.cases import CASES, GOOD

from .rig import Up, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

NOT_ADMITTED = ("IST0106",)
OF_A_SERVICE_IN_FRONT = ("IST0162",)  # the gateway's own Service is there in the one place, not in the other
OF_ROUTES = "GRL0003"
OF_PODS = "IST0110"
IMAGE = "registry.cn-beijing.aliyuncs.com/aliacs-app-catalog/go-http-sample:1.0"


ROUTED = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec:
  gatewayClassName: istio
  listeners: [{name: web, port: 8088, protocol: HTTP}, {name: raw, port: 9000, protocol: TCP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lost}
spec:
  parentRefs: [{name: front}, {name: frnt}]
  rules: [{backendRefs: [{name: nowhere, port: 8000}]}, {backendRefs: [{name: b, port: 8000}]}]
"""


def manifests() -> list[dict[str, Any]]:
    """A case of every code in a namespace of its own, with hosts of its own."""
    found: list[dict[str, Any]] = []
    for code, text in ({row[0]: row[-1] for row in CASES} | {OF_ROUTES: ROUTED}).items():
        if code in (*NOT_ADMITTED, *OF_A_SERVICE_IN_FRONT):
            continue
        space = f"case-{code.lower()}"
        found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
        for obj in yaml.safe_load_all(f"{GOOD}\n---\n{text}".replace(".example", f".{space}.example")):
            if obj:
                obj["metadata"]["namespace"] = space
                found.append(running(obj, pods=code == OF_PODS) if obj["kind"] == "Deployment" else obj)
    return found


def running(deployment: dict[str, Any], *, pods: bool) -> dict[str, Any]:
    """With what the API server asks for; where nothing depends on pods, without any."""
    template = deployment["spec"]["template"]
    template["spec"]["containers"] = [{"name": "x", "image": IMAGE}]
    selector = {"matchLabels": template["metadata"]["labels"]}
    return {**deployment, "spec": {"replicas": int(pods), "selector": selector, "template": template}}


def found(up: Up, *arguments: str) -> set[tuple[str, str, str]]:
    done = up.shell(f"graylane analyze -A -o json {' '.join(arguments)}", ok=False)
    told = json.loads(done.stdout)
    return {(each["code"], each["level"], each["origin"]) for each in told if "case-" in each["origin"]}


def test_the_same_is_found_in_manifests_and_in_the_cluster_that_has_them(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(manifests()))
    with started(tmp_path / "data", "-f", str(path)) as up:
        up.shell(f"kubectl wait deployments --all -n case-{OF_PODS.lower()} --for=condition=Available --timeout=30s")
        offline, online = found(up, "-f", str(path)), found(up)
    assert offline == online
    expected = {OF_ROUTES, *(row[0] for row in CASES)} - {*NOT_ADMITTED, *OF_A_SERVICE_IN_FRONT}
    assert {code for code, _, _ in online} >= expected
