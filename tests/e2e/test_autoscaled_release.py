"""In the middle of a release an autoscaler scales the service: a real pod that works, requests that must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import yaml

from graylane.model.meta import Obj, dig
from graylane.testing.waiting import eventually

from .rig import EXAMPLES, Up, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# A few hundredths of a core, many times what it asks for: how much more does not matter, and neither does this machine.
WORK = "while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 0.1; done"
WORKER = {
    "name": "worker",
    "image": "busybox",
    "command": ["sh", "-c", WORK],
    "resources": {"requests": {"cpu": "2m"}},
}
AUTOSCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: mocka}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: mocka-base}
  maxReplicas: 3
  metrics:
  - type: ContainerResource
    containerResource: {name: cpu, container: worker, target: {type: Utilization, averageUtilization: 50}}
"""
ABOVE = "cpu container resource utilization (percentage of request) above target"
DYED = {"my-request-id": "canary"}


@dataclass
class Answers:
    """Which version of mocka answered; `failed` is every answer that was none. Judged while the release is `paused`."""

    paused: bool = False
    served: dict[bool, Counter[str]] = field(default_factory=lambda: {True: Counter(), False: Counter()})
    failed: list[str] = field(default_factory=list)

    async def ask(self, session: aiohttp.ClientSession, url: str, dyed: bool) -> None:
        while True:
            before = self.paused
            try:
                async with session.get(url, headers=DYED if dyed else {}) as answer:
                    text = await answer.text()
                    if answer.status != 200:
                        self.failed.append(f"{answer.status} {text[:80]}")
                    elif before and self.paused:
                        self.served[dyed][text.partition("mocka(version: ")[2].partition(",")[0]] += 1
            except aiohttp.ClientError as error:
                self.failed.append(repr(error))
            await asyncio.sleep(0.01)  # a hundred in a second will do


# The longer it took, the more is said of the requests seen; how fast they were is the machine's affair.
MOCKA = r"^mocka +base → next +3/3 +1/1 +base( 100%)? +canary( 100%)? +(ok|slower than base)$"


@contextlib.asynccontextmanager
async def asking(url: str) -> AsyncIterator[Answers]:
    answers = Answers()
    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(answers.ask(session, url, dyed)) for dyed in (True, False)]
        yield answers
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """The scenario, where each pod of mocka works a little beside its service."""
    objects = list(yaml.safe_load_all((EXAMPLES / "01-apps.yaml").read_text()))
    (mocka,) = (each for each in objects if each["metadata"]["name"] == "mocka-base")
    mocka["spec"]["template"]["spec"]["containers"].append(WORKER)
    (tmp_path / "apps.yaml").write_text(yaml.safe_dump_all(objects))
    rest = [str(path) for path in sorted(EXAMPLES.glob("0[2-6]*.yaml"))]
    files = [str(tmp_path / "apps.yaml"), *rest]
    with started(tmp_path / "data", *(part for file in files for part in ("-f", file))) as rig:
        yield rig


async def test_it_scales_a_paused_release_and_goes_on_when_that_is_done(up: Up) -> None:
    await eventually(lambda: phase(up) == "Healthy" and "-> mockb(" in up.curl(), 60, "at rest")
    async with asking(up.gateway) as answers:
        await asyncio.to_thread(up.shell, "kubectl set env deploy/mocka-base -c default version=next")
        await eventually(lambda: state(up) == "StepPaused", 60, "paused")
        answers.paused = True
        await asyncio.to_thread(up.shell, f"kubectl apply -f - <<'END'\n{AUTOSCALER}\nEND")
        await eventually(lambda: size(up, "mocka-base") == (3, 3), 90, "three pods")
        assert state(up) == "StepPaused"
        told = (await asyncio.to_thread(up.shell, "kubectl get hpa --no-headers; kubectl describe hpa mocka")).stdout
        assert re.match(r"mocka +Deployment/mocka-base +cpu: \d+%/50% +1 +3 ", told), told
        assert f"New size: 3; reason: {ABOVE}" in told
        assert "TooManyReplicas" in told
        shown = (await asyncio.to_thread(up.shell, "graylane status")).stdout
        assert re.search(MOCKA, shown, re.MULTILINE), shown
        await eventually(lambda: min(answers.served[dyed].total() for dyed in (True, False)) >= 100, 30, "requests")
        answers.paused = False
        await asyncio.to_thread(up.shell, "graylane approve rollouts-a")
        await eventually(lambda: phase(up) == "Healthy", 90, "done")
        assert size(up, "mocka-base") == (3, 3)
        up.kubectl("patch", "hpa", "mocka", "--type=merge", "-p", '{"spec":{"minReplicas":4,"maxReplicas":4}}')
        await eventually(lambda: size(up, "mocka-base") == (4, 4), 60, "four pods")
    assert answers.failed == []
    assert {dyed: set(served) for dyed, served in answers.served.items()} == {True: {"next"}, False: {"base"}}
    assert "mocka(version: next" in up.curl()


def phase(up: Up) -> str:
    return str(dig(rollout(up), "status", "phase"))


def state(up: Up) -> str:
    return str(dig(rollout(up), "status", "canaryStatus", "currentStepState"))


def rollout(up: Up) -> Obj:
    found: Obj = up.get("rollouts.rollouts.kruise.io", "rollouts-a")
    return found


def size(up: Up, name: str) -> tuple[int, int]:
    """Wanted and ready."""
    found = up.get("deploy", name)
    return found["spec"]["replicas"], dig(found, "status", "readyReplicas", default=0)
