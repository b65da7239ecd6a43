"""A v1beta1 Rollout with weights of its own, driven by kubectl under constant traffic through a real Envoy."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from graylane.testing.sampling import likely
from graylane.testing.waiting import eventually

from .rig import EXAMPLES, Up, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

MANIFESTS = """
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: vs-mockb}
spec: {hosts: [mockb], http: [{route: [{destination: {host: mockb}}]}]}
---
apiVersion: rollouts.kruise.io/v1beta1
kind: Rollout
metadata: {name: weighted}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: mockb-base}
  strategy:
    canary:
      enableExtraWorkloadForCanary: true
      steps: [{replicas: 1, traffic: "20%", pause: {}}, {replicas: 1, traffic: "60%", pause: {}}]
      trafficRoutings:
      - service: mockb
        customNetworkRefs: [{apiVersion: networking.istio.io/v1beta1, kind: VirtualService, name: vs-mockb}]
"""
SELECTOR = "kubectl get service mockb -o jsonpath='{.spec.selector}'"
APPLY_SERVICE = (
    "kubectl apply --server-side --force-conflicts --field-manager=gitops -f examples/end-to-end-canary/01-apps.yaml "
    "--selector service=mockb"
)
ROUTES = "kubectl get vs vs-mockb -o jsonpath='{.spec.http[0].route}'"
PLAIN = '[{"destination":{"host":"mockb"}}]'


@dataclass
class Traffic:
    """Who answered for mockb, since the last `reset`; and every answer that was none."""

    served: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    total: int = 0

    def note(self, status: int, text: str) -> None:
        self.total += 1
        version = text.partition("mockb(version: ")[2].partition(",")[0]
        if status != 200 or not version:
            self.failed.append(f"{status} {text[:80]}")
        self.served[version] += 1


@contextlib.asynccontextmanager
async def traffic(url: str) -> AsyncIterator[Traffic]:
    found = Traffic()

    async def ask(session: aiohttp.ClientSession) -> None:
        while True:
            try:
                async with session.get(url) as answer:
                    found.note(answer.status, await answer.text())
            except aiohttp.ClientError as error:
                found.failed.append(repr(error))

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(ask(session)) for _ in range(2)]
        yield found
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    files = ("01-apps.yaml", "02-gateway.yaml", "03-virtual-services.yaml", "04-destination-rules.yaml")
    with started(tmp_path / "data", *(part for file in files for part in ("-f", str(EXAMPLES / file)))) as rig:
        yield rig


async def test_rows_97_and_98_weights_grow_stable_is_promoted_and_nobody_notices(up: Up) -> None:
    up.shell(f"kubectl apply -f - <<'END'\n{MANIFESTS}\nEND")
    await eventually(lambda: is_at(up, "Healthy", "2", "Completed"), 30, "at rest")
    await eventually(lambda: "mockb" in up.curl(), 30, "the chain answers")
    async with traffic(up.gateway) as seen:
        await asyncio.to_thread(up.shell, "kubectl set env deploy/mockb-base version=next")
        await eventually(lambda: is_at(up, "Progressing", "1", "StepPaused"), 60, "paused")
        assert "pod-template-hash" in up.shell(SELECTOR).stdout
        assert '"weight":20' in up.shell(ROUTES).stdout
        applied = await asyncio.to_thread(up.shell, APPLY_SERVICE)
        assert "Rollout weighted keeps Service mockb pinned to the stable version" in applied.stderr
        assert "pod-template-hash" in up.shell(SELECTOR).stdout, "an atomic map: server-side apply sets it as a whole"
        shown = up.shell("graylane status").stdout
        assert "canary 20%" in shown
        assert "base → next" in shown
        await share_is(seen, 0.2)
        await asyncio.to_thread(up.shell, APPROVE)
        await eventually(lambda: is_at(up, "Progressing", "2", "StepPaused"), 60, "second step")
        await share_is(seen, 0.6)
        await asyncio.to_thread(up.shell, APPROVE)
        await eventually(lambda: is_at(up, "Healthy", "2", "Completed"), 60, "done")
        await share_is(seen, 1)
    assert seen.failed == []
    assert up.shell(SELECTOR).stdout == '{"app":"mockb"}'
    assert up.shell(ROUTES).stdout == PLAIN
    assert "mockb-canary" not in up.shell("kubectl get service").stdout


APPROVE = (
    "kubectl patch rollouts.rollouts.kruise.io weighted --subresource=status --type=merge "
    '-p \'{"status":{"canaryStatus":{"currentStepState":"StepReady"}}}\''
)


async def share_is(seen: Traffic, wanted: float) -> None:
    """As often as it may be drawn."""
    seen.served.clear()
    await eventually(lambda: seen.served.total() >= 400, 60, "400 answers")
    assert seen.served["next"] in likely(seen.served.total(), wanted)


async def is_at(up: Up, phase: str, step: str, state: str) -> bool:
    """Asked beside the traffic, not in its place."""
    fields = "{.status.phase} {.status.currentStepIndex} {.status.currentStepState}"
    line = f"kubectl get rollouts.v1beta1.rollouts.kruise.io weighted -o jsonpath='{fields}'"
    return (await asyncio.to_thread(up.shell, line)).stdout == f"{phase} {step} {state}"
