"""Controllers that die in the middle of a rollout, again and again, and what is there when they are left alone."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from graylane.client import ApiClient
from graylane.kit import Manager
from graylane.model.kinds import DEPLOYMENT, ENDPOINT_SLICE, POD, REPLICA_SET
from graylane.model.kinds import SERVICE as SERVICES
from graylane.model.meta import Key, Obj, is_deleting, name_of
from graylane.testing.waiting import eventually

from .test_workloads_kubectl import NS, SERVICE, deployment
from .workloads_rig import served, working

pytestmark = pytest.mark.e2e

REPLICAS = 6
CRASHES = 12


async def test_a_rollout_goes_on_from_what_the_api_holds_after_every_crash(tmp_path: Path) -> None:
    dice = random.Random(7)
    async with served(tmp_path) as client:
        await client.create(DEPLOYMENT, deployment(REPLICAS))
        await client.create(SERVICES, SERVICE)
        for _ in range(CRASHES):
            await run_for_some_changes(tmp_path, client, dice.randint(1, 25))
            if dice.random() < 0.3:
                await change_template(client, str(dice.random()))
        await change_template(client, "last")
        async with working(client, tmp_path) as (manager, _):
            await eventually(lambda: is_complete(manager))
            await eventually(lambda: only_the_last_is_left(manager))


async def run_for_some_changes(directory: Path, client: ApiClient, changes: int) -> None:
    """Work until the controllers saw that many changes of pods and sets, then drop everything."""
    async with working(client, directory) as (manager, _):
        left = asyncio.Semaphore(0)
        for kind in (POD, REPLICA_SET):
            manager.on_change(kind, lambda _: left.release())
        try:
            async with asyncio.timeout(1):
                for _ in range(changes):
                    await left.acquire()
        except TimeoutError:
            return  # there was nothing more to do


async def change_template(client: ApiClient, value: str) -> None:
    template = {"metadata": {"annotations": {"release": value}}}
    await client.patch(DEPLOYMENT, "web", NS, {"spec": {"template": template}})


def is_complete(manager: Manager) -> bool:
    found = manager.view().get(DEPLOYMENT, *Key(NS, "web"))
    assert found is not None
    status = found["status"]
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [REPLICAS] * 3 and status["observedGeneration"] == found["metadata"]["generation"]


def only_the_last_is_left(manager: Manager) -> bool:
    pods = [pod for pod in manager.view().list(POD, NS) if not is_deleting(pod)]
    assert {_release(pod) for pod in pods} == {"last"}
    assert len(pods) == REPLICAS
    [listed] = manager.view().list(ENDPOINT_SLICE, NS)
    return {endpoint["targetRef"]["name"] for endpoint in listed["endpoints"]} == {name_of(pod) for pod in pods}


def _release(pod: Obj) -> str:
    return str(pod["metadata"]["annotations"]["release"])
