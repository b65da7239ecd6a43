"""`graylane status` as text: each golden file is one screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chain.scene import Scene, base, release, start_canary
from chain.test_sightings import BASE, DYED, MOCKA, MOCKB, at_gateway, from_pod

from graylane.chain.latency import bucket_of
from graylane.chain.picture import Proxies, picture
from graylane.chain.seen import Carried, Count, LedgerView
from graylane.chain.view import chain_view
from graylane.cli.hops_text import branches
from graylane.cli.layout import WIDTH, duration, rate
from graylane.cli.status_text import lines
from graylane.cli.story_text import changes, told

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


def waits_for_pods() -> Scene:
    scene = base()
    pod = start_canary(scene, "mocka", "rollouts-a", ready=False)
    waiting = {"reason": "ErrImagePull", "message": "image shop/mocka:2 is in no catalogue"}
    pod["status"]["containerStatuses"] = [{"state": {"waiting": waiting}}]
    scene.get("Rollout", "rollouts-a")["status"]["canaryStatus"]["currentStepState"] = "StepUpgrade"
    return scene


def in_ms(count: Count, milliseconds: float) -> Count:
    return replace(count, took={bucket_of(milliseconds / 1000): count.count})


USUAL = LedgerView(
    60,
    0,
    0,
    (
        in_ms(at_gateway("mocka-base-pod", BASE, 720), 31),
        in_ms(at_gateway("mocka-base-x7k2p-pod", DYED, 240), 33),
        in_ms(from_pod("mocka-base-pod", "mockb-base-pod", BASE, 720), 22),
        in_ms(from_pod("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED, 240), 23),
    ),
    (),
)
SLOW = replace(
    USUAL,
    counts=(*USUAL.counts[:3], in_ms(from_pod("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED, 240), 41)),
)
FAILS = replace(
    USUAL,
    counts=(*USUAL.counts, in_ms(from_pod("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED, 10, 500), 23)),
)
LEAKS = replace(
    USUAL,
    counts=(
        *USUAL.counts[:3],
        in_ms(from_pod("mocka-base-x7k2p-pod", "mockb-base-pod", DYED, 2), 22),
        in_ms(from_pod("mocka-base-x7k2p-pod", "mockb-base-pod", (), 200), 22),
    ),
    carried=(Carried(MOCKA, MOCKB, "my-request-id", "canary", kept=40, lost=200, example="x"),),
)
PROXIES = Proxies(5, 5)

SCREENS: dict[str, tuple[Callable[[], Scene], LedgerView | None, Proxies | None]] = {
    "status-at-rest": (base, None, PROXIES),
    "status-both-released": (both_released, USUAL, PROXIES),
    "status-slower": (both_released, SLOW, PROXIES),
    "status-fails": (both_released, FAILS, PROXIES),
    "status-leaks": (both_released, LEAKS, Proxies(4, 5)),
    "status-waits-for-pods": (waits_for_pods, None, PROXIES),
    "status-broken-lane": (broken_lane, None, PROXIES),
    "status-two-lanes": (two_lanes, None, None),
    "status-empty": (Scene, None, None),
}
WIDE = ("status-both-released", "status-slower")
CASES = [(name, WIDTH) for name in SCREENS] + [(name, width) for name in WIDE for width in (100, 140)]


def shown(name: str, width: int = WIDTH) -> list[str]:
    scene, ledger, proxies = SCREENS[name]
    return lines(picture(chain_view(scene().observed(), "default"), ledger, proxies), NOW, width)


@pytest.mark.parametrize(("name", "width"), CASES)
def test_a_screen_equals_its_golden(name: str, width: int) -> None:
    text = "\n".join(shown(name, width)) + "\n"
    file = f"{name}.txt" if width == WIDTH else f"{name}-{width}.txt"
    assert text == (GOLDEN / file).read_text()
    assert max(map(len, text.splitlines())) <= width


def test_below_a_hundred_columns_durations_and_errors_fold_away() -> None:
    assert "p99 ms" not in "\n".join(shown("status-slower", 99))
    assert "p99 ms" in "\n".join(shown("status-slower", 100))
    assert "slower than base" in "\n".join(shown("status-slower", 99))


def test_what_was_seen_while_routes_changed_is_not_held_against_them() -> None:
    view = chain_view(both_released().observed(), "default")
    text = "\n".join(lines(picture(view, LEAKS, PROXIES, settled=False), NOW))
    assert "leaks" not in text
    assert "dyed on base" not in text


def test_without_a_ledger_nothing_is_said_of_requests() -> None:
    text = "\n".join(shown("status-two-lanes"))
    assert "r/s" not in text
    assert "leaks" not in text


def test_long_names_give_way_before_the_screen_does() -> None:
    scene = base()
    service = scene.objects.pop(("Service", "mockb"))
    service["metadata"]["name"] = "m" * 70
    scene.put(service)
    found = lines(picture(chain_view(scene.observed(), "default"), None, None), NOW)
    assert max(map(len, found)) <= WIDTH


def test_a_host_that_is_answered_by_its_rules_alone_is_not_shown_with_the_services_of_a_wildcard() -> None:
    scene = base()
    spec = {"hosts": ["shop.test"], "gateways": ["sample-gateway"], "http": [{"directResponse": {"status": 204}}]}
    scene.put({"kind": "VirtualService", "metadata": {"name": "alone"}, "spec": spec})
    shown = lines(picture(chain_view(scene.observed(), "default"), None, None), NOW)
    way = shown[shown.index(next(line for line in shown if "host shop.test" in line)) :]
    assert way[2] == "No rule of this host leads to a Service that is here."


def test_the_tree_shows_who_calls_whom() -> None:
    assert branches([0, 1, 2, 2, 1, 2, 0, 1]) == ["", "├ ", "│ ├ ", "│ └ ", "└ ", "  └ ", "", "└ "]


def test_a_log_gets_only_what_changed() -> None:
    scene = base()
    before = told(picture(chain_view(scene.observed(), "default"), None, PROXIES))
    assert changes(before, before, NOW) == []
    release(scene, "mockb", "rollouts-b")
    after = told(picture(chain_view(scene.observed(), "default"), None, PROXIES))
    assert changes(before, after, NOW) == [
        "00:03:12Z  release rollouts-b  lane my-request-id:canary  step 1/1  waiting: approval",
        "00:03:12Z  hop mocka  base  base 1/1  canary -  plain by base  dyed by base  fallback",
        "00:03:12Z  hop mockb  base → canary  base 1/1  canary 1/1  plain by base  dyed by canary  ok",
    ]
    broken = told(picture(chain_view(broken_lane().observed(), "default"), None, PROXIES))
    sentence = "VirtualService default/vs-mockb: IST0101 Referenced host+subset not found: mockb+canary"
    assert f"00:03:12Z  ! {sentence}" in changes(after, broken, NOW)
    assert f"00:03:12Z  over: {sentence}" in changes(broken, after, NOW)


@pytest.mark.parametrize(
    ("per_second", "text"), [(0, "0"), (0.0667, "0.07"), (4.1, "4.1"), (41.2, "41"), (1234, "1.2k")]
)
def test_rates_are_short(per_second: float, text: str) -> None:
    assert rate(per_second) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (192, "3m12s"), (7500, "2h05m"), (273600, "3d4h")]
)
def test_durations_are_short(seconds: int, text: str) -> None:
    from datetime import timedelta

    assert duration(timedelta(seconds=seconds)) == text


def test_the_documented_screen_is_one_that_we_draw() -> None:
    screen, _, _ = (GOLDEN / "status-slower-140.txt").read_text().partition("\n\nServed by")
    assert screen in (Path(__file__).parents[3] / "docs" / "releases.md").read_text()
