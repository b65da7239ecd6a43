"""Releases through an HTTPRoute, on live traffic: the lane opens, stays exact, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from graylane.model.meta import condition, dig
from graylane.testing.waiting import eventually

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
spec: {gatewayClassName: istio, listeners: [{name: web, port: 80, protocol: HTTP}]}
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


async def test_a_release_through_an_httproute_is_seen_by_dyed_requests_alone(up: Up) -> None:
    path = up.data / "routed.yaml"
    path.write_text(ROUTED)
    apps = up.data / "apps.yaml"
    documents = yaml.safe_load_all((EXAMPLES / "01-apps.yaml").read_text())
    apps.write_text(yaml.safe_dump_all(each for each in documents if "mocka" in each["metadata"]["name"]))
    up.shell(f"kubectl apply -f {apps} -f {path}")
    up.shell("kubectl wait gtw/front --for=condition=Programmed --timeout=30s")
    await eventually(lambda: "version: base" in answers(up), 30, "base answers through the HTTPRoute")
    rules = up.get("httproute", "mocka")["spec"]["rules"]

    up.shell("kubectl set env deploy/mocka-base version=canary")
    await eventually(lambda: state(up) == "StepPaused", 60, "the release pauses")
    routing = condition(up.get("trafficrouting", "mocka"), "RoutesConfirmed") or {}
    assert routing.get("reason") == "ProxiesAcknowledged", routing
    for _ in range(10):
        assert "version: base" in answers(up)
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
