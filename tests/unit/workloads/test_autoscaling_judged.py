"""Sizes as Kubernetes' own code gives them: cases drawn by chance, answered by the functions of its controller.

The golden files hold what `replica_calculator.go` and `horizontal.go` of Kubernetes 1.34 answered, one line to a case,
in the order in which `proposals` and `walks` draw them. Of 20,000 of each kind none was answered otherwise by ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from graylane.cluster.workloads.autoscaling import pace
from graylane.cluster.workloads.autoscaling.figures import CPU, MEMORY, Figure, Unknown, milli, quantity, requests
from graylane.cluster.workloads.autoscaling.proposal import Average, Scene, Tolerance, Utilization, propose
from graylane.model.meta import Condition, Obj, format_time

GOLDEN = Path(__file__).parents[2] / "golden" / "autoscaling"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUESTS = {CPU: ["100m", "250m", "1", "50m"], MEMORY: ["64Mi", "100Mi", "1Gi"]}
USES = {
    CPU: [0, 20, 45, 50, 55, 60, 100, 130, 300],
    MEMORY: [milli(f"{each}Mi") for each in (10, 64, 70, 100, 110, 300)],
}
AVERAGES = {CPU: [20, 50, 60, 100], MEMORY: [milli(f"{each}Mi") for each in (64, 100)]}


@dataclass(frozen=True)
class Case:
    """`percent` of what is asked for, else `average` for each pod."""

    scene: Scene
    percent: int = 0
    average: int = 0


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def proposals(count: int) -> Iterator[Case]:
    chance = random.Random(1)
    for _ in range(count):
        resource, old = chance.choice([CPU, CPU, MEMORY]), chance.random() < 0.6
        pods = [_pod(chance, f"p{number}", resource, old) for number in range(chance.randint(1, 7))]
        figures = {
            pod["metadata"]["name"]: Figure(
                chance.choice(USES[resource]), ago(chance.choice([0, 2, 10])), timedelta(seconds=chance.choice([5, 15]))
            )
            for pod in pods
            if chance.random() < 0.88
        }
        wanted = chance.choice([len(pods), len(pods), chance.randint(1, 9)])
        scene = Scene(pods, figures, resource, wanted, NOW)
        if chance.random() < 0.6:
            yield Case(scene, percent=chance.choice([20, 50, 80, 100, 150]))
        else:
            yield Case(scene, average=chance.choice(AVERAGES[resource]))


def _pod(chance: random.Random, name: str, resource: str, old: bool) -> Obj:
    age = chance.choice([20, 100, 280, 400, 4000])
    since = min(chance.choice([5, 12, 18, 60, max(age - 10, 1), max(age - 40, 1)]), age)
    if old and chance.random() < 0.8:
        age, since = 4000, 3900
    ready = {"type": "Ready", "status": chance.choice(["True"] * 4 + ["False"])}
    ready["lastTransitionTime"] = format_time(ago(since))
    pod: Obj = {"metadata": {"name": name}, "spec": {"containers": [{"name": "app"}]}}
    pod["status"] = {
        "phase": chance.choice(["Running"] * 8 + ["Pending", "Failed"]),
        "startTime": format_time(ago(age)),
        "conditions": [ready] if chance.random() < 0.95 else [],
    }
    if chance.random() < 0.05:
        pod["metadata"]["deletionTimestamp"] = format_time(NOW)
    if chance.random() < 0.97:
        pod["spec"]["containers"][0]["resources"] = {"requests": {resource: chance.choice(REQUESTS[resource])}}
    return pod


def proposed(case: Case) -> list[Any]:
    """The size and what the status says is used; or why there is none."""
    resource = case.scene.resource

    def aim() -> Utilization | Average:
        if case.percent:
            return Utilization(resource, case.percent, requests(case.scene.pods, resource))
        return Average(resource, case.average)

    try:
        replicas, current = propose(case.scene, aim, Tolerance())
    except Unknown as unknown:
        return [str(unknown)]
    return [replicas, *current.values()]


@dataclass(frozen=True)
class Walk:
    """An autoscaler, the size it finds, and what metrics propose, look after look."""

    spec: Obj
    replicas: int
    looks: tuple[tuple[datetime, int], ...]


def walks(count: int) -> Iterator[Walk]:
    chance = random.Random(2)
    for _ in range(count):
        least = chance.randint(1, 3)
        most = least + chance.randint(0, 20)
        spec: Obj = {"minReplicas": least, "maxReplicas": most}
        if chance.random() < 0.7:
            spec["behavior"] = {"scaleUp": _rules(chance), "scaleDown": _rules(chance)}
            if chance.random() < 0.3:
                del spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
        level, at, looks = chance.randint(least, most), NOW, []
        for _ in range(chance.randint(5, 40)):
            level = chance.randint(0, most + 6) if chance.random() < 0.3 else level
            looks.append((at, level))
            at += timedelta(seconds=chance.choice([15, 15, 15, 15, 7, 40]))
        yield Walk(spec, chance.randint(least, most), tuple(looks))


def _rules(chance: random.Random) -> Obj:
    policies = [
        {
            "type": chance.choice(["Pods", "Percent"]),
            "value": chance.choice([1, 2, 4, 10, 50, 100]),
            "periodSeconds": chance.choice([15, 30, 60, 120]),
        }
        for _ in range(chance.randint(1, 3))
    ]
    window, select = chance.choice([0, 0, 30, 60, 300]), chance.choice(["Max", "Max", "Min", "Disabled"])
    return {"stabilizationWindowSeconds": window, "selectPolicy": select, "policies": policies}


def walked(walk: Walk) -> list[list[Any]]:
    """The size after each look, and the reasons that are given for it."""
    found, current = [], walk.replicas
    memory = pace.Memory((pace.Note(walk.looks[0][0], current),))
    behavior = walk.spec.get("behavior")
    for at, level in walk.looks:
        wish = pace.Wish(level, current, walk.spec["minReplicas"], walk.spec["maxReplicas"], at)
        verdict = pace.follow(wish, behavior, memory.settled(current, behavior))
        found.append([verdict.replicas, *map(_word, verdict.conditions)])
        asked = pace.Asked(at, current, verdict.replicas) if verdict.replicas != current else None
        memory, current = replace(verdict.memory, asked=asked), verdict.replicas
    return found


def _word(condition: Condition) -> str:
    return f"{'' if condition.status == 'True' else '!'}{condition.reason}"


def test_what_a_metric_asks_for_is_what_kubernetes_makes_of_it() -> None:
    lines = (GOLDEN / "proposals.txt").read_text().splitlines()
    assert [proposed(case) for case in proposals(len(lines))] == [json.loads(line) for line in lines]
    assert len(lines) == 400


def test_how_fast_it_is_followed_is_how_kubernetes_does() -> None:
    lines = (GOLDEN / "walks.txt").read_text().splitlines()
    assert [walked(walk) for walk in walks(len(lines))] == [json.loads(line) for line in lines]
    assert len(lines) == 60


def test_quantities_are_written_in_their_shortest_form() -> None:
    assert [quantity(CPU, each) for each in (0, 43, 1000, 1500)] == ["0", "43m", "1", "1500m"]
    sizes = [quantity(MEMORY, each * 1000) for each in (0, 1000, 1024, 20 * 1024 * 1024, 3 << 30)]
    assert sizes == ["0", "1000", "1Ki", "20Mi", "3Gi"]
    assert quantity(MEMORY, 1500) == "1500m"
