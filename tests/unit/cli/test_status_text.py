"""`graylane status` as text: each golden file is one screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chain.scene import Scene, base, release

from graylane.chain.view import chain_view
from graylane.cli.status_text import WIDTH, duration, lines

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"
NOW = datetime(2030, 1, 1, 0, 3, 12, tzinfo=UTC)


def both_released() -> Scene:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    release(scene, "mockb", "rollouts-b")
    return scene


def broken_lane() -> Scene:
    scene = base()
    release(scene, "mockb", "rollouts-b")
    scene.get("DestinationRule", "dr-mockb")["spec"]["subsets"].pop()
    message = {
        "type": {"code": "IST0101"},
        "level": "ERROR",
        "message": "Referenced host+subset not found: mockb+canary",
    }
    scene.get("VirtualService", "vs-mockb")["status"]["validationMessages"] = [message]
    return scene


def two_lanes() -> Scene:
    scene = base()
    match = [{"headers": [{"type": "RegularExpression", "name": "user", "value": "^9.*"}]}]
    scene.get("TrafficRouting", "mockb-tr")["spec"]["strategy"]["matches"] = match
    release(scene, "mocka", "rollouts-a")
    return scene


SCREENS: dict[str, Callable[[], Scene]] = {
    "status-at-rest": base,
    "status-both-released": both_released,
    "status-broken-lane": broken_lane,
    "status-two-lanes": two_lanes,
    "status-empty": Scene,
}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_equals_its_golden(name: str) -> None:
    text = "\n".join(lines(chain_view(SCREENS[name]().observed(), "default"), NOW)) + "\n"
    assert text == (GOLDEN / f"{name}.txt").read_text()
    assert max(map(len, text.splitlines())) <= WIDTH


def test_long_names_give_way_before_the_screen_does() -> None:
    scene = base()
    service = scene.objects.pop(("Service", "mockb"))
    service["metadata"]["name"] = "m" * 70
    scene.put(service)
    found = lines(chain_view(scene.observed(), "default"), NOW)
    assert max(map(len, found)) <= WIDTH


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (192, "3m12s"), (7500, "2h05m"), (273600, "3d4h")]
)
def test_durations_are_short(seconds: int, text: str) -> None:
    from datetime import timedelta

    assert duration(timedelta(seconds=seconds)) == text
