"""The state of a hop in a word or two: the first row of the table that applies."""

from __future__ import annotations

import pytest

from chain.scene import Scene, base, release, start_canary
from chain.test_sightings import BASE, DYED, at_gateway, both, seen
from graylane.chain.sightings import Performance, SightedHop
from graylane.chain.states import ENOUGH, MEANINGS, STATES, Place, fails_more, slower, state_of


def states(*counts: object, scene: Scene, settled: bool = True) -> list[str]:
    ((_, rows),) = seen(*counts, scene=scene).entries  # type: ignore[arg-type]
    released = any(row.hop.canary.wanted for row in rows)
    return [state_of(Place(row, released, settled)) for row in rows]


def broken() -> Scene:
    scene = both()
    scene.get("DestinationRule", "dr-mocka")["spec"]["subsets"].pop()
    return scene


def starting() -> Scene:
    scene = base()
    start_canary(scene, "mocka", "rollouts-a", ready=False)
    return scene


def unconfirmed() -> Scene:
    scene = both()
    scene.get("VirtualService", "vs-mocka")["metadata"]["generation"] = 3
    return scene


def one_released() -> Scene:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    return scene


def without_rule() -> Scene:
    scene = both()
    del scene.objects["VirtualService", "vs-mockb"]
    return scene


def without_base() -> Scene:
    scene = base()
    scene.get("Deployment", "mocka-base")["spec"]["replicas"] = 2
    return scene


@pytest.mark.parametrize(
    ("scene", "counts", "wanted"),
    [
        (base, (), ["ok", "ok"]),
        (one_released, (), ["ok", "fallback"]),
        (broken, (), ["errors", "ok"]),
        (both, (at_gateway("mocka-base-x7k2p-pod", BASE, 1),), ["plain on canary", "ok"]),
        (both, (at_gateway("mocka-base-pod", DYED, 1),), ["dyed on base", "ok"]),
        (starting, (), ["canary not ready", "fallback"]),
        (without_base, (), ["base not ready", "ok"]),
        (unconfirmed, (), ["routes asked", "ok"]),
        (without_rule, (), ["ok", "spread"]),
    ],
)
def test_each_state_has_its_reason(scene: object, counts: tuple[object, ...], wanted: list[str]) -> None:
    assert states(*counts, scene=scene()) == wanted  # type: ignore[operator]


def test_nothing_seen_is_held_against_a_hop_whose_routes_have_just_changed() -> None:
    stray = at_gateway("mocka-base-pod", DYED, 1)
    assert states(stray, scene=both(), settled=False) == ["ok", "ok"]


def test_every_state_is_explained() -> None:
    assert [state for _, state in STATES] == list(MEANINGS)


BASE_LINE = Performance(ENOUGH, 0, 0.020)


@pytest.mark.parametrize(
    ("canary", "is_slower"),
    [
        (Performance(ENOUGH, 0, 0.030), True),
        (Performance(ENOUGH, 0, 0.029), False),
        (Performance(ENOUGH - 1, 0, 0.500), False),
        (Performance(0, 0, None), False),
    ],
)
def test_a_canary_is_slower_when_enough_requests_show_it_beyond_what_buckets_blur(
    canary: Performance, is_slower: bool
) -> None:
    assert slower(BASE_LINE, canary) is is_slower


def test_a_millisecond_is_no_difference_worth_telling() -> None:
    assert not slower(Performance(ENOUGH, 0, 0.001), Performance(ENOUGH, 0, 0.0025))
    assert slower(Performance(ENOUGH, 0, 0.001), Performance(ENOUGH, 0, 0.0035))


def test_a_canary_fails_more_by_a_point_of_all_its_answers() -> None:
    assert fails_more(BASE_LINE, Performance(ENOUGH, 1, 0.020))
    assert not fails_more(Performance(ENOUGH, 1, 0.020), Performance(ENOUGH, 1, 0.020))
    assert not fails_more(BASE_LINE, Performance(ENOUGH - 1, 50, 0.020))


def test_a_slow_hop_and_a_failing_one_are_named() -> None:
    ((_, rows),) = seen(scene=both()).entries
    hop = rows[0].hop
    slow = SightedHop(hop, rows[0].plain, rows[0].dyed, BASE_LINE, Performance(ENOUGH, 0, 0.040))
    failing = SightedHop(hop, rows[0].plain, rows[0].dyed, BASE_LINE, Performance(ENOUGH, 5, 0.040))
    assert [state_of(Place(row, True, True)) for row in (slow, failing)] == ["slower than base", "fails more"]
