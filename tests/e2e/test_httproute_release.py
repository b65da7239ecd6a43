"""Releases through an HTTPRoute, on live traffic: the lane opens, stays exact, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from graylane.model.meta import condition, dig
from graylane.testing.waiting import eventually

from .certificates import Authority
from .rig import EXAMPLES, Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ROUTED = """
apiVersion: v1
kind: Service
metadata: {name: mocka}
spec: {ports: [{name: http, port: 8000}], selector: {app: mocka, version: base}}
---
apiVersion: v1
kind: Service
metadata: {name: mocka-canary}
spec: {ports: [{name: http, port: 8000}], selector: {app: mocka, version: canary}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec:
  gatewayClassName: istio
  listeners:
  - {name: web, port: 80, protocol: HTTP}
  - {name: more, port: 8888, protocol: HTTP}
  - {name: secure, port: 443, protocol: HTTPS, hostname: shop.example, tls: {certificateRefs: [{name: shop}]}}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: mocka}
spec:
  parentRefs: [{name: front}]
  rules: [{backendRefs: [{name: mocka, port: 8000}]}]
---
apiVersion: rollouts.kruise.io/v1alpha1
kind: Rollout
metadata:
  name: mocka
  annotations: {rollouts.kruise.io/rolling-style: canary, rollouts.kruise.io/trafficrouting: mocka}
spec:
  objectRef: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: mocka-base}}
  strategy:
    canary:
      steps: [{replicas: 1, pause: {}}]
      patchPodTemplateMetadata: {labels: {version: canary}}
---
apiVersion: rollouts.kruise.io/v1alpha1
kind: TrafficRouting
metadata: {name: mocka}
spec:
  strategy:
    matches: [{headers: [{type: Exact, name: my-request-id, value: canary}]}]
  objectRef:
  - service: mocka
    gateway: {httpRouteName: mocka}
"""


def answers(up: Up, *headers: str) -> str:
    return up.shell(" ".join(["curl -s", up.gateway, *(f"-H {header}" for header in headers)])).stdout


def state(up: Up) -> str:
    return str(dig(up.get("rollout", "mocka"), "status", "canaryStatus", "currentStepState", default=""))


def told(up: Up, listener: str) -> str:
    """What its Programmed condition says."""
    listeners = dig(up.get("gtw", "front"), "status", "listeners", default=[])
    conditions = next((each["conditions"] for each in listeners if each["name"] == listener), [])
    return str(next((each["message"] for each in conditions if each["type"] == "Programmed"), ""))


async def listeners_are_reached_where_they_say(up: Up) -> None:
    assert told(up, "secure") == "Secret default/shop not found"
    authority, folder = Authority(), up.data
    pair = authority.pair("shop.example")
    for name, text in (("ca", authority.pem), ("crt", pair.certificate), ("key", pair.key)):
        (folder / f"shop.{name}").write_bytes(text)
    up.shell(f"kubectl create secret tls shop --cert={folder}/shop.crt --key={folder}/shop.key")
    for name in ("web", "more", "secure"):
        await eventually(lambda name=name: told(up, name).startswith("open at "), 30, f"listener {name} is open")
    assert told(up, "web") == f"open at {up.gateway.removeprefix('http://')}"
    more = told(up, "more").removeprefix("open at ")
    assert "version: base" in up.shell(f"curl -s {more}").stdout
    address, _, port = told(up, "secure").removeprefix("open at ").partition(":")
    asked = f"curl -s --cacert {folder}/shop.ca --resolve shop.example:{port}:{address} https://shop.example:{port}/"
    assert "version: base" in up.shell(asked).stdout
    assert up.get("svc", "-n", "istio-system", "front-default-istio")["spec"]["ports"][0]["port"] == 8888


async def test_a_release_through_an_httproute_is_seen_by_dyed_requests_alone(up: Up) -> None:
    path = up.data / "routed.yaml"
    path.write_text(ROUTED)
    apps = up.data / "apps.yaml"
    documents = yaml.safe_load_all((EXAMPLES / "01-apps.yaml").read_text())
    apps.write_text(yaml.safe_dump_all(each for each in documents if "mocka" in each["metadata"]["name"]))
    up.shell(f"kubectl apply -f {apps} -f {path}")
    up.shell("kubectl wait gtw/front --for=condition=Programmed --timeout=30s")
    await eventually(lambda: "version: base" in answers(up), 30, "base answers through the HTTPRoute")
    await listeners_are_reached_where_they_say(up)
    rules = up.get("httproute", "mocka")["spec"]["rules"]

    up.shell("kubectl set env deploy/mocka-base version=canary")
    await eventually(lambda: state(up) == "StepPaused", 60, "the release pauses")
    routing = condition(up.get("trafficrouting", "mocka"), "RoutesConfirmed") or {}
    assert routing.get("reason") == "ProxiesAcknowledged", routing
    for _ in range(10):
        assert "version: base" in answers(up)
        assert "version: canary" in answers(up, "my-request-id:canary")
    assert "TrafficRouting mocka keeps its routes in HTTPRoute mocka" in up.shell(f"kubectl apply -f {path}").stderr
    assert "version: canary" in answers(up, "my-request-id:canary")
    assert "canary" in up.shell("graylane explain --header my-request-id=canary").stdout
    parents = dig(up.get("httproute", "mocka"), "status", "parents", default=[])
    told = {each["type"]: each["status"] for parent in parents for each in parent["conditions"]}
    assert told == {"Accepted": "True", "ResolvedRefs": "True", "Reconciled": "True"}

    up.shell("graylane abort mocka --wait")
    assert up.get("httproute", "mocka")["spec"]["rules"] == rules
    assert "version: base" in answers(up, "my-request-id:canary")

    up.shell("kubectl set env deploy/mocka-base version=promoted")
    await eventually(lambda: state(up) == "StepPaused", 60, "the next release pauses")
    assert "version: base" in answers(up)
    assert "version: promoted" in answers(up, "my-request-id:canary")
    promotion = asyncio.create_task(asyncio.to_thread(up.shell, "graylane approve mocka --wait"))
    while not promotion.done():
        assert "version: promoted" in await asyncio.to_thread(answers, up, "my-request-id:canary")
        assert "version: " in await asyncio.to_thread(answers, up)
    await promotion
    assert "version: promoted" in answers(up)
    assert "version: promoted" in answers(up, "my-request-id:canary")
    assert up.get("httproute", "mocka")["spec"]["rules"] == rules
    deployments = [each["metadata"]["name"] for each in up.get("deploy")["items"]]
    assert [name for name in deployments if name.startswith("mocka")] == ["mocka-base"]
    up.shell("kubectl delete httproute mocka")
    await eventually(lambda: answers(up) == "", 30, "nobody answers any more")
    assert up.get("vs")["items"] == []
