"""While releases of two chains walk at random, every request is answered, and by whom it may be.

All of it: GRAYLANE_WALKS=200 GRAYLANE_WALK_REQUESTS=100000 (`make nightly`); `make test` takes a few walks.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from graylane.cli.apply import Applier
from graylane.cli.demo.answers import Answer
from graylane.cli.demo.asking import DYE, Asker
from graylane.cli.demo.judging import _fault, judge
from graylane.cli.demo.recorder import Moment, Recorder
from graylane.cli.demo.timeline import Timeline
from graylane.cli.manifests import Manifest
from graylane.client import ApiClient, load_kubeconfig
from graylane.kit.loop import Manager, running
from graylane.model.kinds import DEPLOYMENT, DESTINATION_RULE, POD, ROLLOUT, VIRTUAL_SERVICE
from graylane.model.meta import dig, is_deleting, is_true
from graylane.testing.chains import gateway

from .rig import Up
from .walks import CHAINS, NAMESPACE, Walker

WALKS = int(os.environ.get("GRAYLANE_WALKS", "10"))
REQUESTS = int(os.environ.get("GRAYLANE_WALK_REQUESTS", "1500"))
SEED = os.environ.get("GRAYLANE_WALK_SEED", "1")
RATE, MOST_FLYING = 200.0, 50
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60 + 20 * WALKS + REQUESTS / 50)]

Record = Callable[[str, object], None]


class Steady:
    """200 requests a second, dyed and plain in turn, to both chains in turn, on kept and new connections in turn."""

    def __init__(self, asker: Asker) -> None:
        self.answers: list[Answer] = []
        self._asker = asker
        self._flying: set[asyncio.Task[None]] = set()

    async def run(self, walking: asyncio.Task[None]) -> None:
        """Open loop, for as long as somebody walks; every request that left is waited for.

        A machine that is too slow for the rate is asked less often, not flooded: a queue would only measure itself.
        """
        start, number = time.monotonic(), 0
        while not walking.done():
            await asyncio.sleep(max(0.0, start + number / RATE - time.monotonic()))
            while len(self._flying) >= MOST_FLYING:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
            headers = {"Host": CHAINS[number // 2 % 2].host} | (DYE if number % 2 else {})
            task = asyncio.create_task(self._one(headers, fresh=number // 4 % 2 == 0))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
            number += 1
        await asyncio.gather(*self._flying)

    async def _one(self, headers: dict[str, str], *, fresh: bool) -> None:
        self.answers.append(await self._asker.ask(headers, fresh=fresh))


async def test_no_request_fails_and_none_is_misrouted_while_releases_walk_at_random(
    up: Up, record_property: Record
) -> None:
    timeline = Timeline()
    async with ApiClient(load_kubeconfig(up.data / "kubeconfig")) as client, Asker(up.gateway) as asker:
        objects = [gateway(), *(obj for chain in CHAINS for obj in chain.manifests())]
        await Applier(client, NAMESPACE).apply([Manifest("chains", obj) for obj in objects], lambda _: None)
        manager = Manager(client)
        recorder = Recorder(manager, timeline)
        async with running(manager):
            walkers = [
                Walker(service, client, recorder, timeline, random.Random(f"{SEED} {service}"))
                for chain in CHAINS
                for service in chain.services
            ]
            await recorder.until(lambda view: all(walker._is_at_rest(view) for walker in walkers), 60, "at rest")
            await answering(asker)
            traffic = Steady(asker)
            walking = asyncio.create_task(walk_all(walkers, traffic.answers))
            await traffic.run(walking)
            await walking
            await asyncio.gather(*(back_to_its_own(client, walker) for walker in walkers))
    verdict = judge(traffic.answers, timeline)
    taken = sum((walker.taken for walker in walkers), Counter[str]())
    walks = sum(walker.walks for walker in walkers)
    print(f"\n{walks} walks, seed {SEED}: {dict(taken)}")
    print(f"{verdict.total:,} requests at {verdict.rate:.0f}/s, {verdict.dyed_on_canary:,} reached a canary")
    if not verdict.clean:
        tell_how_it_came(traffic.answers, timeline, walkers, recorder)
    assert verdict.clean, verdict.complaints
    assert strangers(traffic.answers, walkers) == []
    assert verdict.dyed_on_canary > 0
    record_property("proof: random walks under traffic", walks)
    record_property("proof: requests during them, 0 failed and 0 misrouted", verdict.total)


def tell_how_it_came(answers: list[Answer], timeline: Timeline, walkers: list[Walker], recorder: Recorder) -> None:
    """The first faults of each stretch of trouble, among what was done and what changed around them."""
    faults = [
        (answer, fault) for answer in sorted(answers, key=lambda a: a.sent) if (fault := _fault(answer, timeline))
    ]
    until = 0.0
    for answer, fault in faults:
        if answer.sent < until:
            continue
        until = answer.sent + 2
        lines = [
            (answer.sent, f"  >>> {fault}"),
            (answer.done, f"  <<< answered {answer.status} {answer.body} {answer.error}"),
        ]
        lines += [(at, f"{walker.service}: {act}") for walker in walkers for at, act in walker.diary]
        lines += [(moment.time, told(moment)) for moment in recorder.moments]
        near = [line for line in sorted(lines) if answer.sent - 1.5 < line[0] < answer.done + 0.5]
        count = sum(answer.sent <= other.sent < until for other, _ in faults)
        print(f"\n{count} faults within 2 s:", *(f"{at - answer.sent:+.3f} {text}" for at, text in near), sep="\n")


def told(moment: Moment) -> str:
    status = dig(moment.new, "status", default={})
    state = dig(status, "canaryStatus", "currentStepState", default="")
    words = [str(status.get("phase", "")), state, str(status.get("message", ""))[:90], str(dig(status, "podIP") or "")]
    if moment.kind in (VIRTUAL_SERVICE, DESTINATION_RULE):
        words.append("with canary" if "canary" in str(dig(moment.new, "spec")) else "without canary")
        words += [str(entry.get("message")) for entry in status.get("conditions", [])]
    if moment.kind == POD:
        words += [str(is_true(moment.new or {}, "Ready")), "deleting" if is_deleting(moment.new or {}) else ""]
    return f"{moment.kind.kind} {moment.key.name}: " + " ".join(filter(None, words)) + ("" if moment.new else " gone")


async def walk_all(walkers: list[Walker], answers: list[Answer]) -> None:
    """Services walk beside each other, until there were walks and requests enough."""
    begun = itertools.count()

    async def some(walker: Walker) -> None:
        while next(begun) < WALKS or len(answers) < REQUESTS:
            await walker.walk()

    async with asyncio.TaskGroup() as walks:
        for walker in walkers:
            walks.create_task(some(walker))


async def answering(asker: Asker) -> None:
    """Both chains answer from end to end before anything is counted."""
    async with asyncio.timeout(30):
        for chain in CHAINS:
            while len((await asker.ask({"Host": chain.host}, fresh=True)).hops) < chain.length:
                pass


def strangers(answers: list[Answer], walkers: list[Walker]) -> list[str]:
    """Plain requests that met a version which nobody had approved."""
    approved = {walker.service: walker.approved for walker in walkers}
    hops = [hop for answer in answers if answer.ok and not answer.dyed for hop in answer.hops]
    return [f"{hop.app} {hop.version}" for hop in hops if hop.version not in approved[hop.app]]


async def back_to_its_own(client: ApiClient, walker: Walker) -> None:
    """Nothing of any release is left in what the user wrote."""
    deployment = await client.get(DEPLOYMENT, walker.service, NAMESPACE)
    rollout = await client.get(ROLLOUT, walker.service, NAMESPACE)
    assert not dig(deployment, "spec", "paused", default=False)
    assert dig(rollout, "status", "phase") == "Healthy"
