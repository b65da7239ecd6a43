"""How fast a proposal is followed: bounds, stabilization windows, and policies for each direction.

Pure. In: what is proposed and what was proposed and done before. Out: a `Verdict` with the conditions that explain it,
and the memory to decide from next time. The rules are those of Kubernetes' horizontal controller, which differ a little
where a `behavior` is given from those where none is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from graylane.model.meta import Condition, Obj, dig

ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"
_WINDOW_DOWN = timedelta(seconds=300)
_LEAST_UP, _FACTOR_UP = 4, 2

_READY = Condition(ABLE, "True", "ReadyForNewScale", "recommended size matches current size")
_HELD_DOWN = Condition(
    ABLE,
    "True",
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
_HELD_UP = Condition(
    ABLE,
    "True",
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_FREE = Condition(LIMITED, "False", "DesiredWithinRange", "the desired count is within the acceptable range")


def _limited(reason: str, how: str) -> Condition:
    return Condition(LIMITED, "True", reason, f"the desired replica count is {how}")


_TOO_FAST_UP = _limited("ScaleUpLimit", "increasing faster than the maximum scale rate")
_TOO_FAST_DOWN = _limited("ScaleDownLimit", "decreasing faster than the maximum scale rate")
_TOO_MANY = _limited("TooManyReplicas", "more than the maximum replica count")
_TOO_FEW = _limited("TooFewReplicas", "less than the minimum replica count")


@dataclass(frozen=True, slots=True)
class Note:
    """A number at an instant: a recommendation, or pods added or taken away."""

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A change of size that has been asked for; whether it came about, the next look tells."""

    at: datetime
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one autoscaler. It begins with the size that was found, so that nothing is taken away too soon."""

    recommended: tuple[Note, ...]
    added: tuple[Note, ...] = ()
    taken: tuple[Note, ...] = ()
    asked: Asked | None = None

    def settled(self, current: int, behavior: Obj | None) -> Memory:
        """Once the size asked for is there, it counts as a change; where there is no behavior, nobody counts."""
        asked, idle = self.asked, replace(self, asked=None)
        if asked is None or asked.after != current or behavior is None:
            return idle
        change = Note(asked.at, abs(asked.after - asked.before))
        if asked.after > asked.before:
            return replace(idle, added=_stored(self.added, change, behavior.get("scaleUp")))
        return replace(idle, taken=_stored(self.taken, change, behavior.get("scaleDown")))


def _stored(notes: tuple[Note, ...], new: Note, rules: Obj | None) -> tuple[Note, ...]:
    """In the place of one that its own direction has no more use for, as in Kubernetes, whatever the other has."""
    periods = [policy["periodSeconds"] for policy in (rules or {}).get("policies") or ()]
    oldest = new.at - timedelta(seconds=max(periods, default=15))
    stale = [index for index, note in enumerate(notes) if note.at < oldest]
    return (*notes[: stale[-1]], new, *notes[stale[-1] + 1 :]) if stale else (*notes, new)


@dataclass(frozen=True, slots=True)
class Wish:
    """What metrics propose, between which bounds, from which size on."""

    proposed: int
    current: int
    least: int
    most: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    replicas: int
    conditions: tuple[Condition, ...]
    memory: Memory


def follow(wish: Wish, behavior: Obj | None, memory: Memory) -> Verdict:
    held, able = (_held_by if behavior is not None else _held)(wish, behavior or {}, memory)
    limit = _by_policies(replace(wish, proposed=held), behavior, memory) if behavior is not None else None
    replicas, limited = limit or _by_rule(replace(wish, proposed=held))
    kept = _kept(memory, wish, behavior or {})
    return Verdict(replicas, (able, limited), kept)


# -- stabilization


def _held(wish: Wish, _: Obj, memory: Memory) -> tuple[int, Condition]:
    recent = [note.number for note in memory.recommended if note.at >= wish.now - _WINDOW_DOWN]
    highest = max([wish.proposed, *recent])
    return highest, _READY if highest == wish.proposed else _HELD_DOWN


def _held_by(wish: Wish, behavior: Obj, memory: Memory) -> tuple[int, Condition]:
    """The present size, as far as it is below all recent recommendations, or above them."""
    up = min([wish.proposed, *_since(memory.recommended, wish.now - _window_up(behavior))])
    down = max([wish.proposed, *_since(memory.recommended, wish.now - _window_down(behavior))])
    held = min(max(wish.current, up), down)
    why = _HELD_UP if wish.proposed >= wish.current else _HELD_DOWN
    return held, _READY if held == wish.proposed else why


def _window_up(behavior: Obj) -> timedelta:
    return timedelta(seconds=dig(behavior, "scaleUp", "stabilizationWindowSeconds", default=0))


def _window_down(behavior: Obj) -> timedelta:
    seconds = dig(behavior, "scaleDown", "stabilizationWindowSeconds")
    return _WINDOW_DOWN if seconds is None else timedelta(seconds=seconds)


def _since(notes: Iterable[Note], cutoff: datetime) -> list[int]:
    return [note.number for note in notes if note.at > cutoff]


# -- bounds and rates


def _by_rule(wish: Wish) -> tuple[int, Condition]:
    """Without a behavior: at most twice as many at once, or four."""
    fastest = max(_FACTOR_UP * wish.current, _LEAST_UP)
    if wish.proposed < wish.least:
        return wish.least, _TOO_FEW
    if wish.proposed > min(wish.most, fastest):
        return min(wish.most, fastest), _TOO_FAST_UP if wish.most > fastest else _TOO_MANY
    return wish.proposed, _FREE


def _by_policies(wish: Wish, behavior: Obj, memory: Memory) -> tuple[int, Condition]:
    if wish.proposed > wish.current:
        fastest = max(_fastest(behavior.get("scaleUp") or _UP, wish, memory, 1), wish.current)
        if wish.proposed > min(wish.most, fastest):
            return min(wish.most, fastest), _TOO_FAST_UP if wish.most > fastest else _TOO_MANY
    elif wish.proposed < wish.current:
        fastest = min(_fastest(behavior.get("scaleDown") or _DOWN, wish, memory, -1), wish.current)
        if wish.proposed < max(wish.least, fastest):
            return max(wish.least, fastest), _TOO_FAST_DOWN if wish.least < fastest else _TOO_FEW
    return wish.proposed, _FREE


_PERCENT: Obj = {"type": "Percent", "value": 100, "periodSeconds": 15}
_UP: Obj = {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _PERCENT]}
_DOWN: Obj = {"policies": [_PERCENT]}


def _fastest(rules: Obj, wish: Wish, memory: Memory, sign: int) -> int:
    """The size that the policies allow, upwards (`sign` 1) or downwards (-1)."""
    select = rules.get("selectPolicy") or "Max"
    policies = rules.get("policies") or (_UP if sign > 0 else _DOWN)["policies"]
    if select == "Disabled":
        return wish.current
    sizes = [_allowed(policy, wish, memory, sign) for policy in policies]
    return max(sizes) if (select == "Min") is (sign < 0) else min(sizes)


def _allowed(policy: Obj, wish: Wish, memory: Memory, sign: int) -> int:
    """From the size at the start of the policy's period on; rounded away from standing still."""
    since = wish.now - timedelta(seconds=policy["periodSeconds"])
    start = wish.current - sum(_since(memory.added, since)) + sum(_since(memory.taken, since))
    if policy["type"] == "Pods":
        return start + sign * int(policy["value"])
    size = start * (1 + sign * policy["value"] / 100)
    return math.ceil(size) if sign > 0 else int(size)


# -- memory


def _kept(memory: Memory, wish: Wish, behavior: Obj) -> Memory:
    """With this recommendation, and without those that no window reaches back to."""
    oldest = wish.now - max(_window_up(behavior), _window_down(behavior))
    recent = tuple(note for note in memory.recommended if note.at >= oldest)
    return replace(memory, recommended=(*recent, Note(wish.now, wish.proposed)))
