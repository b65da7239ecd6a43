"""Usage is a rate between two looks at counters; looks are taken when somebody asks, and shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import orjson
import pytest

from graylane.cluster.apiserver.metrics.answers import go_duration
from graylane.cluster.apiserver.metrics.meter import Meter
from graylane.cluster.apiserver.metrics.samples import Counter, Sample, base_for, pod_usage, read
from graylane.cluster.apiserver.nodes import Nodes
from graylane.errors import Unavailable
from graylane.model.meta import Key, Obj, format_micro_time

START = datetime(2026, 1, 1, tzinfo=UTC)
WEB = Key("shop", "web")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sample(seconds: float, *, used: float, since: float = 0, **more: float) -> Sample:
    """Container `app` has used `used` seconds of CPU time, and others as much as is said."""
    counters = {
        name: Counter(at(seconds), round(amount * 1e9), 1024, at(since))
        for name, amount in ({"app": used} | more).items()
    }
    return Sample(at(seconds), None, {WEB: counters})


def cores(base: Sample, newest: Sample) -> dict[str, tuple[float, float]]:
    """Cores used, and over how many seconds, by container."""
    found = pod_usage(base, newest, WEB)
    return {name: (usage.nanocores / 1e9, usage.window.total_seconds()) for name, usage in found.items()}


def test_a_rate_is_what_was_used_between_two_looks() -> None:
    assert cores(sample(100, used=50), sample(115, used=56)) == {"app": (0.4, 15)}


def test_a_container_that_is_new_is_measured_from_its_start() -> None:
    assert cores(Sample(at(100), None, {}), sample(115, used=6, since=112)) == {"app": (2, 3)}


def test_a_container_whose_counter_began_anew_is_measured_from_its_start() -> None:
    assert cores(sample(100, used=50), sample(115, used=6, since=105)) == {"app": (0.6, 10)}


def test_a_pod_is_told_of_once_all_its_containers_can_be() -> None:
    base, newest = sample(100, used=50), sample(115, used=56)
    young = Counter(at(115), 0, 1024, at(114.5))
    assert cores(base, Sample(newest.at, None, {WEB: {**newest.pods[WEB], "side": young}})) == {}
    assert cores(base, Sample(newest.at, None, {})) == {}


@pytest.mark.parametrize(
    ("looks", "chosen"),
    [
        ((), None),
        ((99.5,), None),  # ticks are too coarse for half a second
        ((97, 99), 97),
        ((85, 88, 92, 99), 88),  # the latest of those that are ten seconds ago
        ((5, 98), 98),  # what was used longer ago is no news
        ((5,), None),
    ],
)
def test_the_window_is_ten_seconds_where_it_can_be(looks: tuple[float, ...], chosen: float | None) -> None:
    base = base_for([sample(look, used=0) for look in looks], at(100))
    assert (base.at if base else None) == (at(chosen) if chosen is not None else None)


def test_a_summary_without_figures_is_no_measurement() -> None:
    reference = {"podRef": {"namespace": "shop", "name": "web"}}
    told: Obj = {"node": {"nodeName": "a"}, "pods": [reference | {"containers": [{"name": "app"}]}]}
    assert read(told, START) == Sample(START, None, {WEB: {}})
    assert read({}, START) == Sample(START, None, {})


@pytest.mark.parametrize(
    ("seconds", "text"), [(15, "15s"), (1.0034, "1.003s"), (60, "1m0s"), (75.5, "1m15.5s"), (59.9999, "1m0s")]
)
def test_windows_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(timedelta(seconds=seconds)) == text


class Kubelets:
    """Nodes whose containers have used half of the time; `asked` counts the questions."""

    def __init__(self) -> None:
        self.now = START
        self.asked = 0
        self.away = False

    def clock(self) -> datetime:
        return self.now

    async def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def stream(self, node: Obj, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        assert path == "/stats/summary"
        self.asked += 1
        if self.away:
            raise Unavailable("gone for lunch")
        passed = self.now - START
        time = format_micro_time(self.now)
        used = {"time": time, "usageCoreNanoSeconds": round(passed.total_seconds() * 5e8)}
        body = {"node": {"cpu": used, "memory": {"time": time, "workingSetBytes": 1024}}}

        async def chunks() -> AsyncIterator[bytes]:
            yield orjson.dumps(body)

        return chunks()


async def test_a_kubelet_is_asked_when_somebody_asks_us_and_once_for_all_who_do() -> None:
    kubelets = Kubelets()
    meter, node = Meter(cast(Nodes, kubelets), kubelets.clock, kubelets.pass_time), {"metadata": {"name": "a"}}

    async def usage() -> tuple[float, float] | None:
        measured = (await meter.measure([node])).get("a")
        found = measured.node() if measured else None
        return (found.nanocores / 1e9, found.window.total_seconds()) if found else None

    assert await asyncio.gather(*(usage() for _ in range(6))) == [(0.5, 1)] * 6
    assert kubelets.asked == 2
    kubelets.now = at(16)
    assert await usage() == (0.5, 15)
    assert kubelets.asked == 3
    kubelets.now, kubelets.away = at(31), True
    assert await usage() is None
