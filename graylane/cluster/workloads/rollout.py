"""How many replicas each ReplicaSet of a Deployment should have: the arithmetic of rolling updates and of scaling.

Pure. In: the Deployment's limits and the sizes of its ReplicaSets. Out: `{ReplicaSet name: replicas}`, changes only.

One call is one step; the next is taken from the pods that result. Two promises hold at every step and after any lost
write: our own action never leaves fewer than `desired - unavailable` available pods, nor asks for more than
`desired + surge`. The rules are those of kube-controller-manager (`deployment/rolling.go`, `sync.go`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graylane.model.intorpercent import resolve
from graylane.model.meta import dig

Sizes = dict[str, int]

DEFAULT_SHARE = "25%"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a Deployment's spec allows; `surge` and `unavailable` are numbers of pods, never both zero."""

    desired: int
    surge: int = 0
    unavailable: int = 1

    @property
    def max_total(self) -> int:
        return self.desired + self.surge

    @property
    def min_available(self) -> int:
        return self.desired - self.unavailable

    @staticmethod
    def of(spec: Mapping[str, Any]) -> Limits:
        """From a Deployment's spec: surge rounds up, unavailable rounds down, and one of them must let pods move."""
        desired = int(dig(spec, "replicas", default=1))
        if dig(spec, "strategy", "type", default="RollingUpdate") != "RollingUpdate":
            return Limits(desired, 0, 0)
        rolling = dig(spec, "strategy", "rollingUpdate", default={})
        surge = resolve(rolling.get("maxSurge", DEFAULT_SHARE), desired, round_up=True)
        unavailable = resolve(rolling.get("maxUnavailable", DEFAULT_SHARE), desired, round_up=False)
        if surge == 0 and unavailable == 0:
            unavailable = 1  # validation refuses 0 and 0, but "1%" of few pods rounds to it
        return Limits(desired, surge, min(unavailable, desired))


@dataclass(frozen=True, slots=True)
class Size:
    """One ReplicaSet as the arithmetic sees it.

    `wanted` is spec.replicas, `available` status.availableReplicas; `for_desired` and `for_total` are what the
    Deployment desired and allowed when this set was last scaled (annotations), 0 when that is not known.
    """

    name: str
    wanted: int
    available: int = 0
    for_desired: int = 0
    for_total: int = 0

    @property
    def surely_available(self) -> int:
        """Pods that stay available: the status may still count pods which a smaller spec has already condemned."""
        return min(self.available, self.wanted)


def room_for_new(limits: Limits, new: int, others: int) -> int:
    """The size of the new set when the others have `others` replicas: as many as surge allows, at most `desired`."""
    if new >= limits.desired:
        return limits.desired
    return max(new, min(limits.desired, limits.max_total - others))


def roll(limits: Limits, new: Size, olds: Sequence[Size]) -> Sizes:
    """One step of a rolling update (`olds` oldest first): grow the new set if there is room, else shrink old ones."""
    grown = room_for_new(limits, new.wanted, sum(old.wanted for old in olds))
    if grown != new.wanted:
        return {new.name: grown}
    return shrink(limits, new, olds)


def shrink(limits: Limits, new: Size, olds: Sequence[Size]) -> Sizes:
    """Take pods from old sets: broken ones first, since they serve nobody, then available ones above the minimum."""
    total = new.wanted + sum(old.wanted for old in olds)
    spare = total - limits.min_available - (new.wanted - new.surely_available)
    if spare <= 0:
        return {}
    left = {old.name: old.wanted for old in olds}
    _take(left, {old.name: old.wanted - old.surely_available for old in olds}, spare)
    surplus = new.surely_available + sum(old.surely_available for old in olds) - limits.min_available
    _take(left, dict(left), surplus)
    return {old.name: left[old.name] for old in olds if left[old.name] != old.wanted}


def _take(left: Sizes, most: Mapping[str, int], budget: int) -> None:
    """Lower `left` in order, each by at most `most[name]`, all together by at most `budget`."""
    for name, limit in most.items():
        step = max(0, min(limit, budget))
        left[name] -= step
        budget -= step


def recreate(limits: Limits, new: Size | None, olds: Sequence[Size], *, old_pods_gone: bool) -> Sizes:
    """One step of Recreate: all old pods away, and only when none is left the new ones."""
    if any(old.wanted for old in olds):
        return {old.name: 0 for old in olds if old.wanted}
    if new is None or not old_pods_gone or new.wanted == limits.desired:
        return {}
    return {new.name: limits.desired}


def rescale(limits: Limits, new: Size | None, olds: Sequence[Size], *, rolling: bool, status_replicas: int) -> Sizes:
    """Follow a change of `desired` without moving the rollout on: used when paused and when scaled mid-rollout.

    `olds` oldest first. Between several active sets the change is shared in proportion to their sizes, so that a canary
    ratio held by a paused Deployment survives scaling.
    """
    active = [size for size in (*olds, *([new] if new else [])) if size.wanted > 0]
    if len(active) <= 1:
        only = active[0] if active else new or (olds[-1] if olds else None)
        return {only.name: limits.desired} if only and only.wanted != limits.desired else {}
    if new is not None and _saturated(limits, new):
        return {old.name: 0 for old in olds if old.wanted}
    return _share(limits, active, status_replicas) if rolling else {}


def _saturated(limits: Limits, new: Size) -> bool:
    """The new set alone is all that is desired, so whatever old sets still hold is surplus."""
    return new.wanted == new.for_desired == new.available == limits.desired


def _share(limits: Limits, active: Sequence[Size], status_replicas: int) -> Sizes:
    allowed = limits.max_total if limits.desired > 0 else 0
    change = allowed - sum(size.wanted for size in active)
    if change == 0:
        return {}
    newest_first = change > 0  # growth favours the newer of two equal sets, shrinking the older
    order = sorted(reversed(active) if newest_first else active, key=lambda size: -size.wanted)
    sizes: Sizes = {}
    left = change
    for size in order:
        part = _proportion(limits, size, status_replicas)
        part = min(part, left) if change > 0 else max(part, left)
        sizes[size.name] = size.wanted + part
        left -= part
    largest = order[0].name  # takes what rounding left over
    sizes[largest] = max(0, sizes[largest] + left)
    return {size.name: sizes[size.name] for size in order if sizes[size.name] != size.wanted}


def _proportion(limits: Limits, size: Size, status_replicas: int) -> int:
    """This set's share of the change, rounded half away from zero; its own size when everything goes."""
    if limits.desired == 0:
        return -size.wanted
    before = size.for_total or status_replicas
    if before == 0:
        return 0
    return (2 * size.wanted * limits.max_total + before) // (2 * before) - size.wanted
