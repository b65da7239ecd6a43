"""kopf: an operator in a process of its own reacts to a kind that a definition brought."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from graylane.testing.api.objects import widget
from tests.e2e.clients.cluster import INSTALL, Cluster

pytest.importorskip("kopf", reason=INSTALL)

pytestmark = pytest.mark.e2e

DEADLINE = 30.0

OPERATOR = """
import kopf


@kopf.on.create("{group}", "v1", "widgets")
def created(spec, body, patch, **_):
    patch.status["phase"] = f"size {{spec['size']}}"
    kopf.info(body, reason="Seen", message="a widget")


@kopf.on.field("{group}", "v1", "widgets", field="spec.size")
def resized(old, new, patch, **_):
    if old is not None:
        patch.status["phase"] = f"size {{old}} to {{new}}"


@kopf.on.delete("{group}", "v1", "widgets")
def deleted(name, **_):
    print("deleted", name, flush=True)


@kopf.on.event("configmaps", labels={{"watched": "yes"}})
def touched(event, name, **_):
    print("event", event["type"], name, flush=True)
"""


@contextlib.contextmanager
def operating(cluster: Cluster, group: str, ns: str, directory: Path) -> Iterator[Callable[[], str]]:
    """The operator runs until the block is left; gives what it printed so far."""
    script, log = directory / "operator.py", directory / "operator.log"
    script.write_text(OPERATOR.format(group=group))
    command = [sys.executable, "-m", "kopf", "run", "--namespace", ns, "--standalone", "--verbose", str(script)]
    environment = {**os.environ, "KUBECONFIG": cluster.kubeconfig}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        yield log.read_text
    finally:
        process.terminate()
        process.wait(DEADLINE)


def until(condition: Callable[[], Any], log: Callable[[], str]) -> Any:
    """What the condition gives once it is truthy."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(log())


def test_an_operator_follows_the_life_of_its_objects(cluster: Cluster, group: str, ns: str, tmp_path: Path) -> None:
    widgets = f"/apis/{group}/v1/namespaces/{ns}/widgets"

    def phase() -> str:
        return str(cluster.get(f"{widgets}/a").get("status", {}).get("phase", ""))

    def gone() -> bool:
        try:
            cluster.get(f"{widgets}/a")
        except HTTPError as error:
            return error.code == 404
        return False

    cluster.post(widgets, widget("a", f"{group}/v1"))
    with operating(cluster, group, ns, tmp_path) as log:
        until(lambda: phase() == "size 1", log)
        assert cluster.get(f"{widgets}/a")["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
        cluster.merge(f"{widgets}/a", {"spec": {"size": 4}})  # a PUT would race with what kopf still writes
        until(lambda: phase() == "size 1 to 4", log)
        labels = {"name": "c", "labels": {"watched": "yes"}}
        cluster.post(f"/api/v1/namespaces/{ns}/configmaps", {"metadata": labels})
        until(lambda: "event ADDED c" in log(), log)
        events = f"/api/v1/namespaces/{ns}/events"
        until(lambda: "Seen" in {event["reason"] for event in cluster.get(events)["items"]}, log)
        cluster.send("DELETE", f"{widgets}/a")
        until(gone, log)
        assert "deleted a" in log()
        assert "Traceback" not in log()
