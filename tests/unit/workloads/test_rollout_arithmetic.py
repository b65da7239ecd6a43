"""The arithmetic of rolling updates: Kubernetes' own cases, and the promises over a whole small input space."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from graylane.cluster.workloads.rollout import Limits, Size, recreate, rescale, roll, room_for_new, shrink


@pytest.mark.parametrize(
    ("replicas", "max_surge", "max_unavailable", "surge", "unavailable"),
    [
        (10, "25%", "25%", 3, 2),  # surge rounds up, unavailable rounds down
        (1, "25%", "25%", 1, 0),
        (4, 0, "25%", 0, 1),
        (3, 0, "25%", 0, 1),  # both come to zero: one pod may be missing, or nothing could ever move
        (2, 1, 5, 1, 2),  # more than all cannot be missing
        (0, "25%", "25%", 0, 0),
    ],
)
def test_limits_round_as_kubernetes_rounds(
    replicas: int, max_surge: int | str, max_unavailable: int | str, surge: int, unavailable: int
) -> None:
    rolling = {"maxSurge": max_surge, "maxUnavailable": max_unavailable}
    limits = Limits.of({"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
    assert limits == Limits(replicas, surge, unavailable)


def test_limits_have_kubernetes_defaults_when_the_strategy_is_absent() -> None:
    assert Limits.of({}) == Limits(1, 1, 0)
    assert Limits.of({"replicas": 8}) == Limits(8, 2, 2)


def test_recreate_neither_surges_nor_has_a_minimum_to_keep() -> None:
    assert Limits.of({"replicas": 5, "strategy": {"type": "Recreate"}}) == Limits(5, 0, 0)


def test_a_first_new_set_is_created_with_the_room_that_surge_leaves() -> None:
    assert room_for_new(Limits(10, 3, 2), new=0, others=10) == 3
    assert room_for_new(Limits(10, 3, 2), new=0, others=0) == 10
    assert room_for_new(Limits(10, 0, 2), new=0, others=10) == 0


def test_a_new_set_above_the_desired_count_comes_down_at_once() -> None:
    assert roll(Limits(2, 1, 0), Size("new", 5), [Size("old", 3)]) == {"new": 2}


def test_broken_old_pods_go_before_available_ones() -> None:
    olds = [Size("older", 4, available=4), Size("broken", 4, available=0)]
    assert shrink(Limits(8, 2, 0), Size("new", 2, available=2), olds) == {"broken": 2}


def test_an_old_status_that_counts_condemned_pods_does_not_cost_availability() -> None:
    # spec already 2 of 3, status still says 3 available: two new ones are up, one old pod may go, not two
    assert roll(Limits(3, 1, 0), Size("new", 2, 2), [Size("old", 2, available=3)]) == {"old": 1}


def test_recreate_waits_for_the_last_old_pod() -> None:
    limits = Limits(3, 0, 0)
    assert recreate(limits, None, [Size("old", 3, 3)], old_pods_gone=False) == {"old": 0}
    assert recreate(limits, Size("new", 0), [Size("old", 0)], old_pods_gone=False) == {}
    assert recreate(limits, Size("new", 0), [Size("old", 0)], old_pods_gone=True) == {"new": 3}
    assert recreate(limits, Size("new", 3), [Size("old", 0)], old_pods_gone=True) == {}


@pytest.mark.parametrize(
    ("desired", "surge", "sizes", "expected"),
    [  # Kubernetes' deployment_controller tests of scaling mid-rollout, and its documented example (10 → 15)
        (15, 3, [Size("old", 8, 8, 10, 13), Size("new", 5, 0, 10, 13)], {"old": 11, "new": 7}),
        (20, 0, [Size("old", 5, 5, 10, 10), Size("new", 5, 5, 10, 10)], {"old": 10, "new": 10}),
        (5, 0, [Size("old", 6, 6, 10, 10), Size("new", 4, 4, 10, 10)], {"old": 3, "new": 2}),
        (
            12,
            0,
            [Size("a", 3, 3, 10, 10), Size("b", 3, 3, 10, 10), Size("new", 4, 4, 10, 10)],
            {"a": 3, "b": 4, "new": 5},
        ),
        (0, 0, [Size("old", 6, 6, 10, 10), Size("new", 4, 4, 10, 10)], {"old": 0, "new": 0}),
        (30, 2, [Size("old", 1, 1, 6, 8), Size("new", 5, 5, 6, 8)], {"old": 4, "new": 28}),
    ],
)
def test_a_paused_deployment_shares_a_new_size_in_proportion(
    desired: int, surge: int, sizes: list[Size], expected: dict[str, int]
) -> None:
    *olds, new = sizes
    limits = Limits(desired, surge, 0)
    moved = rescale(limits, new, olds, rolling=True, status_replicas=sum(size.wanted for size in sizes))
    assert {size.name: moved.get(size.name, size.wanted) for size in sizes} == expected


def test_the_only_active_set_takes_the_whole_new_size() -> None:
    assert rescale(Limits(5, 2, 0), None, [Size("old", 3, 3)], rolling=True, status_replicas=3) == {"old": 5}
    assert rescale(Limits(5, 2, 0), Size("new", 0), [Size("old", 0)], rolling=True, status_replicas=0) == {"new": 5}
    assert rescale(Limits(5, 2, 0), None, [], rolling=True, status_replicas=0) == {}


def test_a_saturated_new_set_lets_the_old_ones_go() -> None:
    new = Size("new", 3, available=3, for_desired=3, for_total=4)
    assert rescale(Limits(3, 1, 0), new, [Size("old", 1, 1)], rolling=True, status_replicas=4) == {"old": 0}


def situations() -> Iterator[tuple[Limits, Size, list[Size]]]:
    few = range(4)
    for desired, surge, unavailable in itertools.product(range(5), few, few):
        if surge == unavailable == 0:
            continue
        limits = Limits(desired, surge, min(unavailable, desired))
        for new, new_up, old, old_up, oldest, oldest_up in itertools.product(few, few, few, few, (0, 2), (0, 1, 2)):
            if new_up <= new and old_up <= old and oldest_up <= oldest:
                yield limits, Size("new", new, new_up), [Size("oldest", oldest, oldest_up), Size("old", old, old_up)]


def test_no_step_ever_breaks_the_limits_it_found_kept() -> None:
    checked = 0
    for limits, new, olds in situations():
        sizes = [new, *olds]
        after = {size.name: size.wanted for size in sizes} | roll(limits, new, olds)
        checked += 1
        total = sum(size.wanted for size in sizes)
        assert sum(after.values()) <= max(total, limits.max_total)
        # a ReplicaSet removes pods that are not available first
        lost = sum(max(0, size.available - after[size.name]) for size in olds)
        available = sum(size.available for size in sizes)
        if new.wanted <= limits.desired:
            assert lost == 0 or available - lost >= limits.min_available
        assert all(count >= 0 for count in after.values())
    assert checked > 10_000


def test_every_rollout_ends_with_all_pods_new() -> None:
    for limits, new, olds in situations():
        sizes = {size.name: size for size in (new, *olds)}
        for _ in range(60):
            step = roll(limits, sizes["new"], [sizes["oldest"], sizes["old"]])
            moved = {name: Size(name, step.get(name, size.wanted)) for name, size in sizes.items()}
            # pods of healthy sets become available at once
            moved = {name: Size(name, size.wanted, size.wanted) for name, size in moved.items()}
            if moved == sizes:
                break
            sizes = moved
        assert {name: size.wanted for name, size in sizes.items()} == {"new": limits.desired, "old": 0, "oldest": 0}
