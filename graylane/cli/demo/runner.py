"""Runs the story on a fresh embedded cluster and tells how it ended.

Shell. In: options of `graylane demo`. Out: an exit code. The cluster is a process of its own, as `graylane up` is, on
free ports and an address of its own; it ends with us, however we end, unless --keep is given.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path
from shlex import quote

from graylane.cli.background import start, stop
from graylane.cli.datadir import DataDir, Running
from graylane.cli.demo.asking import RATE, Asker, Traffic
from graylane.cli.demo.checks import Check
from graylane.cli.demo.diffs import diff
from graylane.cli.demo.judging import Verdict, judge
from graylane.cli.demo.narration import Narrator, Row
from graylane.cli.demo.recorder import Recorder
from graylane.cli.demo.stage import Stage
from graylane.cli.demo.story import FIRST_WITH_TRAFFIC, LAST_WITH_TRAFFIC, STEPS, Step
from graylane.cli.demo.timeline import Timeline
from graylane.cli.exits import Exit, line_of
from graylane.client import ApiClient, load_kubeconfig
from graylane.cluster.processes import holding
from graylane.errors import GraylaneError, UserError
from graylane.kit.loop import Manager, running

_STEPS_IN_ALL = len(STEPS) + 1
_LEAST_RATE = 50.0
_PATIENCE_SECONDS = 30.0


def run(data: Path | None, keep: bool) -> int:
    """A data directory that is named must be new: the story begins with nothing."""
    if data is not None and data.exists() and any(data.iterdir()):
        raise UserError(f"{data} is not empty; the demo needs a fresh directory, name another with --data")
    place = DataDir((data or Path(tempfile.mkdtemp(prefix="graylane-demo-"))).absolute())
    narrator = Narrator()
    reader, writer = os.pipe()  # the cluster stops when our end closes, even if we are killed
    outcome = Exit.FAILED
    try:
        cluster = _start(place, narrator, None if keep else reader)
        outcome = Exit.DONE if asyncio.run(_tell(cluster, narrator)) else Exit.FAILED
    except KeyboardInterrupt:
        outcome = Exit.INTERRUPTED
    finally:
        _clean_up(place, keep=keep, failed=outcome is Exit.FAILED, narrator=narrator)
        os.close(reader)
        os.close(writer)
    return outcome


def _start(place: DataDir, narrator: Narrator, lifeline: int | None) -> Running:
    narrator.say(f"A fresh embedded cluster in {place.path}")
    began = time.monotonic()
    arguments = [f"--node-ip={_node_ip()}", "--api-port=0", "--gateway-port=0"]
    cluster = start(place, arguments, narrator.progress, lifeline)
    narrator.say(f"ready after {time.monotonic() - began:.1f} s")
    narrator.say(f"  KUBECONFIG={cluster.kubeconfig}")
    narrator.say(f"  GATEWAY={cluster.gateway}")
    return cluster


def _node_ip() -> str:
    """An address of our own, so that a cluster on 127.0.0.1 is not in the way; pods live in 127.16 to 127.239."""
    return f"127.{random.randint(240, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"


def _clean_up(place: DataDir, *, keep: bool, failed: bool, narrator: Narrator) -> None:
    """A run that failed leaves its log behind; a kept one everything."""
    process = place.holder()
    if keep:
        if process is not None:
            narrator.say(f"The cluster goes on; stop it with `graylane down --data {quote(str(place.path))} --purge`")
        return
    if process is not None:
        stop(process, _PATIENCE_SECONDS, signal.SIGTERM)
    holding.end_left(place.path)  # of a cluster that was killed
    if failed:
        narrator.say(f"The cluster's log is in {place.log}")
    else:
        shutil.rmtree(place.path, ignore_errors=True)


async def _tell(cluster: Running, narrator: Narrator) -> bool:
    """Every step in order; whether all twelve rows held."""
    timeline, began = Timeline(), time.monotonic()
    async with ApiClient(load_kubeconfig(Path(cluster.kubeconfig))) as client, Asker(cluster.gateway) as asker:
        manager = Manager(client)
        recorder = Recorder(manager, timeline)
        async with running(manager), Traffic(asker) as traffic:
            rows = await _steps(Stage(client, recorder, asker, traffic, timeline, narrator))
            await traffic.stop()
    rows.append(_traffic_row(judge(traffic.answers, timeline), narrator))
    narrator.table(rows)
    held = sum(row.held for row in rows)
    narrator.say(f"\n{held} of {_STEPS_IN_ALL} rows held, after {time.monotonic() - began:.1f} s")
    return held == _STEPS_IN_ALL


async def _steps(stage: Stage) -> list[Row]:
    """A step whose checks fail does not end the story; one that cannot be finished does."""
    rows: list[Row] = []
    for step in STEPS:
        if step.number == FIRST_WITH_TRAFFIC:
            stage.traffic.start()
        row = await _step(stage, step)
        rows.append(row)
        if step.number == LAST_WITH_TRAFFIC:
            await stage.traffic.stop()
        if any(check.what == _UNFINISHED for check in row.checks):
            break
    return rows + [Row(step.number, step.title, ()) for step in STEPS[len(rows) :]]


_UNFINISHED = "the step ends"


async def _step(stage: Stage, step: Step) -> Row:
    stage.narrator.heading(step.number, _STEPS_IN_ALL, step.title)
    for command in step.asks:
        stage.narrator.asked(command)
    stage.start = time.monotonic()
    try:
        found = await step.run(stage)
    except (GraylaneError, TimeoutError) as error:
        found = [Check(_UNFINISHED, False, line_of(error))]
    _show_diffs(stage)
    for check in found:
        stage.narrator.seen(check)
    return Row(step.number, step.title, tuple(found))


def _show_diffs(stage: Stage) -> None:
    for moment in stage.recorder.routing_changes(stage.start):
        if lines := diff(moment.old, moment.new):
            stage.narrator.diff(moment.time - stage.start, lines)


def _traffic_row(verdict: Verdict, narrator: Narrator) -> Row:
    narrator.heading(_STEPS_IN_ALL, _STEPS_IN_ALL, "What the background client saw in steps 3 to 11")
    on_canary = f"{verdict.dyed} dyed ({verdict.dyed_on_canary} reached a canary)"
    found = (
        Check("0 failed", verdict.total > 0 and not verdict.failed, f"{verdict.failed} of {verdict.total} requests"),
        Check("0 misrouted", verdict.total > 0 and not verdict.misrouted, f"{verdict.misrouted} of {verdict.total}"),
        Check(f"at least {_LEAST_RATE:g} requests/s", verdict.rate >= _LEAST_RATE, f"{verdict.rate:.1f} of {RATE:g}/s"),
        Check("dyed and plain", verdict.dyed_on_canary > 0 < verdict.plain, f"{verdict.plain} plain, {on_canary}"),
    )
    for check in found:
        narrator.seen(check)
    for complaint in verdict.complaints:
        narrator.say(f"    {complaint}")
    return Row(_STEPS_IN_ALL, "Background traffic", found)
